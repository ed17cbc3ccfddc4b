//! What comes up, and what is said when it cannot.

use std::process::Command;
use std::time::Duration;

use bankstorm_environment::{Exit, Signal, Topic};
use libtest_mimic::Failed;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::roles::{FAILING_HARNESS, TAKEN_PORT_HARNESS};
use super::support::{alive_in, ask, databases, on_runtime, start};

pub(crate) fn databases_and_broker() -> Result<(), Failed> {
    on_runtime(async {
        let run = tempfile::tempdir().expect("run folder");
        let mut needs = databases("both", &["core", "channel"]);
        needs.run_dir = Some(run.path().to_owned());
        needs.brokers = 1;
        needs.kafka_clients = vec!["core".into(), "channel-0".into()];
        needs.topics = vec![Topic { name: "core.entries".into(), partitions: 3 }];
        let local = start(needs).await.expect("start");
        let folder = local.folder().to_owned();

        assert_eq!(ask(&local.database("core"), "select current_database()").await, "core");
        assert_eq!(ask(&local.database("channel"), "select 1").await, "1");
        for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("track_commit_timestamp", "on")] {
            assert_eq!(ask(&local.database("core"), &format!("show {setting}")).await, value, "{setting}");
        }

        // Each client is told the port of its own listener, and no other.
        for client in ["core", "channel-0"] {
            let address = local.kafka(client);
            let (partitions, brokers) = metadata(&address, "core.entries").await;
            assert_eq!(partitions, 3);
            assert_eq!(brokers, vec![address]);
        }
        let names: Vec<String> = local.pids().into_keys().collect();
        assert_eq!(names, ["kafka", "postgres-channel", "postgres-core"]);
        assert!(!alive_in(&folder).is_empty(), "the look at the machine finds what is there");

        local.stop().await.expect("stop");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
        for log in ["kafka.log", "postgres-core.log", "postgres-channel.log"] {
            assert!(run.path().join("logs").join(log).metadata().is_ok_and(|meta| meta.len() > 0), "{log} is kept");
        }
    })
}

async fn metadata(address: &str, topic: &'static str) -> (usize, Vec<String>) {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).create().expect("consumer");
    #[expect(clippy::disallowed_methods, reason = "a blocking call of the client library")]
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
        let partitions = metadata.topics().first().expect("topic").partitions().len();
        let brokers = metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
        (partitions, brokers)
    });
    asked.await.expect("join")
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
    assert_eq!(told, "postgres-core.log told of it: true\nkafka.log told of it: true\n");
    Ok(())
}

pub(crate) fn store_death() -> Result<(), Failed> {
    on_runtime(async {
        let mut local = start(databases("death", &["core"])).await.expect("start");
        let mut deaths = local.deaths();
        let pid = local.pids()["postgres-core"];
        local.signal("postgres-core", Signal::SIGKILL).await.expect("signal");
        let death =
            tokio::time::timeout(Duration::from_secs(10), deaths.recv()).await.expect("in time").expect("a death");
        assert_eq!((death.name.as_str(), death.pid, death.exit), ("postgres-core", pid, Exit::Signal(9)));
        assert!(death.at_monotonic_ns > 0);
        assert!(death.last_lines.iter().any(|line| line.contains("ready to accept connections")), "{death:?}");
        assert!(!local.pids().contains_key("postgres-core"));
        let folder = local.folder().to_owned();
        local.stop().await.expect("stop");
        assert_eq!(alive_in(&folder), Vec::<String>::new());
        assert!(!folder.exists());
    })
}
