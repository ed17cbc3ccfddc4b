//! `req.dup`: a request arrives more than once.
//!
//! In: how many times. Out: what a proxy does. Elsewhere: what keeps the second from being done (keys).

use super::{Entry, Parameter, Settings, link};
use crate::rule::Effect;

pub(super) const ENTRY: Entry = Entry {
    word: "req.dup",
    about: "lets requests arrive several times, one right after the other; the answer is that of the first",
    parameters: &[Parameter::Times, Parameter::Of, Parameter::Probability, Parameter::Every, Parameter::Nth],
    ..link::HTTP
};

pub(super) const fn effect(settings: &Settings) -> Effect {
    Effect::RequestTwice(settings.times)
}
