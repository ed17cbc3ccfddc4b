//! The environment `containers`: the same set as `local`, by testcontainers, on a network of the run's own.
//!
//! In: [`Needs`], [`ServiceSpec`]s, a container engine on this machine. Out: the [`Environment`] interface. Elsewhere: the images
//! (`deploy/`), the process that removes everything when the harness is gone (`reaper`).
//!
//! | file | holds |
//! |---|---|
//! | `engine`, `images`, `services_image` | is there an engine, are the images there, our own image |
//! | `run`, `nodes`, `ready` | one run: how a container comes up, what is known of it, when it is ready |
//! | `events`, `logs`, `moment` | what the engine tells while they run, and when |
//! | `stores`, `services`, `addresses` | which containers, and who reaches them where |
//! | `operations`, `stop` | what is done to them |
//! | `leftovers`, `outside` | what bears a run's label; questions of those who are in no run: doctor, orphans, tests |

mod addresses;
pub(crate) mod engine;
mod events;
mod images;
pub(crate) mod leftovers;
mod logs;
mod moment;
mod nodes;
mod operations;
mod outside;
mod ready;
mod run;
mod services;
mod services_image;
mod stop;
mod stores;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{OptionFuture, try_join3};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::EnvironmentError;
use crate::environment::{Environment, EnvironmentKind, Link, Node, Witness};
use crate::local::{self, Death};
use crate::needs::{Needs, ServiceSpec};
use crate::outset::set_out;
use crate::progress::Progress;
use crate::proxies::Proxies;
use crate::reaper::Reaper;
use addresses::Addresses;
use engine::Engine;
use images::{Found, KAFKA, POSTGRES, REDIS};
use nodes::Nodes;
use run::Run;
use services::{Ports, Services};
use stores::StoreImages;

pub(crate) use outside::{Patience, examine, ownerless_runs, remove_ownerless};
pub use outside::{available, available_blocking};

/// A running environment of containers.
///
/// A node that is taken off the network is out of reach for the harness too: its pinned port goes with its place in the network, and comes
/// back with it.
pub struct Containers {
    reaper: Reaper,
    run: Arc<Run>,
    /// Reads the engine's events.
    events: JoinHandle<()>,
    exchange: PathBuf,
    addresses: Addresses,
    services_image: Option<Found>,
    ports: Ports,
    facts: BTreeMap<String, String>,
}

impl Containers {
    /// Starts everything that `needs` names, in parallel, and returns when all of it answers.
    ///
    /// # Errors
    /// No engine, no image, or something did not come up within its limit, or died; nothing is left behind then.
    pub async fn start(needs: Needs, progress: Arc<dyn Progress>) -> Result<Self, EnvironmentError> {
        local::validate(&needs)?;
        let engine = Engine::find().await?;
        // First of all what may fail: then nobody waits for anything else.
        let images = store_images(&engine, &needs, progress.as_ref()).await?;
        let (reaper, logs) = set_out(&needs, false).await?;
        let run = Arc::new(run_of(&reaper, engine, logs, progress));
        // Before the first container, so that none comes after the last one.
        let begun = match reaper.guard_containers(&run.engine.address).await {
            Ok(()) => bring_up(&reaper, &run, &needs, &images).await,
            Err(error) => Err(error),
        };
        match begun {
            Ok(Begun { exchange, addresses, services_image, ports, events, facts }) => {
                Ok(Self { reaper, run, events, exchange, addresses, services_image, ports, facts })
            }
            Err(error) => {
                // The first error is the one to tell; what cannot be removed now is known to `orphans`.
                if let Err(also) = reaper.give_up().await {
                    tracing::warn!(%also, "after a failed start");
                }
                Err(error)
            }
        }
    }

    async fn run_services(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        let Some(image) = &self.services_image else {
            return Err(EnvironmentError::Needs {
                field: "services",
                value: "none".into(),
                accepted: "the names of all services that will be started",
            });
        };
        Services { run: &self.run, image, ports: &self.ports, exchange: &self.exchange }.start(specs).await?;
        // Now containers hold the image of this run.
        forget_old_images(&self.run);
        Ok(())
    }
}

