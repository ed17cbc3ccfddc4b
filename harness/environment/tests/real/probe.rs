//! The service of the tests: answers `/readyz`, and tries an address that it was given when it is asked to; or a proxy that passes
//! everything on. Also inside a container.
//!
//! In: arguments, as [`spec`] writes them. Out: HTTP answers: 200 and what was found, or 500 and why not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use bankstorm_environment::{Environment, Proxied, ServiceSpec};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::support::{get, ping, query};

/// First argument; then where to listen, what it does, and `name=value` of what it may try.
pub(crate) const SERVICE: &str = "__test-service";
const METADATA_LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// What the proxies of the tests answer themselves; everything else is passed on.
const FORWARD_READY: &str = "/-/ready";

/// This binary as the proxy on `link`.
pub(crate) fn proxy(environment: &dyn Environment, link: &Proxied) -> ServiceSpec {
    let upstream = environment.upstream(&link.from, &link.to);
    let spec = spec(environment, &link.node(), "forward", &[("upstream", upstream)]);
    ServiceSpec { ready_path: FORWARD_READY.to_owned(), ..spec }
}

/// This binary as the service `name`: `behaviour` is `stay`, `exit`, `deaf` or `forward`.
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
    if ["stay", "forward"].contains(&behaviour) {
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
    if behaviour == "forward" {
        let upstream = tries[0].trim_start_matches("upstream=");
        for stream in listener.incoming().flatten() {
            let upstream = upstream.to_owned();
            // Nobody there: the caller's connection ends.
            std::thread::spawn(move || drop(pass(stream, &upstream)));
        }
    }
    for stream in listener.incoming().flatten() {
        // A caller that went away is no reason to end.
        let _ = answer(stream, &runtime, tries);
    }
    unreachable!("the listener never ends")
}

/// One connection, both ways, until either side ends it.
fn pass(mut client: TcpStream, upstream: &str) -> std::io::Result<()> {
    let mut first = [0_u8; 64];
    let seen = client.peek(&mut first)?;
    if first[..seen].starts_with(format!("GET {FORWARD_READY}").as_bytes()) {
        return write!(client, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let mut server = TcpStream::connect(upstream)?;
    let (mut there_from, mut there_to) = (client.try_clone()?, server.try_clone()?);
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut there_from, &mut there_to);
        let _ = there_to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    there.join().map_err(|_| std::io::Error::other("the way there panicked"))
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
