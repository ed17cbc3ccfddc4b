//! The environment `local`: everything a run needs, as private child processes on loopback, and nothing left when it ends.
//!
//! In: [`Needs`] (which databases, broker, topics and services). Out: addresses, process ids, deaths, logs; and an
//! [`EnvironmentError`] that names the process, what was waited for, the limit and the last log lines. Elsewhere: what the services
//! do (`system/*`), when they are started and which scenario asks for it (`harness/cli`).
//!
//! Start reading at [`Local`]. The rooms:
//!
//! | file | holds |
//! |---|---|
//! | `needs`, `progress`, `error` | what may be asked, how the start tells of itself, what can go wrong |
//! | `reaper` | the process that is the parent of all others and outlives the harness by seconds |
//! | `orphans` | what a killed reaper left behind, found again and removed |
//! | `local` | PostgreSQL, Kafka, services: start, readiness, stop |
//! | `tools`, `doctor` | where the programs are, and which command installs a missing one |

pub mod doctor;
mod error;
mod local;
mod needs;
pub mod orphans;
pub mod ports;
mod progress;
pub mod reaper;
pub mod tools;

pub use error::EnvironmentError;
pub use local::{Death, Local};
pub use needs::{Needs, ServiceSpec, Topic};
pub use nix::sys::signal::Signal;
pub use ports::free_port;
pub use progress::{PlainProgress, Progress, Quiet};
pub use reaper::Exit;
