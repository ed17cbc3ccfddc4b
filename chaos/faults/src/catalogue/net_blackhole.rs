//! `net.blackhole`: bytes vanish, and nobody is told: connections stay open.
//!
//! In: nothing. Out: what a proxy does. Elsewhere: who notices, and after how long (limits of each service).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "net.blackhole",
    about: "lets bytes of both ways vanish while connections stay open, as a cut cable does: nobody is told",
    heal_about: link::RESET_AFTER,
    ..link::ANY
};

pub(super) const fn effect(_: &Settings) -> Effect {
    Effect::Blackhole
}
