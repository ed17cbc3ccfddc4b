//! One command, one file.
//!
//! In: parsed arguments. Out: an exit code or a [`crate::error::CliError`]. Elsewhere: the way of a run (`run`).

pub(crate) mod ablate;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod checks;
pub(crate) mod doctor;
pub(crate) mod faults;
pub(crate) mod health;
pub(crate) mod proxy;
pub(crate) mod publish;
pub(crate) mod redrive;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod scenarios;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod shrink;
pub(crate) mod simulate;
pub(crate) mod sweep;
pub(crate) mod up;
mod worlds;
