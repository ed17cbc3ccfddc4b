//! One private PostgreSQL cluster: initdb, start on a free port, one database.
//!
//! Durability is PostgreSQL's default (fsync and synchronous_commit on), because that is what a deposit costs. Only `initdb` runs
//! with `--no-sync`: the cluster is empty, and a machine that crashes during the start loses nothing that anybody wrote.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User};

use super::launch::Launcher;
use super::nodes::{Nodes, Plan, Ready};
use crate::environment::NodeKind;
use crate::ports::free_port;
use crate::reaper::Spawn;
use crate::tools::Postgres;
use crate::{EnvironmentError, limits};

/// The role that the run uses, and the only one.
pub(crate) const ROLE: &str = "bankstorm";
/// Settings of the server, wherever it runs; durability is as PostgreSQL has it.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    // Commit times are evidence.
    ("track_commit_timestamp", "on"),
    ("max_connections", "120"),
    ("shared_buffers", "128MB"),
];
const INITDB_LIMIT: Duration = Duration::from_secs(60);
const CREATE_LIMIT: Duration = Duration::from_secs(30);
/// For one answer; it is asked again within the limit of the whole wait.
const ANSWER: Duration = Duration::from_secs(3);
const READY_LINE: &str = "database system is ready to accept connections";
/// Ports are picked before they are bound, so another process can be faster.
const PORT_TRIES: u32 = 5;

/// Name of the process, its log and its folder.
pub(crate) fn process_name(database: &str) -> String {
    format!("postgres-{database}")
}

/// Connection string for tokio-postgres.
pub(crate) fn address(port: u16, database: &str) -> String {
    format!("host=127.0.0.1 port={port} user={ROLE} dbname={database}")
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made.
pub(super) fn owner(root: bool) -> Result<Option<(u32, u32)>, EnvironmentError> {
    if !root {
        return Ok(None);
    }
    match User::from_name("postgres") {
        Ok(Some(user)) => Ok(Some((user.uid.as_raw(), user.gid.as_raw()))),
        Ok(None) | Err(_) => Err(EnvironmentError::NoPostgresUser),
    }
}

/// Starts the cluster that holds `database`; its port.
pub(super) async fn start(
    launcher: &Launcher<'_>,
    nodes: &Nodes,
    database: &str,
    tools: &Postgres,
    owner: Option<(u32, u32)>,
) -> Result<u16, EnvironmentError> {
    let name = process_name(database);
    let data = launcher.reaper.folder().join(&name);
    make_data_folder(&data, owner)?;
    let child = |program: &str, args: Vec<String>| Spawn {
        // Neither a caller's PGPORT or PGDATA nor its language may leak in: the log is searched for English lines.
        inherit_env: false,
        env: clean_environment(),
        cwd: Some(data.clone()),
        user: owner,
        last_signal: Signal::SIGQUIT as i32,
        ..launcher.child(&name, &tools.bin.join(program), args)
    };
    let init = Spawn { append_log: false, ..child("initdb", initdb_arguments(&data)) };
    launcher.run_to_end(init, "initdb", INITDB_LIMIT).await?;

    for _ in 0..PORT_TRIES {
        let port = free_port().map_err(EnvironmentError::io("find a free port for", &data))?;
        let plan = Plan {
            kind: NodeKind::Database,
            spawn: child("postgres", server_arguments(&data, port)),
            // Another server may have the port: the line says that it is this one.
            ready: Ready::Select { line: READY_LINE, address: address(port, "postgres") },
        };
        nodes.note(&name, plan.clone());
        match plan.start(launcher, limits::of(NodeKind::Database).first).await {
            Ok(_) => {
                create_database(launcher, &name, port, database).await?;
                launcher.reaper.watch(&name);
                return Ok(port);
            }
            Err(EnvironmentError::PortTaken { .. }) => {
                tracing::info!(name, port, "taken meanwhile, trying another port")
            }
            Err(error) => return Err(error),
        }
    }
    Err(EnvironmentError::Ports { log: launcher.last_lines(&name), name, tries: PORT_TRIES })
}

fn make_data_folder(data: &Path, owner: Option<(u32, u32)>) -> Result<(), EnvironmentError> {
    std::fs::create_dir(data).map_err(EnvironmentError::io("make", data))?;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700))
        .map_err(EnvironmentError::io("close", data))?;
    if let Some((uid, gid)) = owner {
        nix::unistd::chown(data, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(|error| EnvironmentError::io("give to postgres", data)(error.into()))?;
    }
    Ok(())
}

