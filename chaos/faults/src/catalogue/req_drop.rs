//! `req.drop`: a request never arrives.
//!
//! In: nothing. Out: what a proxy does. Elsewhere: who settles what was sent then (the poller, the sender who tries again).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "req.drop",
    about: "lets requests vanish: they never arrive, and nobody answers; who sent one waits as long as he likes",
    ..link::HTTP
};

pub(super) const fn effect(_: &Settings) -> Effect {
    Effect::RequestDrop
}
