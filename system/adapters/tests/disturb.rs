//! What faults do to a server, on servers of their own: everybody on them waits.
//!
//! In: nothing; each trial starts its server. Out: one trial a case. Elsewhere: what a bank makes of it (`harness/cli`).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_adapters::postgres::core;
use bankstorm_adapters::postgres::disturb::{
    HeldRows, Rows, Session, StalledCommits, free_rows, hold_rows, release_commits, stall_commits,
};
use bankstorm_environment::{Environment, EnvironmentKind, HARNESS, Needs, Quiet, start};
use libtest_mimic::Trial;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::Place;
use crate::database::{LIMIT, channel_database, client, number, try_client, until};

/// How long somebody who waits is watched before the trial believes it.
const SILENCE: Duration = Duration::from_millis(400);
const WAIT_FOR_A_STANDBY: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
const HOLDERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bankstorm-lock-holder'";

/// The list.
pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! case {
        ($case:ident) => {
            place.trial(format!("disturb::{}", stringify!($case)), |_| on_a_server($case))
        };
    }
    vec![
        case!(a_stalled_commit_is_answered_once_it_is_released),
        case!(a_stall_is_healed_on_a_server_that_lets_nobody_in),
        case!(rows_that_are_held_let_a_writer_wait_until_they_are_free),
        case!(heads_are_held_in_their_own_database_alone),
        case!(what_was_cut_short_is_healed),
        case!(a_server_that_was_restarted_is_healed),
    ]
}

/// A server with core's tables and three accounts.
struct Server {
    environment: Box<dyn Environment>,
    url: String,
}

impl Server {
    async fn client(&self) -> Client {
        client(&self.url).await
    }

    async fn restart(&self) {
        self.environment.restart("postgres-core").await.expect("in order");
    }
}

async fn on_a_server<C: Future<Output = ()>>(case: impl FnOnce(Arc<Server>) -> C) {
    let needs = Needs { databases: vec!["core".to_owned()], ..Needs::for_test("disturb") };
    let environment = start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await.expect("a server");
    let url = environment.database("core", HARNESS);
    core::apply_schema(&url).await.expect("core's tables");
    let server = Arc::new(Server { environment, url });
    let writer = server.client().await;
    writer
        .batch_execute(
            "INSERT INTO account (no, seq, balance) VALUES (1000001, 0, 0), (1000002, 0, 0), (1000003, 0, 0)",
        )
        .await
        .expect("accounts");
    case(Arc::clone(&server)).await;
    let server = Arc::into_inner(server).expect("nobody else has it any more");
    server.environment.stop().await.expect("in order");
}

const WRITE: &str = "UPDATE account SET balance = balance + 1 WHERE no = 1000002";
const BALANCE: &str = "SELECT balance FROM account WHERE no = 1000002";

/// Commits one after the other, and never ends.
async fn commits(writer: &Client) {
    loop {
        writer.batch_execute(WRITE).await.expect("late, not never");
    }
}

/// A stall that has struck, with somebody whose commits it lets wait.
async fn stalled(server: &Server, commits: &mut (impl Future<Output = ()> + Unpin)) -> StalledCommits {
    tokio::select! {
        biased;
        stalled = stall_commits(&server.url) => stalled.expect("somebody waits"),
        () = commits => unreachable!("it never ends"),
    }
}

async fn a_stalled_commit_is_answered_once_it_is_released(server: Arc<Server>) {
    let (writer, other) = (server.client().await, server.client().await);
    writer.batch_execute("SET application_name = 'writer'").await.expect("set");
    let pid: i32 = writer.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row").get(0);
    let mut commits = std::pin::pin!(commits(&writer));
    let stalled = stalled(&server, &mut commits).await;
    assert_eq!(stalled.waiting, [Session { pid, name: "writer".to_owned() }]);
    let seen = number(&other, BALANCE).await;
    assert!(timeout(SILENCE, &mut commits).await.is_err(), "it never ends");
    assert_eq!(number(&other, BALANCE).await, seen, "nobody sees what is not answered");
    release_commits(&server.url, Some(&stalled)).await.expect("released");
    tokio::select! {
        biased;
        () = until(&other, BALANCE, |balance| balance > seen + 1) => {}
        () = &mut commits => unreachable!("it never ends"),
    }
    assert_eq!(number(&other, WAIT_FOR_A_STANDBY).await, 0);
    for stalled in [Some(&stalled), None] {
        release_commits(&server.url, stalled).await.expect("once more is no error");
    }
}

