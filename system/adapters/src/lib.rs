//! The ports for real: PostgreSQL, Kafka, HTTP and the process itself.
//!
//! In: connection strings and addresses. Out: implementations of the traits of `outside`, and the assemblies that `bankstorm serve`
//! runs. Elsewhere: every rule (`core`, `channel`, `banks`); an adapter translates and decides nothing.
//!
//! | module | port | real thing |
//! |---|---|---|
//! | [`postgres`] | `CoreStore`, `ChannelStore` | PostgreSQL 15 or newer, by tokio-postgres |
//! | [`kafka`] | `EventLog` | Apache Kafka, by librdkafka |
//! | [`http`] | `CoreApi`, `BankNetwork`, `OutcomeSink`, and the services' front doors | axum and hyper |
//! | [`bank_book`] | `BankBook` | a file in the run folder |
//! | [`visible`] | `VisibleLog` | a file in the run folder |
//! | [`access`] | `AccessLog` | a file in the run folder |
//! | [`process`] | `Scope`, `Points`, `Metrics` | tokio, Prometheus text |

pub mod access;
pub mod bank_book;
pub mod http;
pub mod kafka;
pub mod postgres;
pub mod process;
pub mod visible;
