//! The service of the tests: answers `/readyz`, and tries an address that it was given when it is asked to. Also inside a container.
//!
//! In: arguments, as [`spec`] writes them. Out: HTTP answers: 200 and what was found, or 500 and why not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use bankstorm_environment::{Environment, ServiceSpec};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::support::{get, ping, query};

/// First argument; then where to listen, what it does, and `name=value` of what it may try.
pub(crate) const SERVICE: &str = "__test-service";
const METADATA_LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// This binary as the service `name`: `behaviour` is `stay`, `exit` or `deaf`.
pub(crate) fn spec(
    environment: &dyn Environment,
    name: &str,
    behaviour: &str,
    tries: &[(&str, String)],
) -> ServiceSpec {
    let mut args = vec![SERVICE.to_owned(), environment.listen(name), behaviour.to_owned()];
    args.extend(tries.iter().map(|(what, address)| format!("{what}={address}")));
    ServiceSpec::new(name, args)
}

/// Serves until it is stopped.
pub(crate) fn serve(listen: &str, behaviour: &str, tries: &[String]) -> ! {
    println!("this life is process {} at {listen}", std::process::id());
    if behaviour == "exit" {
        println!("the service's last words: {listen} is not to its taste");
        std::process::exit(7);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
    let _deaf = (behaviour == "deaf").then(|| {
        let _guard = runtime.enter();
        // A handler that nobody polls: SIGTERM has no effect.
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("handler")
    });
    if behaviour == "stay" {
        // The first process of a container gets only the signals that it handles.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(async {
                let kind = tokio::signal::unix::SignalKind::terminate();
                tokio::signal::unix::signal(kind).expect("handler").recv().await;
            });
            std::process::exit(0);
        });
    }
    let listener = TcpListener::bind(listen).unwrap_or_else(|error| panic!("{listen}: {error}"));
    for stream in listener.incoming().flatten() {
        // A caller that went away is no reason to end.
        let _ = answer(stream, &runtime, tries);
    }
    unreachable!("the listener never ends")
}

fn answer(mut stream: TcpStream, runtime: &tokio::runtime::Runtime, tries: &[String]) -> std::io::Result<()> {
    let mut request = [0_u8; 1024];
    let length = stream.read(&mut request)?;
    let head = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = head.split_whitespace().nth(1).unwrap_or_default().trim_start_matches('/');
    let result = match tries.iter().find_map(|one| one.split_once('=').filter(|(what, _)| *what == path)) {
        Some((what, address)) => runtime.block_on(attempt(what, address)),
        None => Ok("here".to_owned()),
    };
    let (status, body) = match result {
        Ok(found) => ("200 OK", found),
        Err(reason) => ("500 Internal Server Error", reason),
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn attempt(what: &str, address: &str) -> Result<String, String> {
    match what.split('-').next().unwrap_or_default() {
        "database" => query(address, "select current_database()").await.map_err(|error| error.to_string()),
        "kafka" => brokers(address).map(|brokers| brokers.join(",")),
        "redis" => ping(address).await.map_err(|error| error.to_string()),
        "peer" => get(&format!("{address}/hello")).await.map_err(|error| error.to_string()),
        "write" => std::fs::write(Path::new(address), "from a service")
            .map(|()| address.to_owned())
            .map_err(|error| error.to_string()),
        other => Err(format!("knows no {other}")),
    }
}

/// The addresses of all brokers, as the one at `bootstrap` tells them, in order.
pub(crate) fn brokers(bootstrap: &str) -> Result<Vec<String>, String> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().map_err(|error| error.to_string())?;
    let metadata = consumer.fetch_metadata(None, METADATA_LIMIT).map_err(|error| error.to_string())?;
    let mut brokers: Vec<String> =
        metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
    brokers.sort();
    Ok(brokers)
}
