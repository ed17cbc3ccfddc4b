//! The rows about the way from core to the copies: outbox, relay, records, offsets, dead letters, reads.
//!
//! In: nothing. Out: [`ROWS`]. Elsewhere: the other rows (`rows`), running them (`ablate`), the stories (docs/protections.md).
//!
//! A row whose protection is itself something that mends copies says in `keeps` what of that stays where everything else that mends is off.

use super::super::provoke::Stage;
use super::super::{Finding, NOTHING, Row};
use super::any_account;
use crate::plan::{
    Action, Applying, DeadLetters, Gaps, GenerationFence, HoleMarker, Kind, Offsets, Outbox, ReadSync, RecordKey,
    RelayScan, Retrying, Sweep, SyncWrites, WorkerMode,
};

const LOST: &[Finding] = &[("T1", "lost-publish")];
const AHEAD: &[Finding] = &[("T3", "commit-ahead")];

/// Every protection of the way to the copies that a world can show missing.
pub(super) const ROWS: &[Row] = &[
    Row {
        protection: "P9",
        arm: "direct_produce",
        about: "Records wait in core's memory, from the commit on.",
        fires: LOST,
        off: |topology| topology.protections.outbox = Outbox::DirectProduce,
        beside: None,
        keeps: NOTHING,
        provoke: core_dies_after_commits,
    },
    Row {
        protection: "P10",
        arm: "produce_before_commit",
        about: "Records are published before the commit.",
        fires: &[("T1", "phantom-publish"), ("S1", "garbage")],
        off: |topology| topology.protections.outbox = Outbox::ProduceBeforeCommit,
        beside: None,
        keeps: NOTHING,
        provoke: commits_fail,
    },
    Row {
        protection: "P11",
        arm: "id_watermark",
        about: "The relay reads above the highest id that it has published.",
        fires: LOST,
        off: |topology| topology.protections.relay_scan = RelayScan::IdWatermark,
        beside: None,
        keeps: NOTHING,
        provoke: one_slow_commit,
    },
    Row {
        protection: "P12",
        arm: "random",
        about: "Records of one account go to many partitions.",
        fires: &[("T2", "send-inversion")],
        off: |topology| topology.protections.record_key = RecordKey::Random,
        beside: None,
        keeps: NOTHING,
        provoke: many_of_one_account,
    },
    Row {
        protection: "P14",
        arm: "unconditional",
        about: "Whatever comes is appended; and (account, seq) is not unique.",
        fires: &[("S2", "copy-dup"), ("S4", "regress")],
        off: |topology| topology.protections.applying = Applying::Unconditional,
        beside: None,
        keeps: NOTHING,
        provoke: records_again,
    },
    Row {
        protection: "P15",
        arm: "ignore",
        about: "A record above the next serial is appended over the gap.",
        fires: &[("S3", "visible-gap"), ("S5", "lost-copy")],
        off: |topology| topology.protections.gaps = Gaps::Ignore,
        beside: None,
        keeps: |repair| repair.fill = true,
        provoke: records_lost,
    },
    Row {
        protection: "P16",
        arm: "off",
        about: "Nobody compares copies with core.",
        fires: &[("S5", "lost-copy")],
        off: |topology| topology.protections.sweep = Sweep::Off,
        beside: None,
        keeps: |repair| repair.sweep = true,
        provoke: last_record_lost,
    },
    Row {
        protection: "P17",
        arm: "none",
        about: "What fails once is a dead letter.",
        fires: &[("T4", "dlt-early")],
        off: |topology| topology.protections.retrying = Retrying::None,
        beside: None,
        keeps: NOTHING,
        provoke: passing_errors,
    },
    Row {
        protection: "P18",
        arm: "drop",
        about: "A record that cannot be applied is dropped.",
        fires: &[("T4", "dlt-lost"), ("S5", "lost-copy")],
        off: |topology| topology.protections.dead_letters = DeadLetters::Drop,
        beside: None,
        keeps: NOTHING,
        provoke: poison,
    },
    Row {
        protection: "P19",
        arm: "off",
        about: "No hole is marked where a record could not be applied; and gaps are appended over (P15 off).",
        fires: &[("S3", "visible-gap")],
        off: |topology| {
            topology.protections.hole_marker = HoleMarker::Off;
            topology.protections.gaps = Gaps::Ignore;
        },
        beside: Some(|topology| topology.protections.gaps = Gaps::Ignore),
        keeps: |repair| repair.fill = true,
        provoke: poison_and_more,
    },
    Row {
        protection: "P20",
        arm: "on_poll",
        about: "Offsets are committed as soon as their records are taken.",
        fires: AHEAD,
        off: |topology| topology.protections.offsets = Offsets::OnPoll,
        beside: None,
        keeps: NOTHING,
        provoke: killed_at_work,
    },
    Row {
        protection: "P21",
        arm: "highest_done",
        about: "The offset behind the highest record that is done is committed.",
        fires: AHEAD,
        off: |topology| topology.protections.offsets = Offsets::HighestDone,
        beside: None,
        keeps: NOTHING,
        provoke: one_slow_account,
    },
    Row {
        protection: "P22",
        arm: "off",
        about: "A consumer that was replaced may still write.",
        fires: &[("T5", "zombie-write")],
        off: |topology| topology.protections.generation_fence = GenerationFence::Off,
        beside: None,
        keeps: NOTHING,
        provoke: frozen_consumers,
    },
    Row {
        protection: "P23",
        arm: "off",
        about: "A customer with a transfer in progress reads what the copy has.",
        fires: &[("S6", "stale-read")],
        off: |topology| topology.protections.read_sync = ReadSync::Off,
        beside: None,
        keeps: |repair| repair.read_sync = true,
        provoke: reads_behind,
    },
    Row {
        protection: "P24",
        arm: "overwrite",
        about: "What was pulled becomes the copy's head, whatever stands by then.",
        fires: &[("S4", "regress")],
        off: |topology| topology.protections.sync_writes = SyncWrites::Overwrite,
        beside: None,
        keeps: |repair| repair.manual_sync = true,
        provoke: pulls_overtaken,
    },
];

