//! Processes of our own on `local`: what is said when they do not come up or do not go.

use bankstorm_environment::{Environment, Needs};
use libtest_mimic::Failed;

use super::probe::spec;
use super::support::{alive_in, on_runtime, start, strings};

async fn with_core(test: &str) -> Box<dyn Environment> {
    start(Needs { services: strings(&["core"]), ..Needs::for_test(test) }).await.expect("start")
}

pub(crate) fn names() -> Result<(), Failed> {
    on_runtime(async {
        let up = with_core("names").await;
        up.start_services(vec![spec(up.as_ref(), "core", "stay", &[])]).await.expect("service");
        let again = up.start_services(vec![spec(up.as_ref(), "core", "stay", &[])]).await.expect_err("it runs");
        assert!(again.to_string().contains("ServiceSpec::name = core: one of Needs::services"), "{again}");
        let mut stranger = spec(up.as_ref(), "core", "stay", &[]);
        stranger.name = "stranger".into();
        let unknown = up.start_services(vec![stranger]).await.expect_err("nobody named it");
        assert!(unknown.to_string().contains("ServiceSpec::name = stranger"), "{unknown}");
        up.stop().await.expect("stop");
    })
}

pub(crate) fn exits_at_once() -> Result<(), Failed> {
    on_runtime(async {
        let up = with_core("exits").await;
        let service = spec(up.as_ref(), "core", "exit", &[]);
        let error = up.start_services(vec![service]).await.expect_err("it exits").to_string();
        let expected = [
            "core ended (exit code 7) while it was waited for 200 from http://127.0.0.1:",
            "\n    the service's last words: 127.0.0.1:",
        ];
        for part in expected {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
        up.stop().await.expect("stop");
    })
}

pub(crate) fn taken_port() -> Result<(), Failed> {
    on_runtime(async {
        let up = with_core("taken").await;
        // It takes connections and says nothing.
        let holder = std::net::TcpListener::bind(up.listen("core")).expect("reserved, not yet used");
        let error = up.start_services(vec![spec(up.as_ref(), "core", "stay", &[])]).await.expect_err("it is taken");
        assert!(error.to_string().starts_with("core found its port taken by another process"), "{error}");
        drop(holder);
        up.start_services(vec![spec(up.as_ref(), "core", "stay", &[])]).await.expect("free again");
        up.stop().await.expect("stop");
    })
}

pub(crate) fn stubborn() -> Result<(), Failed> {
    on_runtime(async {
        let up = with_core("stubborn").await;
        let folder = up.folder().to_owned();
        up.start_services(vec![spec(up.as_ref(), "core", "deaf", &[])]).await.expect("service");
        let restarted = up.restart("core").await.expect("by force").what;
        assert!(restarted.contains("did not end within 10 s of SIGTERM and was killed"), "{restarted}");
        let error = up.stop().await.expect_err("it is deaf").to_string();
        assert!(error.contains("core did not end within 10 s of SIGTERM and was killed"), "{error}");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
    })
}
