//! `net.delay`: a link is slow: bytes come late, and in order.
//!
//! In: how much later. Out: what a proxy does. Elsewhere: which limits that meets (each service has its own).

use super::{Entry, Parameter, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "net.delay",
    about: "lets bytes of both ways come late, each by as much, in order: a link through another country",
    parameters: &[Parameter::Delay],
    ..link::ANY
};

pub(super) const fn effect(settings: &Settings) -> Effect {
    Effect::Delay(settings.delay)
}
