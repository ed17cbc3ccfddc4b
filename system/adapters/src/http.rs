//! HTTP/1.1 JSON: the services' front doors, and core as a channel calls it.
//!
//! In: requests on sockets. Out: values of `contracts` handed to a service, and its answers as JSON or problem documents. Elsewhere:
//! deadlines, admission and retries (behind each service's `handle`, never in middleware).

pub mod channel;
pub mod core;
pub mod core_client;
pub mod server;
