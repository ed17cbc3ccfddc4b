//! A private Apache Kafka cluster (KRaft) of 1 or 3 nodes: format, start on free ports, topics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::kafka_config::{self, BROKER, BrokerConfig, CLUSTER_ID, Listener, broker_name, listener_name};
use super::launch::Launcher;
use super::nodes::{Nodes, Plan, Ready};
use super::topics::{self, Topics};
use crate::environment::NodeKind;
use crate::needs::Needs;
use crate::ports::free_port;
use crate::proxies::Proxies;
use crate::reaper::Spawn;
use crate::tools::{Java, KafkaJars};
use crate::{EnvironmentError, limits};

const FORMAT_LIMIT: Duration = Duration::from_secs(60);
pub(crate) const READY_LINE: &str = "Kafka Server started";
/// Ports are picked before they are bound, so another process can be faster.
const PORT_TRIES: u32 = 5;

/// Formatting lasts under a second: compile quickly rather than well.
const FORMAT_JVM: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"];

/// The loopback ports of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports {
    controller: u16,
    /// Of the listener [`BROKER`].
    pub(super) broker: u16,
    /// Client name to the port of its listener.
    pub(super) clients: BTreeMap<String, u16>,
}

/// Programs and needs, for all nodes.
struct Cluster<'a> {
    launcher: &'a Launcher<'a>,
    java: &'a Java,
    jars: &'a KafkaJars,
    clients: &'a [String],
    proxies: &'a Proxies,
    brokers: u32,
}

/// Starts the brokers with one listener per client each, creates the topics, and waits for their leaders; ports by node name. A listener
/// whose client has a proxy before that broker is advertised at the proxy; nobody uses it before the start is over.
pub(super) async fn start(
    launcher: &Launcher<'_>,
    nodes: &Nodes,
    (java, jars): (&Java, &KafkaJars),
    (needs, proxies): (&Needs, &Proxies),
) -> Result<BTreeMap<String, Ports>, EnvironmentError> {
    let cluster = Cluster { launcher, java, jars, clients: &needs.kafka_clients, proxies, brokers: needs.brokers };
    let folders: Vec<Folder> =
        (1..=needs.brokers).map(|id| Folder::make(launcher.reaper.folder(), id)).collect::<Result<_, _>>()?;
    for attempt in 0..PORT_TRIES {
        let ports: Vec<Ports> = folders
            .iter()
            .map(|folder| choose(cluster.clients).map_err(EnvironmentError::io("find free ports for", &folder.root)))
            .collect::<Result<_, _>>()?;
        for folder in &folders {
            write(&folder.properties, &cluster.properties(folder, &ports))?;
        }
        if attempt == 0 {
            try_join_all(folders.iter().map(|folder| cluster.format(folder))).await?;
        }
        if let Some(taken) = cluster.all_up(&folders, nodes).await? {
            tracing::info!(taken, "a port was taken meanwhile, trying others for all brokers");
            continue;
        }
        let topics = cluster.create_topics(&ports, needs).await;
        topics.inspect_err(|error| launcher.progress.failed(&broker_name(1), &error.first_line()))?;
        for folder in &folders {
            launcher.reaper.watch(&folder.name);
        }
        return Ok(folders.into_iter().map(|folder| folder.name).zip(ports).collect());
    }
    let name = broker_name(1);
    Err(EnvironmentError::Ports { tries: PORT_TRIES, log: launcher.last_lines(&name), name })
}

