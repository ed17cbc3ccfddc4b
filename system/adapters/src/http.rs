//! HTTP/1.1 JSON: the services' front doors, and the calls between services.
//!
//! In: requests on sockets. Out: values of `contracts` handed to a service, and its answers as JSON or problem documents. Elsewhere:
//! deadlines, admission and retries (behind each service's `handle`, never in middleware).

pub mod banks;
pub mod banks_client;
pub mod channel;
pub mod client;
pub mod core;
pub mod core_client;
pub mod openapi;
pub mod read;
pub mod server;
