//! `pg.commit_cut`: the connection breaks at COMMIT, so nobody knows whether it stands.
//!
//! In: which side of the COMMIT. Out: what a proxy does. Elsewhere: what an unknown commit becomes (`adapters::postgres`, `core::posting`).

use super::{Entry, On, Parameter, Settings, When, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "pg.commit_cut",
    about: "resets the connection when a COMMIT is sent: before it arrives, or after it was carried out and before its answer",
    on: On::Links(&["postgres-"]),
    parameters: &[Parameter::When, Parameter::Probability, Parameter::Every],
    ..link::ANY
};

pub(super) const fn effect(settings: &Settings) -> Effect {
    match settings.when {
        When::Before => Effect::CommitCutBefore,
        When::After => Effect::CommitCutAfter,
    }
}