fn run_of(reaper: &Reaper, engine: Engine, logs: PathBuf, progress: Arc<dyn Progress>) -> Run {
    let name = reaper.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let labels = leftovers::labels(&name, reaper.pid().unwrap_or_default());
    Run { engine, name, labels, logs, progress, nodes: Nodes::default() }
}

struct Begun {
    exchange: PathBuf,
    addresses: Addresses,
    services_image: Option<Found>,
    ports: Ports,
    events: JoinHandle<()>,
    facts: BTreeMap<String, String>,
}

/// Folders, the network, the stores, and meanwhile the image of the services.
async fn bring_up(
    reaper: &Reaper,
    run: &Arc<Run>,
    needs: &Needs,
    images: &StoreImages,
) -> Result<Begun, EnvironmentError> {
    std::fs::create_dir_all(&run.logs).map_err(EnvironmentError::io("make", &run.logs))?;
    let ports = Ports::choose(&needs.own_nodes());
    let ports = ports.map_err(EnvironmentError::io("find free ports for the services of", reaper.folder()))?;
    let proxies = Proxies::new(needs, ports.pinned());
    run.make_network().await?;
    let events = events::follow(run);
    watch_reaper(reaper, run);
    let services_image = async {
        let wanted = (!needs.own_nodes().is_empty()).then_some(needs.images.services.as_ref());
        let image = wanted.map(|name| services_image::get(&run.engine, name, run.progress.as_ref()));
        OptionFuture::from(image).await.transpose()
    };
    let up = futures_util::future::try_join(stores::start(run, (needs, &proxies), images), services_image).await;
    let (stores, services_image) = match up {
        Ok(up) => up,
        Err(error) => {
            events.abort();
            return Err(error);
        }
    };
    let exchange = needs.exchange.clone().unwrap_or_else(|| reaper.folder().join("exchange"));
    services::make_exchange(&exchange)?;
    let facts = facts(run, images, services_image.as_ref(), &stores).await;
    let addresses = Addresses::new(needs, stores, ports.pinned().clone(), proxies);
    Ok(Begun { exchange, addresses, services_image, ports, events, facts })
}

/// The images of the stores that are needed, fetched at the same time where they are not there.
async fn store_images(
    engine: &Engine,
    needs: &Needs,
    progress: &dyn Progress,
) -> Result<StoreImages, EnvironmentError> {
    let get = async |wanted: bool, part: images::Part, chosen: &Option<String>| match wanted {
        true => images::ensure(engine, part, &part.name(chosen.as_ref())?, progress).await.map(Some),
        false => Ok(None),
    };
    let (postgres, kafka, redis) = try_join3(
        get(!needs.databases.is_empty(), POSTGRES, &needs.images.postgres),
        get(needs.brokers > 0, KAFKA, &needs.images.kafka),
        get(needs.redis, REDIS, &needs.images.redis),
    )
    .await?;
    Ok(StoreImages { postgres, kafka, redis })
}

/// What is between the harness and the containers, for whoever compares figures with those of processes on this machine.
const HARNESS_PATH: &str = "engine's port forwarding on loopback (its processes are in no CPU row)";

/// Versions and images. What a store says of itself beats what its image's name says.
async fn facts(
    run: &Run,
    images: &StoreImages,
    services: Option<&Found>,
    stores: &stores::Stores,
) -> BTreeMap<String, String> {
    let engine = &run.engine;
    let mut facts = BTreeMap::from([
        ("container engine".to_owned(), format!("{} (API {}, {})", engine.version, engine.api, engine.platform)),
        ("storage driver".to_owned(), engine.storage.clone()),
        ("harness path".to_owned(), HARNESS_PATH.to_owned()),
    ]);
    let java = images.kafka.as_ref().and_then(|image| image.java.clone());
    facts.extend(java.map(|version| ("Java".to_owned(), version)));
    let all = [("postgres", &images.postgres), ("kafka", &images.kafka), ("redis", &images.redis)];
    for (part, image) in all.into_iter().filter_map(|(part, image)| Some((part, image.as_ref()?))) {
        facts.insert(format!("image {part}"), image.fact());
    }
    if let Some(image) = services {
        facts.insert("image services".to_owned(), image.fact());
    }
    if let Some((name, port)) = stores.databases.first_key_value() {
        let version = local::postgres::ask(&local::postgres::address(*port, name), "show server_version").await;
        facts.extend(version.map(|version| ("PostgreSQL".to_owned(), version)));
    }
    if let Some(node) = stores.brokers.keys().next() {
        facts.extend(logs::word_after(&run.log(node), "Kafka version: ").map(|version| ("Kafka".to_owned(), version)));
    }
    if stores.redis.is_some() {
        let version = logs::word_after(&run.log(local::redis::NAME), "Redis version=");
        facts.extend(version.map(|version| ("Redis".to_owned(), version.trim_end_matches(',').to_owned())));
    }
    facts
}

