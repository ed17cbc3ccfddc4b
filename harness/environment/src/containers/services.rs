//! Our own services: containers around the running executable, ready when their ready path answers 200.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use testcontainers_modules::testcontainers::core::{Healthcheck, IntoContainerPort, Mount};
use testcontainers_modules::testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::images::Found;
use super::nodes::Entry;
use super::ready::Ready;
use super::run::{Refusal, Run};
use crate::environment::NodeKind;
use crate::needs::ServiceSpec;
use crate::ports::free_port;
use crate::progress::telling;
use crate::reaper::Exit;
use crate::{EnvironmentError, limits};

/// Every service listens here in its own container.
pub(super) const SERVICE_PORT: u16 = 8080;
/// Handed through to services when the harness has them, as a child process would inherit them.
const INHERITED: [&str; 3] = ["RUST_LOG", "RUST_BACKTRACE", "TZ"];
/// What a loader says of an executable that was made for a newer machine.
const NOT_FOR_THIS_IMAGE: [&str; 3] = ["GLIBC_", "error while loading shared libraries", "exec format error"];

/// The pinned ports of the services and proxies, each held until its container binds it.
pub(super) struct Ports {
    pinned: BTreeMap<String, u16>,
    held: Mutex<BTreeMap<String, TcpListener>>,
}

impl Ports {
    pub(super) fn choose(services: &[String]) -> std::io::Result<Self> {
        let (mut pinned, mut held) = (BTreeMap::new(), BTreeMap::new());
        for service in services {
            let port = free_port()?;
            // Its address is told long before its container starts. Lost to somebody else already, it is missed at that start.
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                held.insert(service.clone(), listener);
            }
            pinned.insert(service.clone(), port);
        }
        Ok(Self { pinned, held: Mutex::new(held) })
    }

    pub(super) fn pinned(&self) -> &BTreeMap<String, u16> {
        &self.pinned
    }

    /// The port of `service`, free from now on for its container.
    fn hand_over(&self, service: &str) -> Option<u16> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
        self.pinned.get(service).copied()
    }
}

/// What all services of a run share.
pub(super) struct Services<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) image: &'a Found,
    pub(super) ports: &'a Ports,
    pub(super) exchange: &'a Path,
}

impl Services<'_> {
    /// Starts all of them in parallel and waits for all, so that an error comes after the others had their say.
    pub(super) async fn start(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        for spec in &specs {
            self.check(spec)?;
        }
        let starts = specs.into_iter().map(async |spec| {
            let name = spec.name.clone();
            telling(self.run.progress.as_ref(), &name, self.start_one(spec)).await
        });
        join_all(starts).await.into_iter().collect()
    }

    fn check(&self, spec: &ServiceSpec) -> Result<(), EnvironmentError> {
        let known = self.run.nodes.get(&spec.name);
        if !self.ports.pinned.contains_key(&spec.name) || known.is_some_and(|entry| entry.running()) {
            return Err(EnvironmentError::Needs {
                field: "ServiceSpec::name",
                value: spec.name.clone(),
                accepted: "one of Needs::services that does not run, or a proxy of Needs::proxied",
            });
        }
        if !spec.ready_path.starts_with('/') {
            return Err(EnvironmentError::Needs {
                field: "ServiceSpec::ready_path",
                value: spec.ready_path.clone(),
                accepted: "a path that begins with `/`",
            });
        }
        Ok(())
    }

    async fn start_one(&self, spec: ServiceSpec) -> Result<(), EnvironmentError> {
        let (run, node) = (self.run, spec.name.clone());
        self.clear(&node).await;
        let port = self.ports.hand_over(&node).unwrap_or_default();
        let ready = Ready::Http { address: format!("127.0.0.1:{port}"), path: spec.ready_path.clone() };
        let from = super::logs::length(&run.log(&node));
        let entry = Entry::new(NodeKind::Service, ready);
        match run.create(&node, entry, true, self.request(spec, port)).await {
            Ok(()) => {}
            Err(Refusal::PortTaken(reason)) => {
                tracing::info!(node, reason, "its port was taken");
                return Err(EnvironmentError::PortTaken { log: run.last_lines(&node), name: node });
            }
            Err(Refusal::Other(error)) => return Err(unfit(self.image, error)),
        }
        let limit = limits::of(NodeKind::Service).first;
        run.until_ready(&node, from, limit, run.progress.as_ref()).await.map_err(|error| unfit(self.image, error))?;
        run.watch(&node);
        Ok(())
    }

    /// A service of that name that ended makes room for the new one; its log stays.
    async fn clear(&self, node: &str) {
        if self.run.nodes.get(node).is_some_and(|entry| !entry.id.is_empty()) {
            self.run.remove(node).await;
        }
    }

    fn request(&self, spec: ServiceSpec, port: u16) -> ContainerRequest<GenericImage> {
        let (name, tag) = self.image.name_and_tag();
        let exchange = self.exchange.display().to_string();
        let mut request = GenericImage::new(name, tag)
            .with_cmd(spec.args)
            .with_mapped_port(port, SERVICE_PORT.tcp())
            .with_mount(Mount::bind_mount(exchange.clone(), exchange))
            // Its process would run beside what is measured; readiness is asked from outside.
            .with_health_check(Healthcheck::none());
        for name in INHERITED {
            if let Ok(value) = std::env::var(name) {
                request = request.with_env_var(name, value);
            }
        }
        for (name, value) in spec.env {
            request = request.with_env_var(name, value);
        }
        let (user, group) = user();
        request.with_user(format!("{user}:{group}"))
    }
}

