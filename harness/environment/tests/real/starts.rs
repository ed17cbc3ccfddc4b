//! What comes up on `local`, and what is said when it cannot.

use std::process::Command;

use bankstorm_environment::HARNESS;
use libtest_mimic::Failed;

use super::roles::{FAILING_HARNESS, TAKEN_PORT_HARNESS};
use super::support::{alive_in, ask, databases, on_runtime, start};

pub(crate) fn kept_logs() -> Result<(), Failed> {
    on_runtime(async {
        let run = tempfile::tempdir().expect("run folder");
        let mut needs = databases("kept", &["core", "channel"]);
        needs.run_dir = Some(run.path().to_owned());
        needs.exchange = Some(run.path().join("exchange"));
        needs.redis = true;
        let up = start(needs).await.expect("start");
        let folder = up.folder().to_owned();
        assert_eq!(up.exchange(), run.path().join("exchange"));
        assert!(up.exchange().is_dir());
        for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("track_commit_timestamp", "on")] {
            assert_eq!(ask(&up.database("core", HARNESS), &format!("show {setting}")).await, value, "{setting}");
        }
        up.stop().await.expect("stop");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
        for log in ["postgres-core.log", "postgres-channel.log", "redis.log"] {
            assert!(run.path().join("logs").join(log).metadata().is_ok_and(|meta| meta.len() > 0), "{log} is kept");
        }
        assert!(run.path().join("exchange").is_dir(), "the caller's folder stays");
    })
}

pub(crate) fn missing_program() -> Result<(), Failed> {
    let empty = tempfile::tempdir()?;
    let output =
        Command::new(std::env::current_exe()?).arg(FAILING_HARNESS).env("KAFKA_HOME", empty.path()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = [
        "Apache Kafka (kafka_2.13-4.3.0.jar and the jars it needs) was not found",
        &format!("looked in {}", empty.path().join("libs").display()),
        "`make setup` installs what is missing",
    ];
    for part in expected {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    Ok(())
}

pub(crate) fn taken_port() -> Result<(), Failed> {
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = holder.local_addr()?.port().to_string();
    let output = Command::new(std::env::current_exe()?).args([TAKEN_PORT_HARNESS, &port]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told, "postgres-core told of it: true\nkafka-1 told of it: true\nredis told of it: true\n");
    Ok(())
}
