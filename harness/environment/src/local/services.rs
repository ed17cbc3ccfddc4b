//! Processes of our own: started through the reaper, ready when their ready address answers 200.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::launch::Launcher;
use crate::EnvironmentError;
use crate::needs::ServiceSpec;
use crate::reaper::Spawn;
use crate::reaper::client::own_program;

const READY_LIMIT: Duration = Duration::from_secs(30);

/// Starts all of them in parallel and waits for all, so that an error comes after the others had their say.
pub(super) async fn start(launcher: &Launcher<'_>, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
    let starts = specs.into_iter().map(async |spec| {
        let name = spec.name.clone();
        launcher.telling(&name, start_one(launcher, spec)).await
    });
    join_all(starts).await.into_iter().collect()
}

async fn start_one(launcher: &Launcher<'_>, spec: ServiceSpec) -> Result<(), EnvironmentError> {
    let Some((host, path)) = split(&spec.ready_url) else {
        return Err(EnvironmentError::Needs {
            field: "ServiceSpec::ready_url",
            value: spec.ready_url,
            accepted: "http://host:port/path",
        });
    };
    let waiting_for = format!("200 from {}", spec.ready_url);
    launcher.progress.started(&spec.name, &waiting_for);
    let program = spec.program.clone().unwrap_or_else(own_program);
    let child = Spawn { env: spec.env, ..launcher.child(&spec.name, &program, spec.args) };
    launcher.reaper.spawn(child).await?;
    let ready = async || answers_ok(host, path).await.then_some(());
    launcher.until(&spec.name, &waiting_for, READY_LIMIT, ready).await?;
    launcher.reaper.watch(&spec.name);
    Ok(())
}

fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let slash = rest.find('/')?;
    let (host, path) = rest.split_at(slash);
    host.contains(':').then_some((host, path))
}

/// A GET by hand: the only HTTP that this room speaks.
async fn answers_ok(host: &str, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(host).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0_u8; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(is_ok(&status))
    };
    // A service that takes the connection and says nothing is asked again.
    tokio::time::timeout(Duration::from_secs(2), ask).await.is_ok_and(|answer| answer.unwrap_or(false))
}

fn is_ok(status: &[u8]) -> bool {
    status.starts_with(b"HTTP/1.") && status.ends_with(b" 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_addresses_are_split() {
        assert_eq!(split("http://127.0.0.1:80/readyz"), Some(("127.0.0.1:80", "/readyz")));
        assert_eq!(split("http://127.0.0.1/readyz"), None);
        assert_eq!(split("https://127.0.0.1:80/"), None);
        assert_eq!(split("http://127.0.0.1:80"), None);
    }

    #[test]
    fn only_200_is_ready() {
        assert!(is_ok(b"HTTP/1.1 200"));
        assert!(!is_ok(b"HTTP/1.1 503"));
    }
}
