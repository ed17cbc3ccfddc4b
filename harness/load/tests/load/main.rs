//! The generator against a small server of its own, which answers, stalls, stays silent, breaks off or is not there.

mod reads;
mod server;
mod transfers;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_customers::Plan;
use bankstorm_load::figures::{counts, latency};
use bankstorm_load::run::{ChannelAddress, Tuning};
use bankstorm_load::{DriveInput, DriveResult, Stop, Tally, drive, resolve_unknown};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::OperationRow;
use bankstorm_scenario::resolved::LatencyKind;
use server::{Behaviour, Server};

const SECOND: i64 = 1_000_000_000;

fn plan(rate: &str, measure: &str, more: &str) -> Arc<Plan> {
    plan_of("deposit", rate, measure, more)
}

fn plan_of(op: &str, rate: &str, measure: &str, more: &str) -> Arc<Plan> {
    let text = format!(
        "[phases]\nwarm_up = \"200ms\"\nmeasure = \"{measure}\"\n[[load]]\nop = \"{op}\"\nrate = \"{rate}\"\n{more}"
    );
    let scenario = bankstorm_scenario::parse("test.toml", &text, &[], None).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(Plan::new(&scenario))
}

fn input(plan: &Arc<Plan>, core_url: &str) -> DriveInput {
    DriveInput {
        plan: Arc::clone(plan),
        core_url: core_url.to_owned(),
        channels: Vec::new(),
        origin: Origin::now(),
        start_at_ns: SECOND / 5,
        stop: Arc::new(Stop::new()),
        tally: Arc::new(Tally::new()),
        tuning: Tuning::default(),
    }
}

fn outcomes<'a>(result: &'a DriveResult, word: Option<&'a str>) -> impl Iterator<Item = &'a OperationRow> {
    result.operations.iter().filter(move |row| row.outcome.as_deref() == word)
}

/// Whatever happened, every planned operation has exactly one row, with what was planned.
fn nothing_is_missing(plan: &Plan, result: &DriveResult) {
    assert_eq!(result.operations.len() as u64, plan.counts().total());
    for (row, planned) in result.operations.iter().zip(plan.operations()) {
        assert_eq!((row.op, row.transfer), (planned.op, planned.id().0.as_u128()));
        assert_eq!(row.intended_ns, result.started_ns + planned.due.as_nanos() as i64);
        assert_eq!(row.outcome.is_none(), row.acked_ns.is_none());
        assert!(row.outcome.is_some() || row.detail.is_some(), "a miss says why");
        if let (Some(sent), Some(acked)) = (row.sent_ns, row.acked_ns) {
            assert!(row.intended_ns <= sent && sent <= acked && acked <= result.cut_off_ns);
        }
    }
}

#[tokio::test]
async fn every_deposit_is_sent_once_and_its_verdict_kept() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan("500/s", "1s", "lookup = 0\n");
    let input = input(&plan, &server.url());
    let tally = Arc::clone(&input.tally);
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!(outcomes(&result, Some("ok")).count(), 600);
    assert!(result.operations.iter().all(|row| row.seq.is_some() && row.http_status == Some(201)));
    assert!(result.operations.iter().all(|row| row.resolved.as_deref() == Some("ok")));
    assert_eq!(server.deposits(), 600, "one request per deposit");
    assert_eq!((tally.counts().due, tally.counts().ok, tally.counts().in_flight), (600, 600, 0));
    assert_eq!(counts(&result.operations).planned, 500);
    assert!(!result.interrupted);
    let names: Vec<_> = result.generator.threads.iter().map(|thread| thread.name.as_str()).collect();
    assert_eq!(names, ["pacer", "prepare", "sender-0", "lookup", "watch"]);
    // The plan is measured for one second, after a warm-up and a head start that are not in the span.
    let spans: Vec<_> = result.generator.threads.iter().map(|thread| thread.wall_ns).collect();
    let lived_ns = (result.cut_off_ns - result.started_ns) as u64;
    assert!(spans.iter().all(|span| (1..lived_ns).contains(span)), "{spans:?} of {lived_ns}");
}

