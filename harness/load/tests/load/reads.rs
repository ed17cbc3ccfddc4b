//! Customers who read: sessions go from page to page whatever happens to a page, and the button is pressed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_customers::{Plan, Request};
use bankstorm_load::figures::{counts, latency};
use bankstorm_load::run::ChannelAddress;
use bankstorm_load::{DriveError, DriveInput, DriveResult, drive};
use bankstorm_record::rows::PageRow;
use bankstorm_scenario::resolved::LatencyKind;

use crate::server::{Behaviour, Server};
use crate::transfers::with_channels;
use crate::{input, nothing_is_missing, outcomes, plan_of};

const MS: i64 = 1_000_000;

fn history(depth: i64) -> Behaviour {
    Behaviour::History { depth, takes: Duration::ZERO }
}

/// The pages of each session, in the order in which they were asked for.
fn sessions(result: &DriveResult) -> BTreeMap<u64, Vec<&PageRow>> {
    let mut sessions: BTreeMap<u64, Vec<&PageRow>> = BTreeMap::new();
    for page in &result.pages {
        sessions.entry(page.op.expect("of a session")).or_default().push(page);
    }
    for pages in sessions.values_mut() {
        pages.sort_by_key(|page| page.invoked_ns);
    }
    sessions
}

/// Each page of a session was asked for once the one before was answered, and goes on where that ended.
fn each_goes_on_where_the_one_before_ended(result: &DriveResult) {
    for (session, pages) in sessions(result) {
        let row = &result.operations[usize::try_from(session).expect("small")];
        assert_eq!((row.kind.as_str(), row.account), ("scroll", pages[0].account));
        assert_eq!((pages[0].page_no, pages[0].cursor), (Some(0), None));
        for pair in pages.windows(2) {
            assert!(pair[0].completed_ns <= pair[1].invoked_ns, "{pair:?}");
            let went_on = (pair[0].page_no.map(|page_no| page_no + 1), pair[0].next_cursor);
            let again = (pair[0].page_no, pair[0].cursor);
            let expected = if pair[0].outcome == "ok" { went_on } else { again };
            assert_eq!((pair[1].page_no, pair[1].cursor), expected, "{pair:?}");
            assert!(pair[0].instance == pair[1].instance || pair[0].outcome != "ok", "{pair:?}");
        }
    }
}

fn planned_sessions(plan: &Plan) -> BTreeSet<u64> {
    let pages = plan.operations().filter_map(|planned| match planned.request {
        Request::Page(page) => Some(page.turn.session),
        _ => None,
    });
    pages.collect()
}

