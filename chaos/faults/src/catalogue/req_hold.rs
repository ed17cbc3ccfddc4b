//! `req.hold`: a request arrives late, also when nobody waits for it any more.
//!
//! In: how much later. Out: what a proxy does. Elsewhere: what becomes of a request past its deadline (`core::book`).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "req.hold",
    about: "lets requests arrive late, each by as much, also when whoever sent one has given up meanwhile",
    ..link::HTTP_LATER
};

pub(super) const fn effect(settings: &Settings) -> Effect {
    Effect::RequestHold(settings.delay)
}
