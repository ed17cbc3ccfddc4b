//! Digests of heads: what a channel that compares its copy is told, and who reads beside it (D6, D43).

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Heads};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Head, Won};
use bankstorm_core::CoreConfig;
use futures_util::future::join;
use tokio::time::{Instant, sleep};

use crate::bank::Manner;
use crate::bench::*;

const FAR: i64 = 1_500_000;

async fn digests(bench: &Bench, range: DigestRange) -> Digests {
    match bench.ask(CoreRequest::Digests(range)).await {
        CoreResponse::Digests(digests) => digests,
        other => panic!("no digests: {other:?}"),
    }
}

fn head(account: i64, seq: i64, balance: i64) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(balance) }
}

#[tokio::test(start_paused = true)]
async fn d43_an_entry_that_a_copy_misses_shows_in_its_part_and_in_no_other() {
    let bench = Bench::with(&[(A, 1_000), (B, 500), (FAR, 7)], Manner::Credits, CoreConfig::default());
    let mut copy = vec![head(A, 1, 1_000), head(B, 1, 500), head(FAR, 1, 7)];
    let told = digests(&bench, DigestRange::ALL).await;
    assert_eq!(told, Digests { parts: DigestRange::ALL.parts(&copy), next: None });
    assert_eq!(told.unequal(&DigestRange::ALL, &copy), []);

    created(&bench.ask(transfer(1, A, FAR, 10)).await);
    copy[0] = head(A, 2, 990);
    let (first, last) = DigestRange::ALL.part_of(AccountNo::new(FAR)).expect("a customer's");
    assert_eq!(digests(&bench, DigestRange::ALL).await.unequal(&DigestRange::ALL, &copy), [(first, last)]);
    let numbers = (first.get()..=last.get()).map(AccountNo::new).collect();
    let answer = bench.ask(CoreRequest::Heads { accounts: numbers, purpose: None }).await;
    assert_eq!(answer, CoreResponse::Heads(Heads { heads: vec![head(FAR, 2, 17)] }), "what to pull");
    copy[2] = head(FAR, 2, 17);
    assert_eq!(digests(&bench, DigestRange::ALL).await.unequal(&DigestRange::ALL, &copy), []);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_stretch_is_refused_with_its_field() {
    let bench = Bench::new(Manner::Credits, CoreConfig::default());
    let all = DigestRange::ALL;
    let wrong = [
        (DigestRange { from: AccountNo::SETTLEMENT, ..all }, "from"),
        (DigestRange { from: AccountNo::new(B), to: AccountNo::new(A), ..all }, "to"),
        (DigestRange { width: 0, ..all }, "width"),
        (DigestRange { width: u32::MAX, ..all }, "width"),
    ];
    for (range, field) in wrong {
        let CoreResponse::Problem(problem) = bench.ask(CoreRequest::Digests(range)).await else { panic!("{range:?}") };
        assert_eq!((problem.kind, problem.field.as_deref()), (ProblemKind::BadRequest, Some(field)));
    }
}

/// Digests that take long leave two of the three slots to those who read an account.
#[tokio::test(start_paused = true)]
async fn however_many_digests_are_asked_for_others_read_beside_them() {
    let patient = CoreConfig { read_limit: Duration::from_secs(9), ..CoreConfig::default() };
    let bench = Bench::new(Manner::Credits, patient);
    bench.store.data().stretches_take = Duration::from_secs(5);
    let ask = || bench.ask(CoreRequest::Digests(DigestRange::ALL));
    let sweeps = async { futures_util::join!(ask(), ask(), ask(), ask()) };
    let reader = async {
        sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        let answer = bench.ask(CoreRequest::Head(AccountNo::new(A))).await;
        (answer, asked.elapsed())
    };
    let ((first, second, third, fourth), read) = join(sweeps, reader).await;
    assert_eq!(read, (CoreResponse::Head(head(A, 1, 1_000)), Duration::ZERO));
    assert!(matches!(first, CoreResponse::Digests(_)), "{first:?}");
    for refused in [second, third, fourth] {
        assert_eq!(problem(&refused), ProblemKind::NotStarted);
        assert!(format!("{refused:?}").contains("1 digests were in work for over read_wait"), "{refused:?}");
    }
}