#[tokio::test]
async fn a1_a_session_goes_from_page_to_page_and_every_page_has_its_row() {
    let server = Server::start(history(1_000)).await;
    let plan = plan_of("scroll", "100/s", "1s", "readers = 4\npages = 6\npage_size = 10\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((result.operations.len(), outcomes(&result, Some("ok")).count(), result.pages.len()), (120, 120, 120));
    assert!(result.operations.iter().all(|row| row.http_status == Some(200) && row.resolved.as_deref() == Some("ok")));
    each_goes_on_where_the_one_before_ended(&result);
    let sessions = sessions(&result);
    assert_eq!(sessions.keys().copied().collect::<BTreeSet<_>>(), planned_sessions(&plan));
    assert!(result.pages.iter().all(|page| page.count == 10 && page.contiguous && page.as_of_seq == 1_000));
    assert!(sessions.values().flatten().all(|page| page.top_seq == 1_000 - 10 * i64::from(page.page_no.expect("one"))));
    let instances: BTreeSet<_> = result.pages.iter().map(|page| page.instance.as_str()).collect();
    assert_eq!(instances, BTreeSet::from(["channel-0", "channel-1"]));
    let facts = result.scrolls;
    assert_eq!((facts.sessions, facts.begun_again, facts.asked_again), (sessions.len() as u64, 0, 0));
    assert_eq!((facts.deepest, facts.send_lag.count), (5, 100));
    let keys: Vec<_> = result.pages.iter().map(|page| (page.account, page.invoked_ns)).collect();
    assert!(keys.is_sorted());
}

#[tokio::test]
async fn what_is_read_has_response_service_and_send_lag_and_never_becomes_visible() {
    let server = Server::start(history(100)).await;
    let plan = plan_of("scroll", "50/s", "1s", "");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    let count = |kind| latency(&result.operations, kind, &result.cut_offs()).count;
    assert_eq!([LatencyKind::Response, LatencyKind::Service, LatencyKind::SendLag].map(count), [50; 3]);
    assert_eq!([LatencyKind::SyncLag, LatencyKind::Visible].map(count), [0; 2]);
    assert_eq!((counts(&result.operations).planned, counts(&result.operations).ok), (50, 50));
}

#[tokio::test]
async fn a_history_that_ends_before_its_session_begins_again_and_the_rate_holds() {
    let server = Server::start(history(25)).await;
    let plan = plan_of("scroll", "100/s", "1s", "readers = 2\npages = 20\npage_size = 10\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((outcomes(&result, Some("ok")).count(), result.pages.len()), (120, 120));
    each_goes_on_where_the_one_before_ended(&result);
    let (sessions, planned) = (sessions(&result), planned_sessions(&plan));
    assert!(sessions.values().all(|pages| pages.len() <= 3));
    let ended = result.pages.iter().filter(|page| page.next_cursor.is_none());
    assert!(ended.into_iter().all(|page| page.page_no == Some(2) && page.count == 5));
    let facts = result.scrolls;
    assert_eq!((facts.sessions, facts.deepest), (sessions.len() as u64, 2));
    assert_eq!(facts.begun_again, (sessions.len() - planned.len()) as u64, "what the plan does not have");
}

#[tokio::test]
async fn a_page_that_did_not_come_is_asked_for_again_at_another_instance() {
    let server = Server::start(history(1_000)).await;
    let gone_url = Server::start(Behaviour::Answer).await.gone().await;
    let plan = plan_of("scroll", "100/s", "1s", "readers = 3\npages = 5\npage_size = 10\n");
    let mut input = with_channels(&plan, &server.url());
    input.channels[1] = ChannelAddress { instance: "channel-1".to_owned(), url: gone_url };
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    each_goes_on_where_the_one_before_ended(&result);
    let failed = outcomes(&result, Some("failed")).count();
    assert!(failed > 0 && failed + outcomes(&result, Some("ok")).count() == 120);
    assert!(result.pages.iter().all(|page| (page.outcome == "failed") == (page.instance == "channel-1")));
    // Whoever was turned away asks the other, so nobody is twice in a row.
    for pages in sessions(&result).values() {
        assert!(pages.windows(2).all(|pair| pair[0].outcome == "ok" || pair[1].outcome == "ok"), "{pages:?}");
    }
    // What the last read of a session did not get, nobody asks for again.
    assert!((1..=failed as u64).contains(&result.scrolls.asked_again));
}

#[tokio::test]
async fn who_waits_for_a_page_is_late_with_the_next_and_the_time_counts_from_when_it_was_due() {
    let takes = Duration::from_millis(100);
    let server = Server::start(Behaviour::History { depth: 1_000, takes }).await;
    let plan = plan_of("scroll", "20/s", "1s", "readers = 1\npages = 50\npage_size = 10\ntimeout = \"20s\"\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    each_goes_on_where_the_one_before_ended(&result);
    assert_eq!(outcomes(&result, Some("ok")).count(), 24);
    // The 24th page is due after 1.15 s and cannot be answered before 2.4 s.
    let last = result.operations.last().expect("one");
    let (due, sent, acked) = (last.intended_ns, last.sent_ns.expect("sent"), last.acked_ns.expect("answered"));
    assert!(sent - due >= 1_150 * MS && acked - due >= 1_250 * MS, "{last:?}");
    // That is the bank's doing: the generator wrote each page soon after the one before.
    let lag = result.scrolls.send_lag;
    assert!(lag.count == 20 && lag.p50_ns < 100 * MS as u64, "{lag:?}");
}

#[tokio::test]
async fn a_page_that_waits_for_a_connection_waits_for_the_bank() {
    let takes = Duration::from_millis(100);
    let server = Server::start(Behaviour::History { depth: 1_000, takes }).await;
    let more = "readers = 4\npages = 50\npage_size = 10\nconnections = 1\ntimeout = \"20s\"\n";
    let plan = plan_of("scroll", "20/s", "1s", more);
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    // Four customers share one connection: each waits for the pages of the three others.
    let (lag, lags) = (result.scrolls.send_lag, &result.scroll_lags);
    assert!(lag.count == 20 && lag.p50_ns < 100 * MS as u64, "{lag:?}");
    let measured = result.operations.iter().filter(|row| row.phase == "measure").map(|row| row.op);
    assert!(lags.keys().copied().eq(measured), "{lags:?}");
    assert_eq!(lags.values().max(), Some(&lag.max_ns));
}

#[tokio::test]
async fn pages_that_nobody_answers_are_unknown_or_missed_and_nothing_is_left_to_settle() {
    let server = Server::start(Behaviour::Silent).await;
    // Each page is given up a quarter of a millisecond before the next one: too short a time for that to be sent.
    let plan = plan_of("scroll", "4000/s", "1s", "readers = 1\ntimeout = \"300ms\"\n");
    let input = with_channels(&plan, &server.url());
    let tally = Arc::clone(&input.tally);
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let [unknown, missed] = [Some("unknown"), None].map(|word| outcomes(&result, word).count());
    assert!(unknown > 0 && missed > 0 && unknown + missed == 4_800, "{unknown} {missed}");
    assert!(outcomes(&result, Some("unknown")).all(|row| row.resolved.as_deref() == Some("failed")));
    assert_eq!((counts(&result.operations).unresolved, result.pages.len()), (0, unknown));
    let before = |detail: &str| detail == "the page before it was not answered before its timeout";
    assert!(outcomes(&result, None).any(|row| row.detail.as_deref().is_some_and(before)));
    assert_eq!((tally.counts().missed, tally.counts().in_flight), (missed as u64, 0));
}

#[tokio::test]
async fn more_pages_than_may_wait_are_missed_and_say_so() {
    let server = Server::start(Behaviour::Silent).await;
    let plan = plan_of("scroll", "200/s", "1s", "readers = 2\ntimeout = \"3s\"\n");
    let mut input = with_channels(&plan, &server.url());
    input.tuning.ring = 16;
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let too_many = |detail: &str| detail == "too many pages waited for the ones before them";
    let told = outcomes(&result, None).filter(|row| row.detail.as_deref().is_some_and(too_many)).count();
    assert!(told > 100, "{told}");
}

#[tokio::test]
async fn several_threads_keep_each_session_together() {
    let server = Server::start(history(1_000)).await;
    let plan = plan_of("scroll", "100/s", "1s", "readers = 5\npages = 7\nconnections = 4\n");
    let mut input = with_channels(&plan, &server.url());
    input.tuning.senders = 2;
    let result = drive(input).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!(outcomes(&result, Some("ok")).count(), 120);
    each_goes_on_where_the_one_before_ended(&result);
    assert_eq!(sessions(&result).keys().copied().collect::<BTreeSet<_>>(), planned_sessions(&plan));
    assert_eq!(result.scrolls.send_lag.count, 100);
}

#[tokio::test]
async fn a_raised_stop_ends_sessions_in_the_middle() {
    let server = Server::start(Behaviour::History { depth: 1_000, takes: Duration::from_millis(20) }).await;
    let plan = plan_of("scroll", "100/s", "1h", "readers = 3\n");
    let input = with_channels(&plan, &server.url());
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
    each_goes_on_where_the_one_before_ended(&result);
    assert!(result.interrupted && outcomes(&result, Some("ok")).count() >= 10);
    assert!(outcomes(&result, None).all(|row| row.detail.as_deref() == Some("the load was ended early")));
}

#[tokio::test]
async fn a16_every_press_of_the_button_is_kept_with_what_it_came_to() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("sync", "60/s", "1s", "");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((result.operations.len(), server.presses(), result.syncs.len()), (72, 72, 72));
    let outcomes = ["ok", "rejected", "failed"].map(|word| outcomes(&result, Some(word)).count());
    assert_eq!(outcomes, [48, 12, 12]);
    let mut results = BTreeMap::<Option<&str>, u64>::new();
    for press in &result.syncs {
        *results.entry(press.result.as_deref()).or_default() += 1;
        let row = &result.operations[usize::try_from(press.op.expect("its operation")).expect("small")];
        assert_eq!((Some(&press.outcome), press.account), (row.outcome.as_ref(), row.account));
        assert_eq!(
            (press.result.is_some(), press.as_of_seq),
            (press.outcome == "ok", 7 * i64::from(press.outcome == "ok"))
        );
        assert!(row.intended_ns <= press.invoked_ns && Some(press.completed_ns) == row.acked_ns);
    }
    let each = ["core_unavailable", "rate_limited", "stale", "synced"].map(|word| (Some(word), 12));
    assert_eq!(results.into_iter().collect::<Vec<_>>(), [vec![(None, 24)], each.to_vec()].concat());
    let instances: BTreeSet<_> = result.syncs.iter().map(|press| press.instance.as_str()).collect();
    assert_eq!(instances, BTreeSet::from(["channel-0", "channel-1"]));
    let keys: Vec<_> = result.syncs.iter().map(|press| (press.account, press.invoked_ns)).collect();
    assert!(keys.is_sorted());
}

#[tokio::test]
async fn q2_a_press_that_nobody_answers_is_unknown_and_nothing_is_left_to_settle() {
    let server = Server::start(Behaviour::Silent).await;
    let plan = plan_of("sync", "20/s", "1s", "timeout = \"300ms\"\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((outcomes(&result, Some("unknown")).count(), result.syncs.len()), (24, 24));
    assert!(
        result.syncs.iter().all(|press| press.result.is_none() && press.completed_ns - press.invoked_ns >= 250 * MS)
    );
    assert_eq!(counts(&result.operations).unresolved, 0);
}

#[tokio::test]
async fn reads_without_a_channel_are_a_mistake() {
    for op in ["scroll", "sync"] {
        let plan = plan_of(op, "1/s", "1s", "");
        let input: DriveInput = input(&plan, "http://127.0.0.1:1");
        let refused = drive(input).await.expect_err("nobody to ask");
        assert!(matches!(refused, DriveError::NoChannel), "{refused}");
    }
}
