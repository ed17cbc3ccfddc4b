//! `resp.drop`: a request is done, and its answer never comes back.
//!
//! In: nothing. Out: what a proxy does. Elsewhere: how the outcome is found out (events, the poller, the same id again).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "resp.drop",
    about: "lets answers vanish: the request was done, and who sent it never hears so",
    ..link::HTTP
};

pub(super) const fn effect(_: &Settings) -> Effect {
    Effect::ResponseDrop
}