/// A run without its reaper is lost, as nobody would remove it: its deaths end.
#[expect(clippy::disallowed_methods, reason = "harness room: waits for the end of the reaper")]
fn watch_reaper(reaper: &Reaper, run: &Arc<Run>) {
    let (mut ends, run) = (reaper.deaths(), Arc::clone(run));
    tokio::spawn(async move {
        // It has no children here, so nothing but its end comes.
        while ends.recv().await.is_some() {}
        run.nodes.lose("the reaper ended by itself");
    });
}

/// Earlier images of the services go once this run does not need the time any more.
#[expect(clippy::disallowed_methods, reason = "harness room: nobody waits for it")]
fn forget_old_images(run: &Arc<Run>) {
    let docker = run.engine.docker.clone();
    tokio::spawn(async move { services_image::remove_unused(&docker, services_image::Keep::Latest).await });
}

impl std::fmt::Debug for Containers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Containers").field("run", &self.run.name).field("pids", &self.pids()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Environment for Containers {
    fn kind(&self) -> EnvironmentKind {
        EnvironmentKind::Containers
    }

    fn database(&self, name: &str, viewer: &str) -> String {
        self.addresses.database(name, viewer)
    }

    fn kafka(&self, client: &str) -> String {
        self.addresses.kafka(client)
    }

    fn redis(&self, viewer: &str) -> String {
        self.addresses.redis(viewer)
    }

    fn listen(&self, service: &str) -> String {
        self.addresses.listen(service)
    }

    fn url(&self, service: &str, viewer: &str) -> String {
        self.addresses.url(service, viewer)
    }

    fn direct(&self, service: &str) -> String {
        self.addresses.direct_url(service)
    }

    fn upstream(&self, from: &str, to: &str) -> String {
        self.addresses.upstream(from, to)
    }

    fn folder(&self) -> &Path {
        self.reaper.folder()
    }

    fn logs(&self) -> &Path {
        &self.run.logs
    }

    fn exchange(&self) -> &Path {
        &self.exchange
    }

    async fn start_services(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        self.run_services(specs).await
    }

    fn deaths(&self) -> UnboundedReceiver<Death> {
        self.run.nodes.deaths()
    }

    fn lost(&self) -> Option<String> {
        self.run.nodes.lost()
    }

    fn pids(&self) -> BTreeMap<String, u32> {
        let running = self.run.nodes.all().into_iter().filter(|(_, entry)| entry.running());
        running.filter_map(|(name, entry)| Some((name, entry.pid?))).collect()
    }

    fn nodes(&self) -> Vec<Node> {
        let node = |(name, entry): (String, nodes::Entry)| {
            let running = entry.running();
            Node { kind: entry.kind, running, paused: running && entry.paused, name }
        };
        self.run.nodes.all().into_iter().filter(|(_, entry)| !entry.id.is_empty()).map(node).collect()
    }

    fn links(&self) -> Vec<Link> {
        self.addresses.links()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.facts.clone()
    }

    async fn kill(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.kill(node).await
    }

    async fn pause(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.pause(node).await
    }

    async fn resume(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.resume(node).await
    }

    async fn restart(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.restart(node).await
    }

    async fn disconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.disconnect(node).await
    }

    async fn reconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.run.reconnect(node).await
    }

    async fn log(&self, node: &str) -> Result<String, EnvironmentError> {
        if self.run.nodes.get(node).is_none() {
            return Err(operations::unknown("read the log of", node));
        }
        let log = self.run.log(node);
        let raw = std::fs::read(&log).map_err(EnvironmentError::io("read", &log))?;
        Ok(String::from_utf8_lossy(&raw).into_owned())
    }

    async fn stop(self: Box<Self>) -> Result<(), EnvironmentError> {
        self.stop_all().await
    }
}