/// An executable that this image cannot run, told from a service that fails.
fn unfit(image: &Found, error: EnvironmentError) -> EnvironmentError {
    let (reason, ended) = match &error {
        EnvironmentError::Died { exit, log, .. } => (log.to_string(), *exit != Exit::Code(0)),
        EnvironmentError::Engine { reason, .. } => (reason.clone(), true),
        _ => return error,
    };
    if ended && NOT_FOR_THIS_IMAGE.iter().any(|words| reason.contains(words)) {
        return EnvironmentError::ImageUnfit { image: image.name.clone(), reason };
    }
    error
}

/// User and group of the services of a harness that is root, as the image makes them. Said in any case: an image of somebody's own may be
/// another's, and both must reach the exchange folder.
const UNPRIVILEGED: (u32, u32) = (10_001, 10_001);

/// An ordinary user's services run as that user, so that both may read and write the exchange folder.
fn user() -> (u32, u32) {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if user.is_root() { UNPRIVILEGED } else { (user.as_raw(), group.as_raw()) }
}

/// Makes the exchange folder and gives it to the services.
pub(super) fn make_exchange(exchange: &Path) -> Result<(), EnvironmentError> {
    std::fs::create_dir_all(exchange).map_err(EnvironmentError::io("make", exchange))?;
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = UNPRIVILEGED;
    lchown(exchange, Some(user), Some(group)).map_err(EnvironmentError::io("give to the services", exchange))
}

/// Gives the exchange folder and what the services wrote there to the harness's user: it may stay after the run.
pub(super) fn take_back(exchange: &Path) -> Result<(), EnvironmentError> {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let Ok(metadata) = std::fs::symlink_metadata(exchange) else { return Ok(()) };
    if !user.is_root() {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(exchange).map_err(EnvironmentError::io("read", exchange))?.flatten() {
            take_back(&entry.path())?;
        }
    }
    if metadata.uid() != UNPRIVILEGED.0 {
        return Ok(());
    }
    lchown(exchange, Some(user.as_raw()), Some(group.as_raw())).map_err(EnvironmentError::io("take back", exchange))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::LastLines;

    #[test]
    fn the_exchange_folder_is_the_services_and_comes_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let exchange = folder.path().join("exchange");
        let owner = |path: &Path| std::fs::symlink_metadata(path).expect("there").uid();
        make_exchange(&exchange).expect("made");
        assert_eq!(owner(&exchange), user().0);
        let written = exchange.join("core");
        std::fs::write(&written, "").expect("write");
        lchown(&written, Some(user().0), None).expect("as a service would");
        take_back(&exchange).expect("taken back");
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!((owner(&exchange), owner(&written)), (own, own));
        assert!(take_back(&folder.path().join("never made")).is_ok());
    }

    #[test]
    fn a_port_is_held_until_its_container_starts() {
        let ports = Ports::choose(&["core".to_owned()]).expect("a port");
        let port = ports.pinned()["core"];
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err(), "somebody else cannot have it");
        assert_eq!(ports.hand_over("core"), Some(port));
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[test]
    fn an_executable_for_a_newer_library_is_told_from_a_service_that_fails() {
        let image = Found::of("bankstorm:local", Default::default());
        let died = |line: &str| EnvironmentError::Died {
            name: "core".into(),
            waiting_for: "200".into(),
            exit: Exit::Code(1),
            log: LastLines { file: "/x/core.log".into(), lines: vec![line.into()] },
        };
        let newer = "bankstorm: /lib/libc.so.6: version `GLIBC_2.39' not found";
        let shown = unfit(&image, died(newer)).to_string();
        for expected in ["bankstorm:local", "GLIBC_2.39", "make image", "BANKSTORM_IMAGE_SERVICES"] {
            assert!(shown.contains(expected), "no `{expected}` in {shown}");
        }
        assert!(unfit(&image, died("no database")).to_string().starts_with("core ended"));
    }
}
