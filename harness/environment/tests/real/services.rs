//! Processes of our own: ready, dead, stopped, stubborn.

use std::time::Duration;

use bankstorm_environment::{Exit, Needs, ServiceSpec, Signal, free_port};
use libtest_mimic::Failed;

use super::roles::SERVICE;
use super::support::{alive_in, on_runtime, start};

/// This binary as a service.
pub(crate) fn spec(name: &str, port: u16, behaviour: &str) -> ServiceSpec {
    let args = vec![SERVICE.to_owned(), port.to_string(), behaviour.to_owned()];
    ServiceSpec::new(name, args, format!("http://127.0.0.1:{port}/readyz"))
}

pub(crate) fn life() -> Result<(), Failed> {
    on_runtime(async {
        let mut local = start(Needs::for_test("services")).await.expect("start");
        let folder = local.folder().to_owned();
        let (one, two) = (free_port().expect("port"), free_port().expect("port"));
        let both = vec![spec("channel-0", one, "stay"), spec("channel-1", two, "stay")];
        local.start_services(both).await.expect("services");
        let mut deaths = local.deaths();

        let same = local.start_services(vec![spec("channel-0", one, "stay")]).await.expect_err("the name is taken");
        assert!(same.to_string().contains("ServiceSpec::name = channel-0"), "{same}");

        local.signal("channel-0", Signal::SIGKILL).await.expect("signal");
        let death =
            tokio::time::timeout(Duration::from_secs(10), deaths.recv()).await.expect("in time").expect("a death");
        assert_eq!((death.name.as_str(), death.exit), ("channel-0", Exit::Signal(9)));
        assert_eq!(local.pids().into_keys().collect::<Vec<_>>(), ["channel-1"]);

        // A name is free again after a death: this is how a fault restarts a process.
        local.start_services(vec![spec("channel-0", one, "stay")]).await.expect("again");
        local.stop().await.expect("stop");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
        assert!(deaths.try_recv().is_err(), "a planned stop is not a death");
    })
}

pub(crate) fn exits_at_once() -> Result<(), Failed> {
    on_runtime(async {
        let mut local = start(Needs::for_test("exits")).await.expect("start");
        let port = free_port().expect("port");
        let error = local.start_services(vec![spec("core", port, "exit")]).await.expect_err("it exits").to_string();
        let expected = [
            "core ended (exit code 7) while it was waited for 200 from http://127.0.0.1:",
            "\n    the service's last words: port",
        ];
        for part in expected {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
        local.stop().await.expect("stop");
    })
}

pub(crate) fn stubborn() -> Result<(), Failed> {
    on_runtime(async {
        let mut local = start(Needs::for_test("stubborn")).await.expect("start");
        let folder = local.folder().to_owned();
        let port = free_port().expect("port");
        local.start_services(vec![spec("core", port, "deaf")]).await.expect("service");
        let error = local.stop().await.expect_err("it is deaf").to_string();
        assert!(error.contains("core did not end within 10 s of SIGTERM and was killed"), "{error}");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
    })
}
