//! A proxy as a process, and what it costs.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Case, bankstorm, code, output, text};

/// Within this a proxy ends when it is asked to.
const ENDS: Duration = Duration::from_secs(2);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_proxy_says_where_it_listens_and_ends_when_asked", listens_and_ends),
        ("a_proxy_ends_with_the_one_that_started_it", ends_with_its_starter),
        ("a_proxy_whose_port_is_taken_is_exit_3", taken_port),
        ("calibrate_prints_and_stores_what_a_proxy_adds", calibrate),
    ]
}

/// A proxy, and the line that it said.
fn start(more: &[&str]) -> (Child, String) {
    let mut command = bankstorm(&["proxy", "--listen=127.0.0.1:0", "--upstream=127.0.0.1:9", "--protocol=http"]);
    command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut proxy = command.spawn().expect("the binary starts");
    let mut said = String::new();
    BufReader::new(proxy.stdout.take().expect("piped")).read_line(&mut said).expect("a line");
    (proxy, said)
}

fn listens_and_ends() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut proxy, said) = start(&[]);
        assert!(said.starts_with("listening on 127.0.0.1:") && said.contains("http on to 127.0.0.1:9"), "{said}");
        let address = said.trim_start_matches("listening on ").split(',').next().expect("an address").to_owned();
        let health = output(&["health", &format!("http://{address}/-/proxy/ready")]);
        assert_eq!(code(&health), 0, "{}", text(&health));
        // Somebody who is connected holds nothing back.
        let _open = std::net::TcpStream::connect(&address).expect("it listens");
        let asked_ns = monotonic_ns();
        kill(Pid::from_raw(proxy.id().cast_signed()), signal).expect("it lives");
        let ended = proxy.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0), "{signal}");
        let took = Duration::from_nanos((monotonic_ns() - asked_ns).unsigned_abs());
        assert!(took < ENDS, "{signal}: {took:?}");
    }
}

fn ends_with_its_starter() {
    let (mut proxy, _) = start(&["--until-stdin-ends"]);
    drop(proxy.stdin.take());
    assert_eq!(proxy.wait().expect("it ends").code(), Some(0));
}

fn taken_port() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("--listen={}", holder.local_addr().expect("bound"));
    let refused = output(&["proxy", &listen, "--upstream=127.0.0.1:9", "--protocol=bytes"]);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(text(&refused).contains("Address already in use"), "{}", text(&refused));
}

fn calibrate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ended = bankstorm(&["calibrate", "--proxy", "--seconds=1", "--out"]).arg(folder.path()).output();
    let ended = ended.expect("the binary starts");
    let said = text(&ended);
    assert_eq!(code(&ended), 0, "{said}");
    for part in ["direct", "bare relay", "proxy, http", "proxy, bytes", "proxy, postgres", "added p50 <= 50 us: "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let stored = std::fs::read(folder.path().join("calibrate.json")).expect("the document");
    let stored: serde_json::Value = serde_json::from_slice(&stored).expect("JSON");
    let schema = output(&["schema", "calibrate"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("a JSON Schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    let wrong: Vec<String> = validator.iter_errors(&stored).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let hops = stored["proxy"]["hops"].as_array().expect("hops");
    let kinds: Vec<_> = hops.iter().map(|hop| (hop["exchange"].as_str(), hop["protocol"].as_str())).collect();
    let expected = [("http", "http"), ("http", "bytes"), ("postgres", "postgres")];
    assert_eq!(kinds, expected.map(|(exchange, protocol)| (Some(exchange), Some(protocol))), "{stored}");
    // Everybody took part in every round.
    let count = hops[0]["direct"]["count"].as_u64().expect("a count");
    assert!(count > 0, "{stored}");
    for hop in hops {
        for way in ["direct", "bare", "latency"] {
            assert_eq!(hop[way]["count"], count, "{way}: {hop}");
        }
        for (figure, added) in [("p50_us", "added_p50_us"), ("p99_us", "added_p99_us")] {
            let of = |figure: &serde_json::Value| figure.as_f64().expect("a figure");
            let differ = of(&hop["latency"][figure]) - of(&hop["direct"][figure]);
            // Decimal digits may cost a last bit.
            assert!((of(&hop[added]) - differ).abs() < 1e-6, "{added}: {hop}");
        }
    }
}
