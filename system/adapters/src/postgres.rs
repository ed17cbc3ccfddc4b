//! PostgreSQL behind the store ports.
//!
//! In: a tokio-postgres connection string. Out: stores. Elsewhere: what is read and written in which order (`core`, `channel`).

pub mod bulk;
pub mod channel;
mod columns;
pub mod core;
pub mod disturb;
pub mod error;
pub mod pool;
