//! One private Apache Kafka node (KRaft): format, start on free ports, topics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::kafka_config::{CLUSTER_ID, Ports, log_properties, server_properties};
use super::launch::{Launcher, log_contains, log_length};
use super::topics;
use crate::EnvironmentError;
use crate::needs::Topic;
use crate::ports::free_port;
use crate::reaper::Spawn;
use crate::tools::{Java, KafkaJars};

/// Name of the process, its log and its folder.
pub(super) const NAME: &str = "kafka";
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(60);
const READY_LINE: &str = "Kafka Server started";
/// Ports are picked before they are bound, so another process can be faster.
const PORT_TRIES: u32 = 5;

/// Formatting lasts under a second: compile quickly rather than well.
const FORMAT_JVM: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"];
/// The broker keeps the full compiler and the default collector, as an operator would run it, so that its figures under load are its
/// own; only the heap is small, as hundreds of records a second need no more.
const BROKER_JVM: [&str; 3] = ["-Xms256m", "-Xmx512m", "-XX:-UsePerfData"];

/// A broker that answers and has its topics.
pub(super) struct Broker {
    pub(super) port: u16,
    pub(super) listeners: BTreeMap<String, u16>,
}

/// Starts the broker with one listener per client and creates the topics.
pub(super) async fn start(
    launcher: &Launcher<'_>,
    java: &Java,
    jars: &KafkaJars,
    clients: &[String],
    wanted: &[Topic],
) -> Result<Broker, EnvironmentError> {
    let folder = Folder::make(launcher.reaper.folder())?;
    let run = |jvm: &[&str], main: &[&str]| {
        let mut args: Vec<String> = jvm.iter().map(|arg| (*arg).to_owned()).collect();
        args.push(format!("-Dlog4j2.configurationFile={}", folder.log_properties.display()));
        args.push(format!("-Djava.io.tmpdir={}", folder.root.display()));
        args.push("-cp".into());
        args.push(format!("{}/*", jars.folder.display()));
        args.extend(main.iter().map(|arg| (*arg).to_owned()));
        Spawn {
            cwd: Some(folder.root.clone()),
            // Nobody reads its data afterwards, and its orderly way out takes seconds.
            last_signal: Signal::SIGKILL as i32,
            ..launcher.child(NAME, &java.program, args)
        }
    };
    let properties = folder.properties.display().to_string();
    let log = launcher.log(NAME);
    for attempt in 0..PORT_TRIES {
        let ports = choose(clients).map_err(EnvironmentError::io("find free ports for", &folder.root))?;
        write(&folder.properties, &server_properties(&ports, &folder.data))?;
        if attempt == 0 {
            let main = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties.as_str()];
            let format = Spawn { append_log: false, ..run(&FORMAT_JVM, &main) };
            launcher.run_to_end(format, "kafka-storage format", FORMAT_LIMIT).await?;
        }
        let before = log_length(&log);
        launcher.progress.started(NAME, READY_LINE);
        launcher.reaper.spawn(run(&BROKER_JVM, &["kafka.Kafka", properties.as_str()])).await?;
        let ready = async || log_contains(&log, before, READY_LINE).then_some(());
        match launcher.until(NAME, READY_LINE, READY_LIMIT, ready).await {
            Ok(()) => {
                topics::create(launcher, ports.broker, wanted).await?;
                launcher.reaper.watch(NAME);
                return Ok(Broker { port: ports.broker, listeners: ports.clients });
            }
            Err(EnvironmentError::Died { .. }) if log_contains(&log, before, "Address already in use") => {
                tracing::info!(?ports, "a port was taken meanwhile, trying others");
            }
            Err(error) => return Err(error),
        }
    }
    Err(EnvironmentError::Ports { name: NAME.into(), tries: PORT_TRIES, log: launcher.last_lines(NAME) })
}

struct Folder {
    root: PathBuf,
    data: PathBuf,
    properties: PathBuf,
    log_properties: PathBuf,
}

impl Folder {
    fn make(run: &Path) -> Result<Self, EnvironmentError> {
        let root = run.join(NAME);
        std::fs::create_dir(&root).map_err(EnvironmentError::io("make", &root))?;
        let folder = Self {
            data: root.join("data"),
            properties: root.join("server.properties"),
            log_properties: root.join("log4j2.properties"),
            root,
        };
        write(&folder.log_properties, log_properties())?;
        Ok(folder)
    }
}

fn write(path: &Path, text: &str) -> Result<(), EnvironmentError> {
    std::fs::write(path, text).map_err(EnvironmentError::io("write", path))
}

fn choose(clients: &[String]) -> std::io::Result<Ports> {
    let named = clients.iter().map(|client| Ok((client.clone(), free_port()?)));
    Ok(Ports { controller: free_port()?, broker: free_port()?, clients: named.collect::<std::io::Result<_>>()? })
}