impl Cluster<'_> {
    fn properties(&self, folder: &Folder, ports: &[Ports]) -> String {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let own = &ports[folder.node_id as usize - 1];
        let mut listeners =
            vec![Listener { name: BROKER.to_owned(), bind: local(own.broker), advertised: local(own.broker) }];
        listeners.extend(own.clients.iter().map(|(client, port)| {
            let advertised = self.proxies.on(client, &folder.name).map_or(*port, |proxy| proxy.port);
            Listener { name: listener_name(client), bind: local(*port), advertised: local(advertised) }
        }));
        let config = BrokerConfig {
            node_id: folder.node_id,
            voters: (1..).zip(ports).map(|(id, ports)| (id, local(ports.controller))).collect(),
            controller_bind: local(own.controller),
            listeners,
            data: folder.data.display().to_string(),
        };
        kafka_config::as_file(&kafka_config::properties(&config))
    }

    fn child(&self, folder: &Folder, jvm: &[&str], main: &[&str]) -> Spawn {
        let mut args: Vec<String> = jvm.iter().map(|arg| (*arg).to_owned()).collect();
        args.push(format!("-Dlog4j2.configurationFile={}", folder.log_properties.display()));
        args.push(format!("-Djava.io.tmpdir={}", folder.root.display()));
        args.push("-cp".into());
        args.push(format!("{}/*", self.jars.folder.display()));
        args.extend(main.iter().map(|arg| (*arg).to_owned()));
        Spawn {
            cwd: Some(folder.root.clone()),
            // Nobody reads its data afterwards, and its orderly way out takes seconds.
            last_signal: Signal::SIGKILL as i32,
            ..self.launcher.child(&folder.name, &self.java.program, args)
        }
    }

    async fn format(&self, folder: &Folder) -> Result<(), EnvironmentError> {
        let properties = folder.properties.display().to_string();
        let main = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties.as_str()];
        let format = Spawn { append_log: false, ..self.child(folder, &FORMAT_JVM, &main) };
        self.launcher.run_to_end(format, "kafka-storage format", FORMAT_LIMIT).await
    }

    /// Starts all nodes, as none is ready before most of them are. The name of one that found a port taken, then with none running.
    async fn all_up(&self, folders: &[Folder], nodes: &Nodes) -> Result<Option<String>, EnvironmentError> {
        let starts = folders.iter().map(async |folder| {
            let properties = folder.properties.display().to_string();
            let jvm = [&kafka_config::heap(self.brokers)[..], &kafka_config::TUNING[..]].concat();
            let plan = Plan {
                kind: NodeKind::Broker,
                spawn: self.child(folder, &jvm, &["kafka.Kafka", properties.as_str()]),
                ready: Ready::Line(READY_LINE),
            };
            nodes.note(&folder.name, plan.clone());
            let begun = Instant::now();
            let started = plan.start(self.launcher, limits::of(NodeKind::Broker).first).await;
            match &started {
                Ok(_) => self.launcher.progress.ready(&folder.name, begun.elapsed()),
                // Not told as a failure: all are started again, with other ports.
                Err(EnvironmentError::PortTaken { .. }) => {}
                Err(error) => self.launcher.progress.failed(&folder.name, &error.first_line()),
            }
            started
        });
        match try_join_all(starts).await {
            Ok(_) => Ok(None),
            Err(EnvironmentError::PortTaken { name, .. }) => {
                self.end_all(folders).await;
                Ok(Some(name))
            }
            Err(error) => Err(error),
        }
    }

    async fn end_all(&self, folders: &[Folder]) {
        let living = self.launcher.reaper.pids();
        let ends = folders.iter().filter(|folder| living.contains_key(&folder.name)).map(async |folder| {
            // A failed request means that the reaper is gone; the next start says so.
            let _ = self.launcher.reaper.signal(&folder.name, Signal::SIGKILL).await;
            self.launcher.reaper.ended(&folder.name, limits::STOP).await
        });
        join_all(ends).await;
    }

    async fn create_topics(&self, ports: &[Ports], needs: &Needs) -> Result<(), EnvironmentError> {
        let first = broker_name(1);
        let refused = |asked: &str, reason: String| EnvironmentError::Refused {
            name: first.clone(),
            asked: asked.into(),
            reason,
            log: self.launcher.last_lines(&first),
        };
        let bootstrap: Vec<String> = ports.iter().map(|ports| format!("127.0.0.1:{}", ports.broker)).collect();
        let topics =
            Topics::new(&bootstrap.join(","), self.brokers).map_err(|error| refused("an admin client", error))?;
        self.launcher
            .until(&first, "topics", topics::LIMIT, || async { Some(topics.create(&needs.topics).await) })
            .await?
            .map_err(|reason| refused("topics", reason))?;
        let complete = || async { topics.are_complete(&needs.topics).await.then_some(()) };
        self.launcher.until(&first, "a leader and all copies of every partition", topics::LIMIT, complete).await
    }
}

struct Folder {
    node_id: u32,
    name: String,
    root: PathBuf,
    data: PathBuf,
    properties: PathBuf,
    log_properties: PathBuf,
}

impl Folder {
    fn make(run: &Path, node_id: u32) -> Result<Self, EnvironmentError> {
        let name = broker_name(node_id);
        let root = run.join(&name);
        std::fs::create_dir(&root).map_err(EnvironmentError::io("make", &root))?;
        let folder = Self {
            node_id,
            name,
            data: root.join("data"),
            properties: root.join("server.properties"),
            log_properties: root.join("log4j2.properties"),
            root,
        };
        write(&folder.log_properties, kafka_config::log_properties())?;
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