/// Core is killed while many records wait, some of them because the log is away.
fn core_dies_after_commits(stage: &mut Stage) {
    for nth in 0..6 {
        let at = stage.moment();
        if nth % 2 == 0 {
            stage.at(Kind::NodePause, "kafka", at, 1_500, 0);
        }
        for _ in 0..10 {
            let account = any_account(stage);
            stage.deposit(at + 50, account, None);
        }
        let after = stage.dice.between(60, 500);
        stage.at(Kind::NodeKill, "core", at + after, 300, 0);
    }
}

/// Commits that fail after everything before them went well.
fn commits_fail(stage: &mut Stage) {
    for _ in 0..40 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.deposit(at, account, None);
    }
    for kind in [Kind::CommitFailed, Kind::CommitLost] {
        for _ in 0..10 {
            let nth = stage.dice.between(1, 120);
            stage.nth(kind, "postgres-core", nth, 0);
        }
    }
}

/// A posting that commits long after others that began behind it.
fn one_slow_commit(stage: &mut Stage) {
    let topology = &mut stage.plan.topology;
    (topology.posting_slots, topology.batch_max) = (4, 1);
    for _ in 0..8 {
        let at = stage.moment();
        for step in 0..20 {
            let account = any_account(stage);
            stage.deposit(at + step * 20, account, None);
        }
    }
    for _ in 0..16 {
        let (nth, lasts) = (stage.dice.between(1, 200), stage.dice.between(500, 2_000));
        stage.nth(Kind::CommitStalled, "postgres-core", nth, lasts);
    }
}

/// Records of few accounts, close together.
fn many_of_one_account(stage: &mut Stage) {
    stage.plan.topology.partitions = stage.plan.topology.partitions.max(3);
    for _ in 0..6 {
        let at = stage.moment();
        for step in 0..10 {
            stage.deposit(at + step * 30, 0, None);
        }
    }
}

/// Records that come again: doubled, produced again, read again by another member.
fn records_again(stage: &mut Stage) {
    for _ in 0..40 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.deposit(at, account, None);
    }
    for kind in [Kind::RecordDoubled, Kind::ProduceUnanswered] {
        for _ in 0..5 {
            let nth = stage.dice.between(1, 60);
            stage.nth(kind, "kafka", nth, 0);
        }
    }
    for channel in stage.channels() {
        let at = stage.moment();
        stage.at(Kind::NodeKill, &channel, at, 500, 0);
    }
}

/// Records that no consumer sees, with others behind them.
fn records_lost(stage: &mut Stage) {
    for _ in 0..8 {
        let (at, account) = (stage.moment(), any_account(stage));
        for step in 0..5 {
            stage.deposit(at + step * 300, account, None);
        }
    }
    for _ in 0..8 {
        let nth = stage.dice.between(1, 60);
        stage.nth(Kind::RecordLost, "kafka", nth, 0);
    }
}

/// Each account gets one deposit, and some of their records are lost: nothing behind them tells it.
fn last_record_lost(stage: &mut Stage) {
    stage.alone();
    for account in 0..stage.plan.topology.accounts.min(40) {
        let at = stage.moment();
        stage.deposit(at, account, None);
    }
    for _ in 0..12 {
        let nth = stage.dice.between(1, 40);
        stage.nth(Kind::RecordLost, "kafka", nth, 0);
    }
}

/// Errors of the copies' database that pass at once.
fn passing_errors(stage: &mut Stage) {
    stage.plan.topology.following.attempts = 3;
    for _ in 0..40 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.deposit(at, account, None);
    }
    for nth in 0..20 {
        let place = "postgres-channel".to_owned();
        let at = stage.dice.between(1, 80);
        stage.nth(Kind::StepRefused, &place, at, 0);
        let last = stage.plan.faults.last_mut().expect("it was just added");
        last.amount = if nth % 2 == 0 { 3 } else { 1 };
    }
}

