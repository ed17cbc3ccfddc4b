//! What a proxy is told at its start: where to pass on to, and what it understands of what it passes.
//!
//! In: words of a command line. Out: [`Settings`]. Elsewhere: the command line (`harness/cli`).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whom it passes on to.
    pub upstream: Upstream,
    /// What it understands.
    pub protocol: Protocol,
}

/// What a proxy understands of what it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Requests and answers of HTTP/1.1.
    Http,
    /// Nothing: bytes.
    Bytes,
    /// Messages of PostgreSQL.
    Postgres,
}

impl Protocol {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Http, Self::Bytes, Self::Postgres];

    /// Its word on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Bytes => "bytes",
            Self::Postgres => "postgres",
        }
    }
}

/// A server's address. Names are looked up anew for each connection: a restarted container may have another address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    host: String,
    port: u16,
}

/// No address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("upstream {text:?}: accepted is HOST:PORT, for example 127.0.0.1:7001")]
pub struct UpstreamError {
    /// What was said instead.
    pub text: String,
}

impl Upstream {
    /// Host and port, to connect to.
    pub(crate) fn pair(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        match parts {
            Some((host, port)) if port > 0 && !bare(host).is_empty() && !host.contains('/') => {
                Ok(Self { host: bare(host), port })
            }
            _ => Err(UpstreamError { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Upstream;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        for text in ["127.0.0.1:7001", "core:80", "[::1]:9"] {
            let upstream: Upstream = text.parse().expect(text);
            assert_eq!(upstream.to_string(), text);
        }
        for text in ["", "core", ":80", "core:", "core:0", "core:70000", "http://core:80/", "core:80/x"] {
            let refused = text.parse::<Upstream>().expect_err(text).to_string();
            assert!(refused.contains("HOST:PORT") && refused.contains(text), "{refused}");
        }
    }
}