fn clean_environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
    BTreeMap::from([("PATH".into(), path), ("LC_ALL".into(), "C".into())])
}

fn initdb_arguments(data: &Path) -> Vec<String> {
    // The C locale sorts the same on every machine, and every machine has it.
    let fixed = ["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8", "--no-instructions"];
    let mut args: Vec<String> = fixed.iter().map(|arg| (*arg).to_owned()).collect();
    args.push(format!("--username={ROLE}"));
    args.push(format!("--pgdata={}", data.display()));
    args
}

fn server_arguments(data: &Path, port: u16) -> Vec<String> {
    let mut args = vec!["-D".to_owned(), data.display().to_string()];
    let settings = [
        // Whoever may open a loopback port may connect; nobody from outside can. No socket file: its path has a length limit.
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("unix_socket_directories", String::new()),
        ("port", port.to_string()),
        // Files below the data folder, which go with it; the default's lie in /dev/shm and outlive a SIGKILL. Only parallel queries and
        // the statistics of many tables use them.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
    ];
    let shared = SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in settings.into_iter().chain(shared) {
        args.push("-c".to_owned());
        args.push(format!("{name}={value}"));
    }
    args
}

/// `select 1` and the database, over the port that the log said is open.
async fn create_database(
    launcher: &Launcher<'_>,
    name: &str,
    port: u16,
    database: &str,
) -> Result<(), EnvironmentError> {
    let asked = format!("database {database}");
    let reason = launcher
        .until(name, &asked, CREATE_LIMIT, || async { Some(ask_for_database(port, database).await.err()) })
        .await?;
    match reason {
        None => Ok(()),
        Some(error) => Err(EnvironmentError::Refused {
            name: name.to_owned(),
            asked,
            reason: error.to_string(),
            log: launcher.last_lines(name),
        }),
    }
}

async fn ask_for_database(port: u16, database: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&address(port, "postgres"), tokio_postgres::NoTls).await?;
    let ask = async {
        client.simple_query(&format!("create database \"{database}\"")).await?;
        drop(client);
        Ok(())
    };
    let (asked, connected) = tokio::join!(ask, connection);
    asked.and(connected)
}

/// First column of the first row, on a connection of its own. An engine's forwarding takes a connection before the server listens, so a refusal is no error here.
pub(crate) async fn ask(address: &str, sql: &str) -> Option<String> {
    let ask = async {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.ok()?;
        let question = async {
            let rows = client.simple_query(sql).await.ok()?;
            drop(client);
            rows.into_iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        };
        tokio::join!(question, connection).0
    };
    tokio::time::timeout(ANSWER, ask).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_keeps_its_default_durability_and_listens_on_loopback_alone() {
        let args = server_arguments(Path::new("/tmp/x"), 5_000).join(" ");
        assert!(args.contains("listen_addresses=127.0.0.1") && args.contains("port=5000"), "{args}");
        assert!(args.contains("track_commit_timestamp=on"), "{args}");
        assert!(!args.contains("fsync") && !args.contains("synchronous_commit"), "{args}");
        assert!(!args.contains("no-sync"), "{args}");
    }

    #[test]
    fn an_ordinary_user_runs_postgres_as_oneself() {
        assert_eq!(owner(false).expect("no look-up"), None);
    }
}