/// Accounts whose rows the copies' database refuses, for good while it lasts.
fn poison(stage: &mut Stage) {
    for _ in 0..4 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.at(Kind::AccountRefused, "postgres-channel", at, 3_000, account.into());
        for step in 0..3 {
            stage.deposit(at + 100 + step * 400, account, None);
        }
    }
}

/// The same, with more records of the account once its rows are taken again.
fn poison_and_more(stage: &mut Stage) {
    stage.plan.topology.following.redrive_every_ms = 10_000;
    for _ in 0..4 {
        let (at, account) = (stage.moment(), any_account(stage));
        stage.at(Kind::AccountRefused, "postgres-channel", at, 1_500, account.into());
        stage.deposit(at + 100, account, None);
        for step in 0..4 {
            stage.deposit(at + 3_000 + step * 500, account, None);
        }
    }
}

/// A sync that costs so much, and one sync for all that waits for an account: where each entry is a sync of its own, a busy account would not
/// be worked off in the time that a bank has to come to rest.
fn costly_syncs(stage: &mut Stage, cost_ms: u64) {
    let topology = &mut stage.plan.topology;
    topology.sync_cost_ms = cost_ms;
    if matches!(topology.worker_mode, WorkerMode::Serial | WorkerMode::Slots) {
        topology.worker_mode = WorkerMode::Keyed;
    }
}

/// Channels that die with work in their hands.
fn killed_at_work(stage: &mut Stage) {
    costly_syncs(stage, 200);
    stage.plan.topology.commit_every_ms = 200;
    for _ in 0..5 {
        let at = stage.moment();
        for step in 0..20 {
            let account = any_account(stage);
            stage.deposit(at + step * 20, account, None);
        }
        for channel in stage.channels() {
            let after = stage.dice.between(100, 600);
            stage.at(Kind::NodeKill, &channel, at + after, 500, 0);
        }
    }
}

/// One account whose copy is held, beside others that go on.
fn one_slow_account(stage: &mut Stage) {
    let topology = &mut stage.plan.topology;
    topology.workers = topology.workers.max(3);
    topology.transactions = topology.transactions.max(4);
    topology.span = 10_000;
    if topology.worker_mode == WorkerMode::Serial {
        topology.worker_mode = WorkerMode::Keyed;
    }
    for _ in 0..5 {
        let (at, lasts) = (stage.moment(), stage.dice.between(2_000, 5_000));
        stage.at(Kind::RowHeld, "postgres-channel", at, lasts, 0);
        stage.deposit(at + 50, 0, None);
        for step in 0..10 {
            let account = any_account(stage);
            stage.deposit(at + 100 + step * 50, account, None);
        }
    }
}

/// Channels that are frozen with work in their hands for longer than their group waits for them.
fn frozen_consumers(stage: &mut Stage) {
    costly_syncs(stage, 400);
    stage.plan.topology.workers = stage.plan.topology.workers.max(3);
    for nth in 0..4 {
        let at = stage.moment();
        for step in 0..30 {
            let account = any_account(stage);
            stage.deposit(at + step * 30, account, None);
        }
        let channels = stage.channels();
        let channel = &channels[nth % channels.len()];
        let (after, lasts) = (stage.dice.between(150, 900), stage.dice.between(5_000, 7_000));
        stage.at(Kind::NodePause, channel, at + after, lasts, 0);
    }
}

/// A transfer without an answer, a deposit behind it, and no events meanwhile; then its customer reads.
fn reads_behind(stage: &mut Stage) {
    stage.alone();
    stage.plan.topology.following.read_budget_ms = 2_000;
    let channels = stage.channels();
    for account in 0..6 {
        let at = stage.moment();
        for channel in &channels {
            stage.at(Kind::FetchStalled, channel, at, 5_000, 0);
        }
        let asked = stage.channel();
        stage.transfer(at + 300, account, account + 6, |pay| pay.channel = asked);
        stage.deposit(at + 600, account, None);
        for read in 0..4 {
            stage.operate(at + 1_800 + read * 300, account, Action::Scroll { channel: asked, pages: 1, limit: 20 });
        }
    }
    for channel in &channels {
        for nth in 1..=6 {
            stage.nth(Kind::AnswerDropped, &format!("{channel}>core:transfer"), nth, 0);
        }
    }
}

/// Somebody presses the button, core's answer takes long, and events land meanwhile.
fn pulls_overtaken(stage: &mut Stage) {
    let channels = stage.channels();
    for _ in 0..6 {
        let (at, account, asked) = (stage.moment(), any_account(stage), stage.channel());
        for step in 0..30 {
            stage.deposit(at + step * 40, account, None);
        }
        for channel in &channels {
            stage.at(Kind::FetchStalled, channel, at, 400, 0);
        }
        stage.operate(at + 350, account, Action::Sync { channel: asked });
    }
    for channel in &channels {
        for nth in 1..=6 {
            let lasts = stage.dice.between(300, 1_200);
            stage.nth(Kind::AnswerHeld, &format!("{channel}>core:entries"), nth, lasts);
        }
    }
}
