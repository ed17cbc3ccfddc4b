//! The other roles of this test binary, chosen by its first argument.

use std::io::Write;

use bankstorm_environment::{HARNESS, Needs};

use super::containers::{self, CONTAINERS_HARNESS};
use super::probe::{self, SERVICE};
use super::support::{self, strings};

/// Argument of a small harness: brings everything up, prints its folder, and waits to be killed.
pub(crate) const SMALL_HARNESS: &str = "__test-harness";
/// The same without a broker, which is one process like a service and takes seconds to start.
pub(crate) const LIGHT_HARNESS: &str = "__test-light-harness";
/// As the light one, with everything frozen.
pub(crate) const FROZEN_HARNESS: &str = "__test-frozen-harness";
/// Argument of a small harness that prints how its start failed.
pub(crate) const FAILING_HARNESS: &str = "__test-failing-harness";
/// Argument of a small harness whose first choice of a port is taken: that port follows.
pub(crate) const TAKEN_PORT_HARNESS: &str = "__test-taken-port-harness";

/// Plays the role that the arguments ask for, and exits; without one it returns.
pub(crate) fn play() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(SMALL_HARNESS) => harness(true, false),
        Some(LIGHT_HARNESS) => harness(false, false),
        Some(FROZEN_HARNESS) => harness(false, true),
        Some(FAILING_HARNESS) => failing_harness(),
        Some(TAKEN_PORT_HARNESS) => taken_port_harness(&arguments[1]),
        Some(CONTAINERS_HARNESS) => containers::harness(),
        Some(SERVICE) => probe::serve(&arguments[1], &arguments[2], &arguments[3..]),
        _ => {}
    }
}

fn everything(test: &str) -> Needs {
    let mut needs = support::databases(test, &["core"]);
    needs.brokers = 1;
    needs.kafka_clients = strings(&["core"]);
    needs.services = strings(&["service"]);
    needs
}

fn harness(broker: bool, frozen: bool) -> ! {
    let kept = support::on_runtime(async {
        let mut needs = everything("killed");
        if !broker {
            (needs.brokers, needs.kafka_clients) = (0, Vec::new());
        }
        let up = support::start(needs).await.expect("start");
        up.start_services(vec![probe::spec(up.as_ref(), "service", "stay", &[])]).await.expect("service");
        // An open transaction keeps a backend busy, in a session of its own.
        let (client, connection) =
            tokio_postgres::connect(&up.database("core", HARNESS), tokio_postgres::NoTls).await.expect("connect");
        let busy = client.simple_query("select pg_sleep(600)");
        println!("{}", up.folder().display());
        for (name, pid) in up.pids() {
            println!("{name} {pid}");
        }
        let told = async {
            if frozen {
                for name in up.pids().keys() {
                    up.pause(name).await.expect("frozen");
                }
            }
            println!("up");
            std::io::stdout().flush().expect("flush");
        };
        let (_slept, _connected, ()) = tokio::join!(busy, connection, told);
    });
    std::process::exit(i32::from(kept.is_err()));
}

fn failing_harness() -> ! {
    let told = support::on_runtime(async {
        let error = support::start(everything("missing")).await.expect_err("something is missing");
        println!("{error}");
    });
    std::process::exit(i32::from(told.is_err()));
}

/// Alone in its process, so that no other test takes the port that is meant for this one.
fn taken_port_harness(port: &str) -> ! {
    let port: u16 = port.parse().expect("a port");
    let told = support::on_runtime(async {
        let broker = Needs { brokers: 1, ..Needs::for_test("taken") };
        let redis = Needs { redis: true, ..Needs::for_test("taken") };
        let all = [(support::databases("taken", &["core"]), "postgres-core"), (broker, "kafka-1"), (redis, "redis")];
        for (needs, node) in all {
            bankstorm_environment::ports::answer_next(port);
            let up = support::start(needs).await.expect("another port");
            if node == "postgres-core" {
                assert_eq!(support::ask(&up.database("core", HARNESS), "select 1").await, "1");
            }
            let said = up.log(node).await.expect("log");
            println!("{node} told of it: {}", said.contains("Address already in use"));
            up.stop().await.expect("stop");
        }
    });
    std::process::exit(i32::from(told.is_err()));
}
