//! `net.cut`: bytes of one way vanish, those of the other pass.
//!
//! In: which way. Out: what a proxy does. Elsewhere: who notices (limits of each service).

use super::{Entry, Parameter, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "net.cut",
    about: "lets bytes of one way vanish while those of the other pass, as a broken route does: one end speaks, and is not heard",
    parameters: &[Parameter::Way],
    heal_about: link::RESET_AFTER,
    ..link::ANY
};

pub(super) const fn effect(settings: &Settings) -> Effect {
    Effect::Cut(settings.way)
}
