//! Processes of our own: started through the reaper, ready when their ready address answers 200.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::launch::Launcher;
use super::nodes::{Plan, Ready};
use crate::environment::NodeKind;
use crate::needs::ServiceSpec;
use crate::reaper::Spawn;
use crate::reaper::client::own_program;
use crate::{EnvironmentError, limits};

/// How the service of `spec` is started, now and again.
pub(super) fn plan(launcher: &Launcher<'_>, spec: ServiceSpec, port: u16) -> Result<Plan, EnvironmentError> {
    if !spec.ready_path.starts_with('/') {
        return Err(EnvironmentError::Needs {
            field: "ServiceSpec::ready_path",
            value: spec.ready_path,
            accepted: "a path that begins with `/`",
        });
    }
    Ok(Plan {
        kind: NodeKind::Service,
        spawn: Spawn { env: spec.env, ..launcher.child(&spec.name, &own_program(), spec.args) },
        ready: Ready::Http { address: format!("127.0.0.1:{port}"), path: spec.ready_path },
    })
}

/// Starts all of them in parallel and waits for all, so that an error comes after the others had their say.
pub(super) async fn start(launcher: &Launcher<'_>, plans: Vec<(String, Plan)>) -> Result<(), EnvironmentError> {
    let starts = plans.into_iter().map(|(name, plan)| async move {
        launcher.telling(&name, plan.start(launcher, limits::of(NodeKind::Service).first)).await?;
        launcher.reaper.watch(&name);
        Ok(())
    });
    join_all(starts).await.into_iter().collect()
}

/// A service that takes the connection and says nothing is asked again.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(2);

/// A GET by hand: the only HTTP that this room speaks.
pub(crate) async fn answers_ok(host: &str, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(host).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0_u8; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(is_ok(&status))
    };
    tokio::time::timeout(ANSWER, ask).await.is_ok_and(|answer| answer.unwrap_or(false))
}

fn is_ok(status: &[u8]) -> bool {
    status.starts_with(b"HTTP/1.") && status.ends_with(b" 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready() {
        assert!(is_ok(b"HTTP/1.1 200"));
        assert!(!is_ok(b"HTTP/1.1 503"));
    }
}
