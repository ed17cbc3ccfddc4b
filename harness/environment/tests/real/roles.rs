//! The other roles of this test binary, chosen by its first argument.

use std::io::{Read, Write};
use std::net::TcpListener;

use bankstorm_environment::Needs;

use super::support;

/// Argument of a small harness: brings everything up, prints its folder, and waits to be killed.
pub(crate) const HARNESS: &str = "__test-harness";
/// Argument of a small harness that prints how its start failed.
pub(crate) const FAILING_HARNESS: &str = "__test-failing-harness";
/// Argument of a small harness whose first choice of a port is taken: that port follows.
pub(crate) const TAKEN_PORT_HARNESS: &str = "__test-taken-port-harness";
/// Argument of a service; then its port, and what it does.
pub(crate) const SERVICE: &str = "__test-service";

/// Plays the role that the arguments ask for, and exits; without one it returns.
pub(crate) fn play() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(HARNESS) => harness(),
        Some(FAILING_HARNESS) => failing_harness(),
        Some(TAKEN_PORT_HARNESS) => taken_port_harness(&arguments[1]),
        Some(SERVICE) => service(&arguments[1], &arguments[2]),
        _ => {}
    }
}

fn everything(test: &str) -> Needs {
    let mut needs = support::databases(test, &["core"]);
    needs.brokers = 1;
    needs.kafka_clients = vec!["core".into()];
    needs
}

fn harness() -> ! {
    let kept = support::on_runtime(async {
        let mut local = support::start(everything("killed")).await.expect("start");
        let port = bankstorm_environment::free_port().expect("port");
        local.start_services(vec![super::services::spec("service", port, "stay")]).await.expect("service");
        // An open transaction keeps a backend busy, in a session of its own.
        let (client, connection) =
            tokio_postgres::connect(&local.database("core"), tokio_postgres::NoTls).await.expect("connect");
        let busy = client.simple_query("select pg_sleep(600)");
        println!("{}", local.folder().display());
        for (name, pid) in local.pids() {
            println!("{name} {pid}");
        }
        println!("up");
        std::io::stdout().flush().expect("flush");
        let (_slept, _connected) = tokio::join!(busy, connection);
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
        let mut broker = Needs::for_test("taken");
        broker.brokers = 1;
        for (needs, log) in [(support::databases("taken", &["core"]), "postgres-core.log"), (broker, "kafka.log")] {
            bankstorm_environment::ports::answer_next(port);
            let local = support::start(needs).await.expect("another port");
            if local.pids().contains_key("postgres-core") {
                assert_eq!(support::ask(&local.database("core"), "select 1").await, "1");
            }
            let said = std::fs::read_to_string(local.logs().join(log)).expect("log");
            println!("{log} told of it: {}", said.contains("Address already in use"));
            local.stop().await.expect("stop");
        }
    });
    std::process::exit(i32::from(told.is_err()));
}

/// Answers 200 to everything until it is stopped.
fn service(port: &str, behaviour: &str) -> ! {
    if behaviour == "exit" {
        println!("the service's last words: port {port} is not to its taste");
        std::process::exit(7);
    }
    let _deaf = (behaviour == "deaf").then(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let guard = runtime.enter();
        // A handler that nobody polls: SIGTERM has no effect.
        let handler = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("handler");
        drop(guard);
        (runtime, handler)
    });
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("bind");
    for stream in listener.incoming() {
        let mut stream = stream.expect("connection");
        let mut request = [0_u8; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    unreachable!("the listener never ends")
}
