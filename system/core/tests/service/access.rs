//! Reads: what the access log says of them (G1), and how long they take at most.

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Purpose};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, DigestRange};
use bankstorm_core::CoreConfig;
use bankstorm_outside::process::AccessCall;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::bank::Manner;
use crate::bench::*;

fn bench() -> Bench {
    Bench::new(Manner::Credits, CoreConfig::default())
}

fn entries(account: i64, limit: u32, purpose: Option<Purpose>) -> CoreRequest {
    CoreRequest::Entries { account: AccountNo::new(account), after: 0, limit, purpose }
}

fn heads(accounts: &[i64], purpose: Option<Purpose>) -> CoreRequest {
    CoreRequest::Heads { accounts: accounts.iter().copied().map(AccountNo::new).collect(), purpose }
}

fn line(call: AccessCall, account: Option<i64>, purpose: Option<Purpose>, status: u16) -> Line {
    Line { caller: "channel".to_owned(), call, account, purpose, status, took: Duration::ZERO }
}

#[tokio::test(start_paused = true)]
async fn g1_each_read_of_a_channel_is_a_line_with_its_caller_account_and_purpose() {
    let bench = bench();
    drop(bench.ask(entries(A, 5, Some(Purpose::GapFill))).await);
    drop(bench.ask(heads(&[A], Some(Purpose::Read))).await);
    drop(bench.ask(heads(&[A, B], Some(Purpose::Sweep))).await);
    drop(bench.ask(entries(1_999_999, 5, None)).await);
    drop(bench.ask(CoreRequest::Digests(DigestRange::ALL)).await);
    let expected = [
        line(AccessCall::Entries, Some(A), Some(Purpose::GapFill), 200),
        line(AccessCall::Heads, Some(A), Some(Purpose::Read), 200),
        line(AccessCall::Heads, None, Some(Purpose::Sweep), 200),
        line(AccessCall::Entries, Some(1_999_999), None, 200),
        line(AccessCall::Digests, None, None, 200),
    ];
    assert_eq!(bench.accesses(), expected);
}

#[tokio::test(start_paused = true)]
async fn g1_postings_questions_and_single_heads_are_no_lines() {
    let bench = bench();
    created(&bench.ask(deposit(1, A, 1)).await);
    drop(bench.ask(CoreRequest::Resolve(id(1))).await);
    drop(bench.ask(CoreRequest::Head(AccountNo::new(A))).await);
    assert_eq!(bench.accesses(), []);
}

#[tokio::test(start_paused = true)]
async fn g1_refused_failed_and_abandoned_reads_are_lines_too() {
    let config = CoreConfig { read_slots: 1, ..CoreConfig::default() };
    let bench = Bench::new(Manner::Credits, config);
    drop(bench.ask(entries(A, 0, None)).await);
    bench.store.data().reads_take = Duration::from_secs(9);
    assert_eq!(problem(&bench.ask(entries(A, 5, None)).await), ProblemKind::NotStarted);
    let hung_up = timeout(Duration::from_millis(10), bench.ask(heads(&[B], Some(Purpose::Read)))).await;
    assert!(hung_up.is_err(), "it is not answered by then");
    let told: Vec<_> = bench.accesses().iter().map(|line| (line.account, line.status, line.took)).collect();
    let (none, limit, cut) = (Duration::ZERO, Duration::from_secs(2), Duration::from_millis(10));
    assert_eq!(told, [(Some(A), 400, none), (Some(A), 503, limit), (Some(B), 0, cut)]);
}

/// However many ask, and however slow the database is.
#[tokio::test(start_paused = true)]
async fn a_core_whose_database_stands_still_answers_every_read_within_its_own_limits() {
    let bench = bench();
    bench.store.data().reads_take = Duration::from_secs(60);
    bench.store.data().stretches_take = Duration::from_secs(60);
    let config = CoreConfig::default();
    let asked = (0..20).map(|number| {
        let bench = &bench;
        async move {
            let begun = Instant::now();
            let request = match number % 3 {
                0 => entries(A, 5, Some(Purpose::Read)),
                1 => heads(&[A, B], Some(Purpose::Sweep)),
                _ => CoreRequest::Digests(DigestRange::ALL),
            };
            (bench.ask(request).await, begun.elapsed())
        }
    });
    let answers = join_all(asked).await;
    let mut limits = [0, 0];
    for (answer, took) in answers {
        assert_eq!(problem(&answer), ProblemKind::NotStarted);
        let text = format!("{answer:?}");
        limits[usize::from(text.contains("read_limit"))] += 1;
        assert!(text.contains("read_limit") || text.contains("read_wait"), "{text}");
        // A digest waits for a slot twice.
        assert!(took <= 2 * config.read_wait + config.read_limit, "{took:?}");
    }
    assert_eq!(limits, [20 - config.read_slots, config.read_slots], "the rest waited for slots");
    assert_eq!(bench.accesses().len(), 20);
    bench.store.data().reads_take = Duration::ZERO;
    assert!(matches!(bench.ask(heads(&[A], None)).await, CoreResponse::Heads(_)), "and reads on");
}
