//! Environments: everything a run needs, brought up privately, broken on purpose, and gone when the run ends.
//!
//! In: [`Needs`] (which databases, brokers, topics and services). Out: an [`Environment`]: addresses, nodes to kill, pause and restart,
//! deaths, logs; and an [`EnvironmentError`] that names the node, what was waited for, the limit and the last log lines. Elsewhere: what
//! the services do (`system/*`), which scenario asks for it (`harness/cli`), which fault strikes when (`chaos/faults`).
//!
//! Start reading at [`Environment`]. The rooms:
//!
//! | file | holds |
//! |---|---|
//! | `needs`, `progress`, `error` | what may be asked, how the start tells of itself, what can go wrong |
//! | `environment` | the interface that both environments keep |
//! | `outset` | what every run begins with |
//! | `proxies` | which links go through a proxy |
//! | `limits` | how long each kind of node may take, wherever it runs |
//! | `reaper` | the process that is the parent of all others and outlives the harness by seconds |
//! | `orphans` | what a killed reaper left behind, found again and removed |
//! | `local` | child processes on loopback: PostgreSQL, Kafka, Redis, services |
//! | `containers` | the same set in containers, by testcontainers |
//! | `tools`, `doctor` | where the programs are, and which command installs a missing one |

pub mod containers;
pub mod doctor;
mod environment;
mod error;
mod limits;
mod local;
mod needs;
pub mod orphans;
mod outset;
pub mod ports;
mod progress;
mod proxies;
pub mod reaper;
mod removal;
pub mod tools;

pub use environment::{Environment, EnvironmentKind, HARNESS, Link, Node, NodeKind, Witness, start};
pub use error::EnvironmentError;
pub use local::{Death, Local, create_topics, grow_topics, remove_topics};
pub use needs::{Images, Needs, Proxied, ServiceSpec, Topic};
pub use nix::sys::signal::Signal;
pub use ports::free_port;
pub use progress::{PlainProgress, Progress, Quiet};
pub use reaper::Exit;
