//! A proxy as a process of its own, as in a run.
//!
//! In: a protocol, a server. Out: where it listens. Elsewhere: the proxy (`commands::proxy`). It ends with the one that started it, however
//! that ends: its standard input ends then.

use std::io::{BufRead, BufReader, Error, Result};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::commands::proxy::LISTENING;

/// A running proxy.
pub(super) struct Hop {
    child: Child,
    address: SocketAddr,
}

impl Hop {
    pub(super) fn start(protocol: &str, server: SocketAddr) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["proxy", "--listen=127.0.0.1:0", "--until-stdin-ends"])
            .args([format!("--upstream={server}"), format!("--protocol={protocol}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = first_line(&mut child);
        let address =
            said.as_deref().ok().and_then(|line| line.strip_prefix(LISTENING)?.split(',').next()?.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                end(&mut child);
                Err(Error::other(format!("the proxy did not say where it listens: {said:?}")))
            }
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn first_line(child: &mut Child) -> Result<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line)?;
    Ok(line)
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Hop {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
