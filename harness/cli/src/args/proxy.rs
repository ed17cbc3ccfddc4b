//! What may be typed after `proxy` and `calibrate`.
//!
//! In: the command line. Out: [`ProxyArgs`], [`CalibrateArgs`]. Elsewhere: what they lead to (`commands`), who types the first
//! (`harness/environment`).

use std::net::SocketAddr;
use std::path::PathBuf;

use bankstorm_proxy::{Protocol, Upstream};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Whom to pass on to, for example 127.0.0.1:7001
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) upstream: Upstream,
    /// What is understood of what passes
    #[arg(long, value_enum)]
    pub(crate) protocol: ProtocolName,
    /// Ends when standard input does: the end of whoever started it, however it came
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolName {
    /// Requests and answers: between services, and from the load
    Http,
    /// Nothing but bytes: to Kafka
    Bytes,
    /// Commits: to PostgreSQL
    Postgres,
}

impl ProtocolName {
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::Http => Protocol::Http,
            Self::Bytes => Protocol::Bytes,
            Self::Postgres => Protocol::Postgres,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Measures what a proxy of each protocol adds with no fault, beside a direct connection and a bare relay
    #[arg(long, required = true)]
    pub(crate) proxy: bool,
    /// How long it is measured, in seconds, after a tenth of that to warm up
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// Where calibrate.json goes
    #[arg(long, value_name = "DIR", default_value = "runs/calibrate")]
    pub(crate) out: PathBuf,
}