/// Whoever waits keeps its place, its client gone or not, until there is none left.
async fn a_stall_is_healed_on_a_server_that_lets_nobody_in(server: Arc<Server>) {
    let writer = server.client().await;
    let mut commits = std::pin::pin!(commits(&writer));
    let stalled = stalled(&server, &mut commits).await;
    let mut others = Vec::new();
    let refused = loop {
        match try_client(&server.url).await {
            Ok(other) => others.push(other),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{refused}");
    timeout(LIMIT, release_commits(&server.url, Some(&stalled))).await.expect("in time").expect("released");
    timeout(LIMIT, others[0].batch_execute(WRITE)).await.expect("in time").expect("written");
}

async fn rows_that_are_held_let_a_writer_wait_until_they_are_free(server: Arc<Server>) {
    let (writer, other) = (server.client().await, server.client().await);
    let HeldRows { session, count, .. } = &hold_rows(&server.url, Rows::Accounts).await.expect("held");
    assert_eq!((*count, session.name.as_str()), (3, "bankstorm-lock-holder"));
    let mut write = Box::pin(writer.batch_execute(WRITE));
    assert!(timeout(SILENCE, &mut write).await.is_err(), "a row that is held was written");
    assert_eq!(number(&other, BALANCE).await, 0, "readers do not wait");
    let freed = free_rows(&server.url).await.expect("freed");
    assert_eq!(freed, std::slice::from_ref(session));
    timeout(LIMIT, write).await.expect("in time").expect("written");
    assert_eq!(number(&other, HOLDERS).await, 0);
    assert_eq!(free_rows(&server.url).await.expect("once more is no error"), []);
}

async fn heads_are_held_in_their_own_database_alone(server: Arc<Server>) {
    let url = channel_database(&server.url).await;
    let writer = client(&url).await;
    writer.batch_execute("INSERT INTO account_sync (account) VALUES (1000001), (1000002)").await.expect("heads");
    let accounts = hold_rows(&server.url, Rows::Accounts).await.expect("held");
    let heads = hold_rows(&url, Rows::Heads).await.expect("held");
    assert_eq!((accounts.count, heads.count), (3, 2));
    let mut write = Box::pin(writer.batch_execute("UPDATE account_sync SET dirty = true WHERE account = 1000001"));
    assert!(timeout(SILENCE, &mut write).await.is_err(), "a row that is held was written");
    assert_eq!(free_rows(&url).await.expect("freed"), std::slice::from_ref(&heads.session));
    timeout(LIMIT, write).await.expect("in time").expect("written");
    assert_eq!(
        free_rows(&server.url).await.expect("freed"),
        std::slice::from_ref(&accounts.session),
        "held all the while"
    );
}

/// Nobody waits for the strike any more; what it did, or still does on the server, is undone.
async fn what_was_cut_short_is_healed(server: Arc<Server>) {
    let (writer, other) = (server.client().await, server.client().await);
    assert!(timeout(SILENCE, stall_commits(&server.url)).await.is_err(), "nobody writes");
    let mut write = Box::pin(writer.batch_execute(WRITE));
    assert!(timeout(SILENCE, &mut write).await.is_err(), "it was stalled all the same");
    release_commits(&server.url, None).await.expect("released");
    timeout(LIMIT, write).await.expect("in time").expect("written");

    // One that waits for a row itself.
    writer.batch_execute(&format!("BEGIN; {WRITE}")).await.expect("a row in use");
    assert!(timeout(SILENCE, hold_rows(&server.url, Rows::Accounts)).await.is_err(), "it waits for that row");
    free_rows(&server.url).await.expect("freed");
    assert_eq!(number(&other, HOLDERS).await, 0);
    writer.batch_execute("COMMIT").await.expect("not in anybody's way");
}

/// The stall outlives a restart, rows do not; either is healed, also when the heal begins before the server is back.
async fn a_server_that_was_restarted_is_healed(server: Arc<Server>) {
    let _held = hold_rows(&server.url, Rows::Accounts).await.expect("held");
    let writer = server.client().await;
    let mut emit = Box::pin(async {
        loop {
            writer.batch_execute("SELECT pg_logical_emit_message(true, 'trial', 'a commit')").await.expect("answered");
        }
    });
    let stalled = stalled(&server, &mut emit).await;
    server.environment.kill("postgres-core").await.expect("killed");
    let healed = async { tokio::join!(release_commits(&server.url, Some(&stalled)), free_rows(&server.url)) };
    let ((released, freed), ()) = tokio::join!(healed, server.restart());
    released.expect("released once it is back");
    assert_eq!(freed.expect("freed once it is back"), [], "no session outlives its server");
    let again = server.client().await;
    timeout(LIMIT, again.batch_execute(WRITE)).await.expect("commits and rows are free").expect("written");
}
