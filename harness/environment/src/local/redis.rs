//! One private Redis: nothing is written to disk, so a restart begins empty, as a cache may.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::launch::Launcher;
use super::nodes::{Nodes, Plan, Ready};
use crate::environment::NodeKind;
use crate::ports::free_port;
use crate::reaper::Spawn;
use crate::tools::Tool;
use crate::{EnvironmentError, limits};

/// Name of the process, its log and its folder.
pub(crate) const NAME: &str = "redis";
/// Ports are picked before they are bound, so another process can be faster.
const PORT_TRIES: u32 = 5;
const ANSWER: Duration = Duration::from_secs(1);

/// Starts the server; its port.
pub(super) async fn start(launcher: &Launcher<'_>, nodes: &Nodes, program: &Tool) -> Result<u16, EnvironmentError> {
    let folder = launcher.reaper.folder().join(NAME);
    std::fs::create_dir(&folder).map_err(EnvironmentError::io("make", &folder))?;
    for _ in 0..PORT_TRIES {
        let port = free_port().map_err(EnvironmentError::io("find a free port for", &folder))?;
        let plan = Plan {
            kind: NodeKind::Cache,
            spawn: Spawn { cwd: Some(folder.clone()), ..launcher.child(NAME, &program.program, arguments(port)) },
            ready: Ready::Ping { address: format!("127.0.0.1:{port}") },
        };
        nodes.note(NAME, plan.clone());
        match plan.start(launcher, limits::of(NodeKind::Cache).first).await {
            Ok(_) => {
                launcher.reaper.watch(NAME);
                return Ok(port);
            }
            Err(EnvironmentError::PortTaken { .. }) => tracing::info!(port, "taken meanwhile, trying another port"),
            Err(error) => return Err(error),
        }
    }
    Err(EnvironmentError::Ports { name: NAME.into(), tries: PORT_TRIES, log: launcher.last_lines(NAME) })
}

fn arguments(port: u16) -> Vec<String> {
    let port = port.to_string();
    let settings = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--daemonize", "no"];
    settings.into_iter().map(str::to_owned).collect()
}

/// Whether PING is answered; it is refused while data is being read.
pub(crate) async fn answers(address: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0_u8; 5];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == *b"+PONG")
    };
    tokio::time::timeout(ANSWER, ask).await.is_ok_and(|answer| answer.unwrap_or(false))
}
