//! Core as a whole over small stand-ins, on virtual time: what a caller is told, what is booked, what the other banks are asked.
//!
//! Elsewhere: contention for rows and ids, crashes at every point (`simulator`), PostgreSQL (`adapters`).

mod access;
mod bank;
mod bench;
mod contention;
mod digests;
mod log;
mod outbound;
mod overload;
mod publishing;
mod restart;
mod store;
mod transfers;
mod weaker;