#[tokio::test]
async fn a_stall_of_the_server_is_felt_by_everything_that_was_due_in_it() {
    let plan = plan("200/s", "2s", "connections = 4\ntimeout = \"20s\"\nlookup = 0\n");
    let mut input = input(&plan, "");
    let stall = (input.start_at_ns + SECOND, input.start_at_ns + 2 * SECOND);
    let server = Server::start(Behaviour::Stall { origin: input.origin, from_ns: stall.0, until_ns: stall.1 }).await;
    input.core_url = server.url();
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!(outcomes(&result, Some("ok")).count(), 440);
    let in_stall: Vec<_> =
        result.operations.iter().filter(|row| (stall.0..stall.1).contains(&row.intended_ns)).collect();
    assert_eq!(in_stall.len(), 200);
    assert!(in_stall.iter().all(|row| row.acked_ns >= Some(stall.1)), "none is answered before the stall ends");
    // Half of what was measured was due in the stall; counted from when it was due, p99 is nearly the whole second. A closed loop of
    // four connections would have seen four slow answers.
    let response = latency(&result.operations, LatencyKind::Response, &result.cut_offs());
    assert!(response.p99 >= 900_000, "{response:?}");
    let waited = in_stall.iter().filter(|row| row.sent_ns >= Some(stall.1)).count();
    assert!(waited >= 196, "all but one per connection waited for a connection: {waited}");
}

