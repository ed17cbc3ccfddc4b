//! What the network promises, each on a link to a process that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bankstorm_outside::process::Scope;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{AnswerFault, CallEnd, Endpoint, Link, Network, RequestFault, Way};
use crate::model::process::ModelScope;
use crate::trace::Told;
use crate::trace::told::Kinded;

impl Told for u64 {
    fn told(&self) -> String {
        self.to_string()
    }
}

impl Kinded for u64 {
    fn kind(&self) -> &'static str {
        if self.is_multiple_of(2) { "even" } else { "odd" }
    }
}

const LIMIT: Duration = Duration::from_secs(3);
/// The longest that an undisturbed call takes here, travel and work.
const SOON: Duration = Duration::from_millis(100);
const LATE: Result<u64, CallEnd> = Err(CallEnd::Lost("no answer came within the limit"));
const BROKEN: Result<u64, CallEnd> = Err(CallEnd::Lost("the connection broke"));

/// A process that works 20 ms on each request, and what its handlers did.
struct Bench {
    network: Network,
    link: Link,
    at: Endpoint<u64, u64>,
    scope: ModelScope,
    did: Arc<Did>,
}

#[derive(Default)]
struct Did {
    begun: AtomicU64,
    done: AtomicU64,
    left_off: AtomicU64,
    changed: Notify,
}

