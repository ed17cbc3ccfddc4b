//! What the tests share: a runtime, and looks at the machine from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_environment::{Environment, EnvironmentError, EnvironmentKind, Needs, Quiet};
use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Within this after the harness died, everything must be gone.
pub(crate) const ALL_GONE: Duration = Duration::from_secs(5);

/// Runs a test on a runtime of its own.
pub(crate) fn on_runtime(test: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(test);
    Ok(())
}

/// Starts `local` quietly.
pub(crate) async fn start(needs: Needs) -> Result<Box<dyn Environment>, EnvironmentError> {
    bankstorm_environment::start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await
}

/// Needs with these databases and nothing else.
pub(crate) fn databases(test: &str, names: &[&str]) -> Needs {
    Needs { databases: strings(names), ..Needs::for_test(test) }
}

/// Owned.
pub(crate) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Processes that belong to a run's folder, zombies apart, seen as another program would see them.
pub(crate) fn alive_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for process in procfs::process::all_processes().expect("/proc").flatten() {
        let inside = process.cwd().is_ok_and(|cwd| cwd.starts_with(folder));
        let marked = process.environ().is_ok_and(|all| all.values().any(|value| value == folder.as_os_str()));
        if inside || marked {
            found.push(format!("{}: {}", process.pid, process.cmdline().unwrap_or_default().join(" ")));
        }
    }
    found
}

/// System V shared memory segments that process `maker` made, as lines of the kernel's table.
pub(crate) fn segments_of(maker: u32) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").expect("the kernel's table");
    let made_by = |line: &&str| line.split_whitespace().nth(4).is_some_and(|pid| pid == maker.to_string());
    table.lines().filter(made_by).map(str::to_owned).collect()
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    procfs::process::Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
}

/// Waits until a process runs no more; fails after `ALL_GONE`.
pub(crate) async fn assert_dead(pid: i32) {
    let dead = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(ALL_GONE, dead).await.is_ok(), "process {pid} lives on");
}

/// Waits until neither process nor folder is left; fails with what is still there after `ALL_GONE`.
pub(crate) async fn assert_gone(folder: &Path) {
    let gone = async {
        while !alive_in(folder).is_empty() || folder.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(ALL_GONE, gone).await.is_err() {
        panic!("still there: {} exists: {}, processes: {:#?}", folder.display(), folder.exists(), alive_in(folder));
    }
}

/// One query's first column as text, over a connection of its own.
pub(crate) async fn query(address: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await?;
    let question = async {
        let rows = client.simple_query(sql).await;
        drop(client);
        rows
    };
    let (rows, connected) = tokio::join!(question, connection);
    let rows = rows?;
    connected?;
    let first = rows.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(first.unwrap_or_default())
}

/// As [`query`], of a database that must answer.
pub(crate) async fn ask(address: &str, sql: &str) -> String {
    query(address, sql).await.expect("an answer")
}

/// The body of a GET, when the status is 200.
pub(crate) async fn get(url: &str) -> std::io::Result<String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let text = exchange(host, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!("{url}: {text}"))),
    }
}

/// What Redis says to PING, then the connection ends.
pub(crate) async fn ping(address: &str) -> std::io::Result<String> {
    exchange(address.trim_start_matches("redis://"), "PING\r\nQUIT\r\n").await
}

async fn exchange(host: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Why environments of that kind cannot run on this machine.
pub(crate) fn impossible(kind: EnvironmentKind) -> Option<String> {
    match kind {
        EnvironmentKind::Local => None,
        EnvironmentKind::Containers => {
            static SAID: std::sync::Once = std::sync::Once::new();
            let reason = bankstorm_environment::containers::available_blocking().err()?;
            SAID.call_once(|| eprintln!("trials in containers are ignored: {reason}"));
            Some(reason.in_brief())
        }
    }
}

/// Containers, networks and volumes of the run with that folder.
pub(crate) async fn engine(folder: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let run = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let mut marks = super::containers::held(&run).await;
    marks.insert("volumes", super::containers::volumes_of(&run).await);
    marks
}

/// Those of `marks` that the engine still has.
pub(crate) async fn engine_has(marks: &BTreeMap<&'static str, Vec<String>>) -> BTreeMap<&'static str, Vec<String>> {
    let mut held = super::containers::held("").await;
    held.insert("volumes", super::containers::volumes().await);
    for (what, names) in &mut held {
        names.retain(|name| marks.get(what).is_some_and(|marks| marks.contains(name)));
    }
    held
}
