//! `resp.hold`: an answer comes back late.
//!
//! In: how much later. Out: what a proxy does. Elsewhere: what a late answer still settles (`channel::transfer`).

use super::{Entry, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry =
    Entry { word: "resp.hold", about: "lets answers come back late, each by as much", ..link::HTTP_LATER };

pub(super) const fn effect(settings: &Settings) -> Effect {
    Effect::ResponseHold(settings.delay)
}
