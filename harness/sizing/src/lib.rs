//! How much a bank of a given size can do: the cells of a sweep, their order, what is predicted of each, what bound it, and how long the
//! rest will take.
//!
//! In: a grid of settings, rows of core and of a copy, figures of measured cells. Out: plain values; nothing here waits, reads a clock or a
//! file. Elsewhere: measuring (`cli`), the documents (`record::sweep_json`), showing (`report`).
//!
//! | module | what it is |
//! |---|---|
//! | [`grid`] | settings into cells |
//! | [`order`] | cells into measurements, in an order that the seed decides |
//! | [`predict`] | what workers and cost allow, and how many events show it |
//! | [`rate`] | moments into a rate |
//! | [`chance`] | how many workers have work where chance alone decides |
//! | [`agrees`] | whether a copy is what core has |
//! | [`bound`] | what a cell could not do more than |
//! | [`summary`] | repeats into one figure with its spread |
//! | [`left`] | what is still to be measured, and how long that takes |

pub mod agrees;
pub mod bound;
pub mod chance;
#[cfg(test)]
mod fixture;
pub mod grid;
pub mod left;
pub mod order;
pub mod predict;
pub mod rate;
pub mod summary;