/// Counts a handler whose future is dropped before its end.
struct Begun(Arc<Did>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.left_off.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bench {
    fn new() -> Self {
        let network = Network::new(7, 4);
        let (link, at) = (network.link("customers", "core"), Endpoint::new("request"));
        let bench = Self { network, link, at, scope: ModelScope::named("core"), did: Arc::default() };
        bench.listen(bench.scope.clone());
        bench
    }

    fn listen(&self, scope: ModelScope) {
        let did = Arc::clone(&self.did);
        self.at.listen(scope, move |request: u64| {
            let did = Arc::clone(&did);
            Box::pin(async move {
                did.begun.fetch_add(1, Ordering::SeqCst);
                did.changed.notify_waiters();
                let begun = Begun(Arc::clone(&did));
                sleep(Duration::from_millis(20)).await;
                std::mem::forget(begun);
                did.done.fetch_add(1, Ordering::SeqCst);
                request + 1
            })
        });
    }

    async fn call(&self, limit: Duration) -> Result<u64, CallEnd> {
        self.link.call(&self.at, 1, limit).await
    }

    /// Waits until a handler has begun.
    async fn begun(&self) {
        let begun = async {
            let changed = self.did.changed.notified();
            if self.did.begun.load(Ordering::SeqCst) == 0 {
                changed.await;
            }
        };
        timeout(LIMIT, begun).await.expect("a handler begins");
    }

    /// Handlers that began, were worked to their end, were left off.
    fn did(&self) -> [u64; 3] {
        [&self.did.begun, &self.did.done, &self.did.left_off].map(|count| count.load(Ordering::SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_soon_and_a_link_is_the_same_each_time() {
    let bench = Bench::new();
    let born = Instant::now();
    for _ in 0..20 {
        assert_eq!(bench.call(LIMIT).await, Ok(2));
        assert_eq!(bench.link.call_apart(&bench.at, 2, LIMIT).await, Ok(3));
    }
    assert!(born.elapsed() < 40 * SOON);
    let again = bench.network.link("customers", "core");
    again.requests().plan(1, RequestFault::Dropped);
    assert_eq!((bench.call(LIMIT).await, bench.link.requests().fired()), (LATE, 1));
    assert_eq!(again.name(), "customers>core");
    assert_eq!(bench.did(), [40, 40, 0], "what is dropped never arrives");
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_is_refused_before_during_and_after() {
    let bench = Bench::new();
    let nowhere = Endpoint::<u64, u64>::new("nowhere");
    assert_eq!(bench.link.call(&nowhere, 1, LIMIT).await, Err(CallEnd::Refused));
    bench.at.close();
    assert_eq!(bench.call(LIMIT).await, Err(CallEnd::Refused));
    bench.listen(bench.scope.clone());
    assert_eq!(bench.call(LIMIT).await, Ok(2));
    bench.scope.kill();
    assert_eq!(bench.call(LIMIT).await, Err(CallEnd::Refused));
    bench.listen(ModelScope::named("core"));
    assert_eq!(bench.call(LIMIT).await, Ok(2), "the endpoint outlives the process");
    bench.link.cut(Way::Answers, 2 * LIMIT);
    bench.at.close();
    assert_eq!(bench.call(LIMIT).await, LATE, "a refusal travels, too");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_killed_breaks_its_calls() {
    let bench = Bench::new();
    let kill = async {
        bench.begun().await;
        bench.scope.kill();
    };
    let born = Instant::now();
    let (end, ()) = tokio::join!(biased; bench.call(LIMIT), kill);
    assert_eq!((end, bench.did()), (BROKEN, [1, 0, 1]));
    assert!(born.elapsed() < SOON, "at once, not after the limit");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_closed_ends_what_it_began() {
    let bench = Bench::new();
    let close = async {
        bench.begun().await;
        bench.at.close();
    };
    let (end, ()) = tokio::join!(biased; bench.call(LIMIT), close);
    assert_eq!(end, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_listener_answers_once_it_goes_on() {
    let bench = Bench::new();
    bench.scope.pause();
    let resume = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.did(), [0, 0, 0], "the request waits in its socket");
        bench.scope.resume();
    };
    let (end, ()) = tokio::join!(biased; bench.call(LIMIT), resume);
    assert_eq!((end, bench.did()), (Ok(2), [1, 1, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_listener_takes_up_a_request_whose_caller_is_gone_and_leaves_it_off() {
    let bench = Bench::new();
    bench.scope.pause();
    assert_eq!(bench.call(LIMIT).await, LATE);
    assert_eq!(bench.did(), [0, 0, 0]);
    bench.scope.resume();
    sleep(SOON).await;
    assert_eq!(bench.did(), [1, 0, 1], "whatever it hands on when it begins happens");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_ends_the_handler() {
    let bench = Bench::new();
    // Either by its limit, or because nobody wants to know any more, in its own task or apart.
    assert_eq!(bench.call(Duration::from_millis(15)).await, LATE);
    sleep(SOON).await;
    assert_eq!(bench.did(), [1, 0, 1]);
    assert!(timeout(Duration::from_millis(15), bench.call(LIMIT)).await.is_err());
    sleep(SOON).await;
    assert_eq!(bench.did(), [2, 0, 2]);
    assert_eq!(bench.link.call_apart(&bench.at, 1, Duration::from_millis(15)).await, LATE);
    sleep(SOON).await;
    assert_eq!(bench.did(), [3, 0, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_caller_holds_up_nobody_but_itself() {
    let bench = Bench::new();
    let caller = ModelScope::named("channel-0");
    let call = caller.run("caller", bench.link.call_apart(&bench.at, 1, LIMIT));
    let freeze = async {
        bench.begun().await;
        caller.pause();
        sleep(2 * LIMIT).await;
        assert_eq!(bench.did(), [1, 1, 0]);
        caller.resume();
    };
    let (end, ()) = tokio::join!(biased; call, freeze);
    assert_eq!(end, Ok(Ok(2)), "its answer lay in the socket");
}

#[tokio::test(start_paused = true)]
async fn a_held_request_arrives_although_its_caller_gave_up() {
    let bench = Bench::new();
    bench.link.requests().plan(1, RequestFault::Held(2 * LIMIT));
    assert_eq!(bench.call(LIMIT).await, LATE);
    assert_eq!(bench.did(), [0, 0, 0]);
    bench.network.heal();
    sleep(LIMIT + SOON).await;
    assert_eq!(bench.did(), [1, 1, 0], "to its end");
    bench.link.requests().plan(1, RequestFault::Held(LIMIT / 2));
    assert_eq!(bench.call(LIMIT).await, Ok(2), "who still waits is answered");
    bench.link.requests().plan(1, RequestFault::Held(LIMIT / 2));
    bench.at.close();
    assert_eq!(bench.call(LIMIT).await, BROKEN, "nobody can tell a refusal from a break through whoever kept it");
}

#[tokio::test(start_paused = true)]
async fn a_doubled_request_is_worked_twice_and_answered_once() {
    let bench = Bench::new();
    bench.link.requests().plan(1, RequestFault::Doubled(LIMIT));
    assert_eq!(bench.call(LIMIT).await, Ok(2));
    assert_eq!(bench.did(), [1, 1, 0]);
    sleep(LIMIT + SOON).await;
    assert_eq!(bench.did(), [2, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_dropped_or_held_after_the_effect() {
    let bench = Bench::new();
    bench.link.answers().plan(1, AnswerFault::Dropped);
    bench.link.answers().plan(2, AnswerFault::Held(Duration::from_secs(1)));
    bench.link.answers().plan(3, AnswerFault::Held(LIMIT));
    assert_eq!((bench.call(LIMIT).await, bench.did()), (LATE, [1, 1, 0]));
    let born = Instant::now();
    assert_eq!((bench.call(LIMIT).await, bench.did()), (Ok(2), [2, 2, 0]));
    assert!(born.elapsed() > Duration::from_secs(1));
    assert_eq!((bench.call(LIMIT).await, bench.did()), (LATE, [3, 3, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_a_kind_counts_and_meets_only_its_kind() {
    let bench = Bench::new();
    let ask = async |request: u64| bench.link.call(&bench.at, request, LIMIT).await;
    assert_eq!(ask(1).await, Ok(2));
    let (odd, even) = (bench.link.requests_of("odd"), bench.link.answers_of("even"));
    odd.plan_tagged(2, RequestFault::Dropped, 5);
    even.plan(1, AnswerFault::Dropped);
    assert_eq!(
        [ask(1).await, ask(2).await, ask(4).await, ask(1).await, ask(1).await],
        [Ok(2), LATE, Ok(5), LATE, Ok(2)]
    );
    assert_eq!((odd.fired(), even.fired(), bench.link.requests_of("odd").struck()[0].0), (1, 1, 5));
    // Two that are due at once come one after the other.
    odd.plan(1, RequestFault::Dropped);
    bench.link.requests().plan(1, RequestFault::Held(2 * LIMIT));
    assert_eq!([ask(1).await, ask(1).await, ask(1).await], [LATE, LATE, Ok(2)]);
    odd.plan(1, RequestFault::Dropped);
    bench.network.heal();
    assert_eq!((ask(1).await, odd.fired()), (Ok(2), 2));
}

#[tokio::test(start_paused = true)]
async fn a_cut_lets_nothing_through_its_way_until_it_ends() {
    let bench = Bench::new();
    bench.link.cut(Way::Requests, LIMIT);
    assert_eq!((bench.call(LIMIT).await, bench.did()), (LATE, [0, 0, 0]));
    assert_eq!(bench.call(LIMIT).await, Ok(2), "it lasted so long");
    bench.link.cut(Way::Answers, 2 * LIMIT);
    assert_eq!((bench.call(LIMIT).await, bench.did()), (LATE, [2, 2, 0]));
    bench.link.cut(Way::Both, 9 * LIMIT);
    bench.network.heal();
    assert_eq!(bench.call(LIMIT).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_pass_a_cut_so_the_work_goes_on() {
    let bench = Bench::new();
    let cut = async {
        bench.begun().await;
        bench.link.cut(Way::Requests, LIMIT);
    };
    let (end, ()) = tokio::join!(biased; bench.call(Duration::from_millis(15)), cut);
    assert_eq!((end, bench.did()), (LATE, [1, 0, 0]));
    sleep(SOON).await;
    assert_eq!(bench.did(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_slow_each_way_while_it_lasts() {
    let bench = Bench::new();
    bench.link.slow(Duration::from_millis(400), Duration::from_secs(2));
    bench.link.slow(Duration::from_millis(100), Duration::from_secs(2));
    let born = Instant::now();
    assert_eq!(bench.call(LIMIT).await, Ok(2));
    assert!((Duration::from_secs(1)..Duration::from_secs(1) + SOON).contains(&born.elapsed()));
    sleep(Duration::from_secs(1)).await;
    let later = Instant::now();
    assert_eq!(bench.call(LIMIT).await, Ok(2));
    assert!(later.elapsed() < SOON);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_is_kept_and_its_caller_cannot_tell() {
    let bench = Bench::new();
    bench.at.listen(bench.scope.clone(), |request: u64| Box::pin(async move { panic!("no answer to {request}") }));
    assert_eq!(bench.call(LIMIT).await, BROKEN);
    let kept: Vec<_> = bench.scope.panicked().iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["task request panicked: no answer to 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_who_asked_what_what_went_wrong_and_how_it_ended() {
    let bench = Bench::new();
    bench.link.requests().plan(1, RequestFault::Dropped);
    crate::trace::install();
    let caller = ModelScope::named("channel-0");
    assert_eq!(caller.run("caller", bench.link.call_apart(&bench.at, 1, LIMIT)).await, Ok(LATE));
    assert_eq!(bench.call(LIMIT).await, Ok(2));
    bench.scope.spawn("loop", std::future::pending());
    bench.scope.pause();
    bench.scope.resume();
    bench.scope.kill();
    bench.scope.kill();
    let told: Vec<_> = crate::trace::take().into_iter().map(|line| (line.who, line.what)).collect();
    let expected = [
        ("customers", "customers -> core: 1"),
        ("network", "customers -> core: dropped: 1"),
        ("customers", "customers -> core: gave up after 3 s: 1"),
        ("customers", "customers -> core: 1"),
        ("customers", "core -> customers: 2"),
        ("core", "is frozen"),
        ("core", "goes on"),
        ("core", "is killed"),
    ];
    assert_eq!(told, expected.map(|(who, what)| (who, what.to_owned())));
}
