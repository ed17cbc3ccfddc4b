//! What the tests share: a runtime, and looks at the machine from outside.

use std::path::Path;
use std::time::Duration;

use bankstorm_environment::{EnvironmentError, Local, Needs, Quiet};
use libtest_mimic::Failed;

/// Within this after the harness died, everything must be gone.
pub(crate) const ALL_GONE: Duration = Duration::from_secs(5);

/// Runs a test on a runtime of its own.
pub(crate) fn on_runtime(test: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(test);
    Ok(())
}

/// Starts quietly.
pub(crate) async fn start(needs: Needs) -> Result<Local, EnvironmentError> {
    Local::start(needs, std::sync::Arc::new(Quiet)).await
}

/// Needs with these databases and nothing else.
pub(crate) fn databases(test: &str, names: &[&str]) -> Needs {
    let mut needs = Needs::for_test(test);
    needs.databases = names.iter().map(|name| (*name).to_owned()).collect();
    needs
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

/// Waits until a process runs no more; fails after `ALL_GONE`.
pub(crate) async fn assert_dead(pid: i32) {
    let lives =
        || procfs::process::Process::new(pid).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z');
    let dead = async {
        while lives() {
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

/// One query's first column as text.
pub(crate) async fn ask(address: &str, sql: &str) -> String {
    let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.expect("connect");
    let question = async {
        let rows = client.simple_query(sql).await.expect("query");
        drop(client);
        rows.into_iter()
            .find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .expect("a row")
    };
    let (answer, connected) = tokio::join!(question, connection);
    connected.expect("connection");
    answer
}
