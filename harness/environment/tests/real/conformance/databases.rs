//! A database that is killed, frozen and restarted.

use std::time::Duration;

use bankstorm_environment::HARNESS;
use tokio::time::timeout;

use super::super::support::{ask, query};
use super::rig::Up;

/// How long a frozen server must be silent before the case believes it.
const SILENCE: Duration = Duration::from_millis(500);
/// For an answer after it went on.
const ANSWER: Duration = Duration::from_secs(20);

async fn rows(address: &str) -> String {
    ask(address, "select coalesce(string_agg(word, ' ' order by word), '') from words").await
}

pub(crate) async fn killed(up: &Up) {
    let address = up.environment.database("core", HARNESS);
    ask(&address, "create table words (word text)").await;
    ask(&address, "insert into words values ('before')").await;
    // A backend in the midst of something: nothing of it may live on.
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.expect("connect");
    let kill = async {
        let pid = up.environment.pids()["postgres-core"];
        let witness = up.kill("postgres-core").await;
        assert!(!super::super::support::lives(pid as i32), "{witness:?}");
    };
    let (asleep, connected, ()) = tokio::join!(client.simple_query("select pg_sleep(600)"), connection, kill);
    assert!(asleep.is_err() && connected.is_err(), "its connections are cut");
    assert!(query(&address, "select 1").await.is_err(), "nobody answers");

    up.restart("postgres-core").await;
    assert_eq!(rows(&address).await, "before");
    ask(&address, "insert into words values ('after')").await;
    let log = up.environment.log("postgres-core").await.expect("a log");
    assert!(log.matches("ready to accept connections").count() >= 2, "both lives are in it");
    assert!(log.contains("automatic recovery in progress"), "{log}");
}

pub(crate) async fn frozen(up: &Up) {
    let address = up.environment.database("channel", HARNESS);
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.expect("connect");
    let case = async {
        client.simple_query("select 1").await.expect("an answer");
        up.pause("postgres-channel").await;
        // Neither an old connection nor a new one.
        let mut old = Box::pin(client.simple_query("select 2"));
        assert!(timeout(SILENCE, &mut old).await.is_err(), "a frozen server answered");
        assert!(timeout(SILENCE, query(&address, "select 3")).await.is_err(), "a frozen server took a connection");
        up.resume("postgres-channel").await;
        timeout(ANSWER, old).await.expect("in time").expect("the same connection goes on");
        assert_eq!(timeout(ANSWER, query(&address, "select 3")).await.expect("in time").expect("an answer"), "3");
        up.resume("postgres-channel").await;
        drop(client);
    };
    let (connected, ()) = tokio::join!(connection, case);
    connected.expect("the connection outlived it");
}

pub(crate) async fn restarted(up: &Up) {
    let address = up.environment.database("channel", HARNESS);
    ask(&address, "create table words (word text)").await;
    ask(&address, "insert into words values ('kept')").await;
    up.restart("postgres-channel").await;
    assert_eq!(rows(&address).await, "kept");
    // A frozen one goes on first, or it could not stop.
    up.pause("postgres-channel").await;
    up.restart("postgres-channel").await;
    assert_eq!(rows(&address).await, "kept");
    let log = up.environment.log("postgres-channel").await.expect("a log");
    assert!(log.contains("received fast shutdown request"), "in order: {log}");
    assert!(!log.contains("automatic recovery in progress"), "in order: {log}");
}
