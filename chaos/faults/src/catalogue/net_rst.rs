//! `net.rst`: connections break, and new ones too.
//!
//! In: nothing. Out: what a proxy does. Elsewhere: who connects again, and how often (each service).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "net.rst",
    about: "resets open connections, and each new one as soon as it is made, as a machine does on which nobody listens",
    ..link::ANY
};

pub(super) const fn effect(_: &Settings) -> Effect {
    Effect::Reset
}
