//! What is told, in which words, and that telling changes nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{acting, install, note, note_at, plan_faults, strikes, take};
use crate::draw::draw;
use crate::plan::{Action, Fault, Following, Kind, Operation, Plan, Repair, SCHEMA, Topology, Trigger, WorkerMode};
use crate::world::{Options, Outcome, run};

fn shown() -> Vec<String> {
    take().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn notes_have_their_time_and_their_process_and_cost_nothing_unasked() {
    note(|| unreachable!("nobody records"));
    install();
    sleep(Duration::from_millis(1500)).await;
    {
        let _core = acting("core");
        note(|| "posts".to_owned());
    }
    note(|| "ends".to_owned());
    assert_eq!(shown(), ["     1.500 s  core              posts", "     1.500 s  world             ends"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_come_is_told_at_its_moment_if_the_trace_gets_there() {
    install();
    for seconds in [1, 3] {
        note_at(Instant::now() + Duration::from_secs(seconds), || format!("{seconds} s are over"));
    }
    plan_faults(|| vec!["strikes".to_owned()]);
    sleep(Duration::from_secs(2)).await;
    strikes(0);
    strikes(1);
    assert_eq!(shown(), ["     1.000 s  world             1 s are over", "     2.000 s  world             strikes"]);
}

#[tokio::test(start_paused = true)]
async fn log_lines_join_while_a_trace_is_recorded_and_nobody_listens_after() {
    let log = |what: &str| {
        let error = std::io::Error::other("gone");
        tracing::warn!(what, %error, pause = ?Duration::from_millis(20), "the relay pauses");
        tracing::info!("a plain line");
        tracing::debug!("never");
    };
    log("before");
    install();
    {
        let _core = acting("core");
        log("producer discarded");
    }
    assert_eq!(
        shown(),
        [
            "     0.000 s  core              log: the relay pauses (what=producer discarded, error=gone, pause=20ms)",
            "     0.000 s  core              log: a plain line"
        ]
    );
    assert!(tracing::dispatcher::get_default(|heard| heard.is::<tracing::subscriber::NoSubscriber>()));
    log("after");
    assert_eq!(shown(), [""; 0]);
}

#[test]
fn a_world_is_the_same_with_and_without_a_trace() {
    for seed in [1, 5, 8, 13] {
        let mut plan = draw(seed);
        // Its faults matter here, not how much there is to do.
        plan.operations.retain(|operation| operation.op % 4 == 0);
        let (plain, traced) = (
            run(&plan, &Options { trace: false, ..Options::default() }),
            run(&plan, &Options { trace: true, ..Options::default() }),
        );
        assert!(plain.trace.is_empty() && traced.trace.len() > plan.operations.len(), "seed {seed}");
        assert!(traced.trace.is_sorted_by_key(|line| line.at), "seed {seed}");
        assert_eq!(plain, Outcome { trace: Vec::new(), ..traced }, "seed {seed}");
    }
}

/// One account, one channel, a deposit and a look at it; the first answer of core is lost.
fn tiny() -> Plan {
    let topology = Topology {
        accounts: 1,
        opening_won: 1000,
        partitions: 1,
        channels: 1,
        load_ms: 2000,
        pace_ms: 0,
        connections: 6,
        posting_slots: 1,
        batch_max: 1,
        relay_poll_ms: 1000,
        relay_rows: 10,
        worker_mode: WorkerMode::Serial,
        workers: 1,
        transactions: 1,
        batch_accounts: 1,
        span: 10,
        commit_every_ms: 500,
        sync_cost_ms: 0,
        tight_limits: false,
        following: Following::default(),
        repair: Repair::ON,
        transfers: crate::plan::Terms::default(),
        protections: crate::plan::Protections::default(),
    };
    let deposit = Action::Deposit { won: 18_663, patience_ms: 300, retries: 1, again: None };
    let scroll = Action::Scroll { channel: 0, pages: 1, limit: 10 };
    let operation = |op, at_ms, action| Operation { op, at_ms, account: 0, action };
    let fault = Fault {
        kind: Kind::AnswerDropped,
        place: "customers>core".to_owned(),
        trigger: Trigger::Nth(1),
        lasts_ms: 0,
        amount: 0,
    };
    let operations = vec![operation(50, 100, deposit), operation(51, 1500, scroll)];
    Plan { schema: SCHEMA, seed: 0, chance: 0, planted: None, topology, faults: vec![fault], operations }
}

#[test]
fn the_whole_trace_of_a_tiny_plan() {
    let outcome = run(&tiny(), &Options { trace: true, ..Options::default() });
    assert!(outcome.holds(), "{:?}", outcome.violations);
    let told: Vec<_> = outcome.trace.iter().map(ToString::to_string).collect();
    assert_eq!(told.join("\n"), include_str!("tests/tiny.txt").trim_end());
}
