//! Commits that are cut, of a real server and the client library that the services use.

use std::net::SocketAddr;
use std::sync::Arc;

use bankstorm_environment::{Environment, EnvironmentKind, HARNESS, Needs, Quiet, start};
use bankstorm_faults::rule::Effect;
use bankstorm_proxy::Protocol;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use super::rig::{Proxy, all, run, soon};
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![("commits_of_a_real_server_are_cut_before_and_after", cuts)]
}

fn cuts() {
    run(async {
        let needs = Needs { databases: vec!["core".to_owned()], ..Needs::for_test("proxied-postgres") };
        let up = start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await.expect("start");
        let (config, address) = addressed(up.as_ref());
        let proxy = Proxy::before(address, Protocol::Postgres).await;
        let direct = connect(&config, address).await;
        direct.batch_execute("create table words (word text)").await.expect("a table");

        // With no rule: simple, prepared and pipelined, and a copy.
        let client = connect(&config, proxy.address).await;
        client.batch_execute("begin; insert into words values ('simple'); commit").await.expect("passed");
        transact(&client, "passed").await.expect("passed");
        assert_eq!(words(&direct).await, "passed simple");

        proxy.put("before", all(Effect::CommitCutBefore)).await;
        transact(&client, "before").await.expect_err("cut");
        assert_eq!(words(&direct).await, "passed simple", "the server never saw it");
        assert_eq!(proxy.take("before").await.hits, 1);

        let client = connect(&config, proxy.address).await;
        proxy.put("after", all(Effect::CommitCutAfter)).await;
        transact(&client, "after").await.expect_err("cut");
        assert_eq!(words(&direct).await, "after passed simple", "it was carried out");
        assert_eq!(proxy.take("after").await.hits, 1);

        let mut client = connect(&config, proxy.address).await;
        proxy.put("again", all(Effect::CommitCutAfter)).await;
        let transaction = client.transaction().await.expect("begun");
        transaction.execute("insert into words values ('again')", &[]).await.expect("written");
        transaction.commit().await.expect_err("cut");
        assert_eq!(words(&direct).await, "after again passed simple");
        assert_eq!(proxy.take("again").await.hits, 1);
        up.stop().await.expect("stop");
    });
}

fn addressed(up: &dyn Environment) -> (Config, SocketAddr) {
    let config: Config = up.database("core", HARNESS).parse().expect("a connection string");
    let port = config.get_ports().first().copied().unwrap_or(5432);
    (config, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The same user and database at another address.
async fn connect(config: &Config, address: SocketAddr) -> Client {
    let mut at = Config::new();
    at.host(address.ip().to_string()).port(address.port());
    if let Some(user) = config.get_user() {
        at.user(user);
    }
    if let Some(database) = config.get_dbname() {
        at.dbname(database);
    }
    if let Some(password) = config.get_password() {
        at.password(password);
    }
    let (client, connection) = soon(at.connect(NoTls)).await.expect("connected");
    #[expect(clippy::disallowed_methods, reason = "the test's own runtime; ends with its client")]
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// As the services do it: all statements prepared, and sent without waiting for each other's answers.
async fn transact(client: &Client, word: &str) -> Result<(), tokio_postgres::Error> {
    let begin = client.prepare("BEGIN").await?;
    let insert = client.prepare("INSERT INTO words VALUES ($1)").await?;
    let commit = client.prepare("COMMIT").await?;
    let row: [&(dyn ToSql + Sync); 1] = [&word];
    let sent = async {
        tokio::try_join!(client.execute(&begin, &[]), client.execute(&insert, &row), client.execute(&commit, &[]))
    };
    soon(sent).await.map(drop)
}

async fn words(direct: &Client) -> String {
    let row = soon(direct.query_one("SELECT string_agg(word, ' ' ORDER BY word) FROM words", &[])).await;
    row.expect("an answer").get(0)
}
