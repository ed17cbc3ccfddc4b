//! Services and the cache: killed, frozen, ended by somebody else; and what is refused.

use std::time::Duration;

use bankstorm_environment::{EnvironmentKind, Exit, HARNESS, Signal};
use futures_util::FutureExt;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::time::timeout;

use super::super::support::{get, ping};
use super::rig::Up;

const SILENCE: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(20);

pub(crate) async fn killed(up: &Up) {
    let url = up.environment.url("alpha", HARNESS);
    let witness = up.kill("alpha").await;
    assert!(get(&url).await.is_err(), "nobody answers");
    let error = up.environment.kill("alpha").await.expect_err("it is dead").to_string();
    assert!(error.contains("could not kill alpha: it does not run"), "{error}");

    let again = up.restart("alpha").await;
    assert!(again.at_monotonic_ns > witness.at_monotonic_ns);
    assert_eq!(get(&url).await.expect("at the same address"), "here");
    // In order, while it runs.
    up.restart("alpha").await;
    assert_eq!(get(&url).await.expect("at the same address"), "here");
    let log = up.environment.log("alpha").await.expect("a log");
    assert_eq!(log.matches("this life is process").count(), 3, "{log}");
}

pub(crate) async fn frozen(up: &Up) {
    let url = format!("{}/hello", up.environment.url("beta", HARNESS));
    up.pause("beta").await;
    let question = get(&url);
    tokio::pin!(question);
    assert!(timeout(SILENCE, &mut question).await.is_err(), "a frozen service answered");
    up.resume("beta").await;
    assert_eq!(timeout(ANSWER, question).await.expect("in time").expect("late, not never"), "here");
    // A frozen one can be killed too.
    up.pause("beta").await;
    up.kill("beta").await;
    up.restart("beta").await;
}

/// A caller that stops waiting in the midst: what heals the node works all the same.
pub(crate) async fn cut_short(up: &Up) {
    let url = format!("{}/hello", up.environment.url("alpha", HARNESS));
    for after in [0, 5, 40].map(Duration::from_millis) {
        given_up(after, up.environment.pause("alpha")).await;
        up.resume("alpha").await;
        assert_eq!(timeout(ANSWER, get(&url)).await.expect("in time").expect("it goes on"), "here");
        given_up(after, up.environment.kill("alpha")).await;
        up.restart("alpha").await;
        assert_eq!(get(&url).await.expect("it runs again"), "here");
    }
}

/// Begins an operation and waits for it no longer than that.
async fn given_up<T>(after: Duration, operation: impl Future<Output = T> + Unpin) {
    if after.is_zero() {
        assert!(operation.now_or_never().is_none(), "it has to wait for something");
    } else {
        // Over or not, wherever it is.
        drop(timeout(after, operation).await);
    }
}

pub(crate) async fn redis_killed(up: &Up) {
    let address = up.environment.redis(HARNESS);
    up.kill("redis").await;
    assert!(ping(&address).await.is_err(), "nobody answers");
    up.restart("redis").await;
    assert!(ping(&address).await.expect("at the same address").starts_with("+PONG"));
}

pub(crate) async fn unplanned(up: &Up) {
    // Planned deaths before it must not hide it, nor count as it.
    up.restart("alpha").await;
    let pid = up.environment.pids()["alpha"];
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the permission to");
    let death = up.death().await;
    assert_eq!((death.name.as_str(), death.pid), ("alpha", pid));
    assert_eq!(death.exit, Exit::Signal(9), "{death:?}");
    assert!(death.last_lines.iter().any(|line| line.contains("this life is process")), "{death:?}");
    assert_eq!(up.state_of("alpha"), (false, false));
    up.restart("alpha").await;
    assert_eq!(get(&up.environment.url("alpha", HARNESS)).await.expect("again"), "here");
}

pub(crate) async fn refusals(up: &Up) {
    let environment = up.environment.as_ref();
    for (doing, result) in [
        ("kill", environment.kill("nobody").await),
        ("pause", environment.pause("nobody").await),
        ("resume", environment.resume("nobody").await),
        ("restart", environment.restart("nobody").await),
    ] {
        let error = result.expect_err("no such node").to_string();
        assert!(error.starts_with(&format!("could not {doing} nobody: ")), "{error}");
    }
    assert!(environment.log("nobody").await.is_err());
}

pub(crate) async fn disconnected(up: &Up) {
    let peer = format!("{}/peer", up.environment.url("beta", HARNESS));
    if up.kind == EnvironmentKind::Local {
        for result in [up.environment.disconnect("alpha").await, up.environment.reconnect("alpha").await] {
            let error = result.expect_err("one loopback for all").to_string();
            assert!(error.contains("--env containers"), "{error}");
        }
        return;
    }
    up.environment.disconnect("alpha").await.expect("off the network");
    let unreachable = timeout(ANSWER, get(&peer)).await;
    up.environment.reconnect("alpha").await.expect("back on the network");
    assert!(!matches!(unreachable, Ok(Ok(_))), "it was reached: {unreachable:?}");
    assert_eq!(timeout(ANSWER, get(&peer)).await.expect("in time").expect("reached again"), "here");
}
