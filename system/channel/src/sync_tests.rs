//! Reads, the button and the sweep over stores in memory and paused time: who asks core when, and what he is told.
//!
//! In: what core has, what the copy has, how core behaves. Out: nothing but assertions. Elsewhere: the rules alone (tests beside `pulls`,
//! `button`, `sweep::rules`), the same over models that stall, crash and race (`simulator`).

mod bench;
mod button;
mod fakes;
mod flights;
mod pages;
mod places;
mod reads;
mod sweeps;
