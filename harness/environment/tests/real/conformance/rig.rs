//! One environment with everything in it, shared by the cases of one kind.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_environment::{
    Death, Environment, EnvironmentKind, HARNESS, Needs, PlainProgress, Progress, Proxied, Quiet, Topic, Witness, start,
};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::probe::{proxy, spec};
use super::super::support::strings;

/// A topic of the shared environment.
pub(crate) const TOPIC: &str = "cases";
pub(crate) const PARTITIONS: u32 = 6;
/// Links of the shared environment that go through a proxy, to a node of each kind.
pub(crate) const PROXIED: [(&str, &str); 5] =
    [("beta", "alpha"), ("beta", "kafka-2"), ("beta", "postgres-core"), (HARNESS, "beta"), (HARNESS, "kafka-1")];
/// For a death to be told.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// What a case gets.
pub(crate) struct Up {
    pub(crate) kind: EnvironmentKind,
    pub(crate) environment: Box<dyn Environment>,
    deaths: tokio::sync::Mutex<UnboundedReceiver<Death>>,
}

impl Up {
    /// The next unplanned end.
    pub(crate) async fn death(&self) -> Death {
        let mut deaths = self.deaths.lock().await;
        tokio::time::timeout(DEATH_LIMIT, deaths.recv()).await.expect("in time").expect("the environment is there")
    }

    /// Whether a node of that name is (running, paused).
    pub(crate) fn state_of(&self, name: &str) -> (bool, bool) {
        let nodes = self.environment.nodes();
        let node = nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no {name} in {nodes:?}"));
        (node.running, node.paused)
    }

    pub(crate) async fn kill(&self, node: &str) -> Witness {
        let witness = tell(node, "kill", self.environment.kill(node).await);
        assert!(witness.what.contains("SIGKILL"), "{witness:?}");
        assert_eq!(self.state_of(node), (false, false), "after kill");
        assert!(!self.environment.pids().contains_key(node));
        witness
    }

    pub(crate) async fn pause(&self, node: &str) -> Witness {
        let witness = tell(node, "pause", self.environment.pause(node).await);
        assert_eq!(self.state_of(node), (true, true), "after pause");
        witness
    }

    pub(crate) async fn resume(&self, node: &str) -> Witness {
        let witness = tell(node, "resume", self.environment.resume(node).await);
        assert_eq!(self.state_of(node), (true, false), "after resume");
        witness
    }

    pub(crate) async fn restart(&self, node: &str) -> Witness {
        let witness = tell(node, "restart", self.environment.restart(node).await);
        assert!(witness.what.contains("ready after"), "{witness:?}");
        assert_eq!(self.state_of(node), (true, false), "after restart");
        witness
    }
}

/// Times are shown to whoever asks for the output of the tests; nothing depends on them.
fn tell(node: &str, done: &str, result: Result<Witness, bankstorm_environment::EnvironmentError>) -> Witness {
    let witness = result.unwrap_or_else(|error| panic!("{done} {node}: {error}"));
    assert!(witness.at_monotonic_ns > 0 && !witness.what.is_empty(), "{witness:?}");
    if verbose() {
        eprintln!("  {done} {node}: {}", witness.what);
    }
    witness
}

fn verbose() -> bool {
    std::env::var_os("BANKSTORM_TEST_VERBOSE").is_some()
}

/// Lines on standard error when they are asked for.
pub(crate) fn progress() -> Arc<dyn Progress> {
    if verbose() { Arc::new(PlainProgress) } else { Arc::new(Quiet) }
}

/// The shared environment of one kind: started by the first case that needs it.
pub(crate) struct Rig {
    pub(crate) kind: EnvironmentKind,
    /// Why this kind cannot run here.
    impossible: Option<String>,
    runtime: Runtime,
    state: Mutex<State>,
}

enum State {
    NotYet,
    Up(Box<Up>),
    Over(String),
}