#[tokio::test]
async fn silence_and_broken_answers_are_unknown_until_resolved() {
    let server = Server::start(Behaviour::SilentOrBroken).await;
    let plan = plan("50/s", "1s", "timeout = \"500ms\"\nlookup = 0\n");
    let mut result = drive(input(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    // On a machine that stands still for half a second some are given up before a byte is written; the others must be unknown.
    let written = result.operations.iter().filter(|row| row.sent_ns.is_some()).count() as u64;
    let unknown = outcomes(&result, Some("unknown")).count() as u64;
    assert!(written > 0);
    assert_eq!((unknown, outcomes(&result, Some("ok")).count()), (written, 0));
    assert!(outcomes(&result, Some("unknown")).all(|row| row.resolved.is_none()));
    let resolved = resolve_unknown(&mut result.operations, &server.url(), Duration::from_secs(20)).await;
    let resolved = resolved.expect("resolved");
    assert_eq!((resolved.unknown, resolved.resolved), (unknown, unknown));
    assert!(outcomes(&result, Some("unknown")).all(|row| row.resolved.as_deref() == Some("rejected")));
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_without_effect() {
    let url = Server::start(Behaviour::Answer).await.gone().await;
    let plan = plan("100/s", "1s", "lookup = 0\n");
    let result = drive(input(&plan, &url)).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!(outcomes(&result, Some("failed")).count(), 120);
    assert!(result.operations.iter().all(|row| row.sent_ns.is_none() && row.http_status.is_none()));
}

#[tokio::test]
async fn what_finds_the_ring_full_is_missed_and_counted() {
    let server = Server::start(Behaviour::Silent).await;
    let plan = plan("200/s", "1s", "connections = 1\ntimeout = \"1s\"\nlookup = 0\n");
    let mut input = input(&plan, &server.url());
    input.tuning.ring = 1;
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let full = result.operations.iter().filter(|row| row.detail.as_deref() == Some("the ring to the senders was full"));
    assert_eq!(full.count() as u64, result.generator.ring_full);
    assert!(
        result.generator.ring_full > 0,
        "one connection waits a second for the first answer, one more operation fits the ring"
    );
    // The server never answers: missed, unknown, or failed where the connection could not be made anew.
    let [missed, unknown, failed] = [None, Some("unknown"), Some("failed")].map(|word| outcomes(&result, word).count());
    assert_eq!(missed + unknown + failed, 240, "{missed} missed, {unknown} unknown, {failed} failed");
}

/// A port whose queue of connections is full: the next ones wait until somebody gives up.
#[cfg(target_os = "linux")]
async fn full_port() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>, String) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("bound");
    let mut queued = Vec::new();
    // A queue of one takes two.
    for _ in 0..2 {
        queued.push(tokio::net::TcpStream::connect(address).await.expect("queued"));
    }
    (listener, queued, format!("http://{address}"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_was_given_up_before_a_byte_was_written_is_missed() {
    let (_listener, _queued, url) = full_port().await;
    let plan = plan("20/s", "1s", "timeout = \"3s\"\nlookup = 0\n");
    let input = input(&plan, &url);
    let tally = Arc::clone(&input.tally);
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!(outcomes(&result, None).count(), 24);
    let never_sent =
        |row: &&OperationRow| row.detail.as_deref().is_some_and(|detail| detail.starts_with("never sent: "));
    assert!(outcomes(&result, None).filter(never_sent).count() > 0);
    assert_eq!((tally.counts().missed, tally.counts().in_flight), (24, 0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_raised_stop_ends_connections_that_do_not_come_about() {
    let (_listener, _queued, url) = full_port().await;
    let plan = plan("20/s", "1h", "lookup = 0\n");
    let input = input(&plan, &url);
    input.stop.raise();
    let driven = tokio::time::timeout(Duration::from_secs(60), drive(input)).await;
    let result = driven.expect("long before the system gives a connection up").expect("driven");
    nothing_is_missing(&plan, &result);
    assert!(result.interrupted);
}

#[tokio::test]
async fn a_raised_stop_ends_the_load_and_says_what_happened() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan("100/s", "1h", "lookup = 0\n");
    let input = input(&plan, &server.url());
    let (stop, tally) = (Arc::clone(&input.stop), Arc::clone(&input.tally));
    let raise = async {
        while tally.counts().ok < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.raise();
    };
    let (result, ()) = tokio::join!(drive(input), raise);
    let result = result.expect("driven");
    nothing_is_missing(&plan, &result);
    assert!(result.interrupted);
    assert!(outcomes(&result, Some("ok")).count() >= 10);
    // What was never due counts as missed, and has no latency.
    let due =
        result.operations.iter().filter(|row| row.phase == "measure" && row.intended_ns <= result.ended_ns).count();
    assert!(latency(&result.operations, LatencyKind::Response, &result.cut_offs()).count <= due as u64);
    assert!(outcomes(&result, None).all(|row| row.detail.as_deref() == Some("the load was ended early")));
}

#[tokio::test]
async fn lookups_read_pages_until_the_entry_is_shown() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan("50/s", "1s", "lookup = 1\n");
    let mut input = input(&plan, &server.url());
    // The second instance is not there: its reads fail, are recorded, and the lookup goes on with the first.
    let gone_url = Server::start(Behaviour::Answer).await.gone().await;
    input.channels = vec![
        ChannelAddress { instance: "channel-0".to_owned(), url: server.url() },
        ChannelAddress { instance: "channel-1".to_owned(), url: gone_url },
    ];
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((result.first_reads.len(), result.lookups_given_up.len()), (60, 0));
    assert!(result.first_reads.iter().all(|read| read.instance == "harness" && read.from_seq + 1 == read.to_seq));
    let ok: Vec<_> = result.pages.iter().filter(|page| page.outcome == "ok").collect();
    // The server shows an entry on the second read that asks for it.
    assert!(ok.len() >= 120, "{}", ok.len());
    assert!(ok.iter().all(|page| page.instance == "channel-0" && page.contiguous));
    assert!(ok.iter().any(|page| page.count > 0 && page.rows_hash != 0));
    assert!(result.pages.iter().any(|page| page.outcome == "failed" && page.instance == "channel-1"));
    for read in &result.first_reads {
        let row = result.operations.iter().find(|row| row.account == read.account && row.seq == Some(read.to_seq));
        assert!(row.expect("its deposit").acked_ns < Some(read.at_ns));
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_named() {
    let plan = plan("1/s", "1s", "");
    let error = drive(input(&plan, "127.0.0.1:80")).await.expect_err("no scheme").to_string();
    assert!(error.contains("127.0.0.1:80") && error.contains("http://host:port"), "{error}");
}