impl Rig {
    pub(crate) fn new(kind: EnvironmentKind) -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let impossible = super::super::support::impossible(kind);
        Arc::new(Self { kind, impossible, runtime: runtime.expect("runtime"), state: Mutex::new(State::NotYet) })
    }

    /// A case on the shared environment. None may leave a death untold or a node down.
    pub(crate) fn case(self: &Arc<Self>, name: &str, case: impl AsyncFn(&Up) + Send + 'static) -> Trial {
        let rig = Arc::clone(self);
        self.trial(name, move || {
            rig.started()?;
            let state = rig.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State::Up(up) = &*state else { return Err("another case stopped it".into()) };
            rig.runtime.block_on(async {
                case(up).await;
                let left: Vec<_> =
                    up.environment.nodes().into_iter().filter(|node| !node.running || node.paused).collect();
                assert!(left.is_empty(), "left behind for the next case: {left:?}");
                if let Ok(death) = up.deaths.lock().await.try_recv() {
                    panic!("a planned end was told as a death: {death:?}");
                }
            });
            Ok(())
        })
    }

    /// The case that takes the shared environment down.
    pub(crate) fn last_case(self: &Arc<Self>, name: &str, case: impl AsyncFn(Box<Up>) + Send + 'static) -> Trial {
        let rig = Arc::clone(self);
        self.trial(name, move || {
            rig.started()?;
            let mut state = rig.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State::Up(up) = std::mem::replace(&mut *state, State::Over("it was stopped".into())) else {
                return Err("another case stopped it".into());
            };
            rig.runtime.block_on(case(up));
            Ok(())
        })
    }

    /// A case with environments of its own.
    pub(crate) fn own_case(
        self: &Arc<Self>,
        name: &str,
        case: impl AsyncFn(EnvironmentKind) + Send + 'static,
    ) -> Trial {
        let rig = Arc::clone(self);
        self.trial(name, move || {
            rig.runtime.block_on(case(rig.kind));
            Ok(())
        })
    }

    fn trial(&self, name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
        let trial = Trial::test(format!("{}::{name}", self.kind.as_str()), run);
        match &self.impossible {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        }
    }

    fn started(&self) -> Result<(), Failed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::NotYet = &*state {
            *state = match self.runtime.block_on(bring_up(self.kind)) {
                Ok(up) => State::Up(Box::new(up)),
                Err(reason) => State::Over(reason),
            };
        }
        match &*state {
            State::Over(reason) => Err(format!("no environment: {reason}").into()),
            _ => Ok(()),
        }
    }

    /// Whether nothing is left of it, also when a filter left out the case that stops it.
    pub(crate) fn stop_if_up(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Up(up) = std::mem::replace(&mut *state, State::Over("it was stopped".into())) else { return true };
        match self.runtime.block_on(up.environment.stop()) {
            Ok(()) => true,
            Err(error) => {
                eprintln!("{}: {error}", self.kind.as_str());
                false
            }
        }
    }
}

async fn bring_up(kind: EnvironmentKind) -> Result<Up, String> {
    let needs = Needs {
        databases: strings(&["core", "channel"]),
        brokers: 3,
        kafka_clients: strings(&["alpha", "beta", HARNESS]),
        topics: vec![Topic { name: TOPIC.to_owned(), partitions: PARTITIONS }],
        redis: true,
        services: strings(&["alpha", "beta"]),
        proxied: PROXIED.map(|(from, to)| Proxied { from: from.into(), to: to.into() }).into(),
        ..Needs::for_test("conformance")
    };
    let links = needs.proxied.clone();
    let environment = start(kind, needs, progress()).await.map_err(|error| error.to_string())?;
    let deaths = tokio::sync::Mutex::new(environment.deaths());
    let up = environment.as_ref();
    let tries = |own: &str, peer: &str| {
        [
            ("database-core", up.database("core", own)),
            ("database-channel", up.database("channel", own)),
            ("kafka", up.kafka(own)),
            ("redis", up.redis(own)),
            ("peer", up.url(peer, own)),
            ("write", up.exchange().join(own).display().to_string()),
        ]
    };
    let specs =
        vec![spec(up, "alpha", "stay", &tries("alpha", "beta")), spec(up, "beta", "stay", &tries("beta", "alpha"))];
    let proxies = links.iter().map(|link| proxy(up, link)).collect();
    let started = async {
        environment.start_services(proxies).await?;
        environment.start_services(specs).await
    };
    match started.await {
        Ok(()) => Ok(Up { kind, environment, deaths }),
        Err(error) => {
            let stopped = environment.stop().await;
            Err(format!("{error}; stopped: {stopped:?}"))
        }
    }
}
