//! Plans go to text and back unchanged; what cannot be is refused with its place, its value and what would do.

use bankstorm_contracts::AccountStatus;
use proptest::prelude::{any, proptest};

use super::{COMMON, PlanError, fields_of, read, write};
use crate::draw::draw;
use crate::plan::{
    Action, Again, Fault, Fence, Following, Kind, NotStarted, Operation, Payment, Plan, Protections, Repair, SCHEMA,
    Status, Terms, Topology, Trigger, Twice, WorkerMode,
};
use crate::planted::Planted;

/// A plan with one of everything.
fn plan() -> Plan {
    let deposit = |op, again| Operation {
        op,
        at_ms: 10 * op,
        account: 1,
        action: Action::Deposit { won: 5, patience_ms: 1_000, retries: 2, again },
    };
    let scroll = Action::Scroll { channel: 1, pages: 2, limit: 10 };
    Plan {
        schema: SCHEMA,
        seed: 7,
        chance: u64::MAX,
        planted: Some(Planted::OffsetBeforeApply),
        topology: Topology {
            accounts: 3,
            opening_won: 1_000,
            partitions: 2,
            channels: 2,
            load_ms: 1_000,
            pace_ms: 0,
            connections: 6,
            posting_slots: 4,
            batch_max: 20,
            relay_poll_ms: 100,
            relay_rows: 50,
            worker_mode: WorkerMode::KeyedBatched,
            workers: 3,
            transactions: 2,
            batch_accounts: 5,
            span: 20,
            commit_every_ms: 500,
            sync_cost_ms: 0,
            tight_limits: true,
            transfers: Terms {
                not_started: NotStarted::Fenced,
                statuses: vec![Status { account: 2, status: AccountStatus::Closed }],
                ..Terms::default()
            },
            following: Following { attempts: 2, ..Following::default() },
            repair: Repair { sweep: false, ..Repair::ON },
            protections: Protections { fence: Fence::PlainRead, ..Protections::default() },
        },
        faults: vec![
            fault(Kind::NodeKill, "channel-1", Trigger::AtMs(5), 100, 0),
            fault(Kind::StepRefused, "postgres-core", Trigger::Nth(3), 0, 2),
            fault(Kind::ClockStep, "postgres-channel", Trigger::AtMs(50), 0, -300),
            fault(Kind::LinkSlow, "channel-0>core", Trigger::AtMs(50), 70, 20),
        ],
        operations: vec![
            deposit(0, None),
            deposit(1, Some(Again::Same(4))),
            deposit(2, Some(Again::Other(0))),
            deposit(5, Some(Again::Resolve(9))),
            Operation { op: 9, at_ms: 1_000, account: 3, action: scroll },
            Operation { op: 10, at_ms: 70, account: 0, action: Action::Transfer { to: 1, pay: payment() } },
            Operation {
                op: 11,
                at_ms: 70,
                account: 0,
                action: Action::Outbound { pay: Payment { again: Some(Twice::Other(3)), ..payment() } },
            },
            Operation { op: 7, at_ms: 20, account: 3, action: Action::Sync { channel: 1 } },
            Operation { op: 8, at_ms: 30, account: 0, action: Action::Redrive { channel: 1, limit: 9 } },
        ],
    }
}

fn payment() -> Payment {
    Payment {
        user: 6,
        won: 50,
        channel: 0,
        patience_ms: 700,
        retries: 1,
        elsewhere: Some(1),
        again: Some(Twice::Device(8)),
        resubmit: true,
        reads: 3,
        looks: 2,
    }
}

fn fault(kind: Kind, place: &str, trigger: Trigger, lasts_ms: u64, amount: i64) -> Fault {
    Fault { kind, place: place.to_owned(), trigger, lasts_ms, amount }
}

/// The message for a plan whose text was changed in one place.
fn told(from: &str, to: &str) -> String {
    let text = write(&plan());
    assert!(text.contains(from), "{from}: {text}");
    read(&text.replacen(from, to, 1)).expect_err(to).to_string()
}

#[test]
fn a_plan_with_one_of_everything_comes_back_as_it_was() {
    let mut plan = plan();
    assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
    plan.planted = None;
    plan.faults.clear();
    plan.operations.clear();
    assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
}

#[test]
fn a_fault_and_an_operation_are_one_line_each() {
    let text = write(&plan());
    let lines = text.lines().filter(|line| line.starts_with("{\"")).count();
    assert_eq!(lines, plan().faults.len() + plan().operations.len(), "{text}");
}

proptest! {
    #[test]
    fn drawn_plans_come_back_as_they_were(seed in any::<u64>()) {
        let plan = draw(seed);
        assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
    }
}

#[test]
fn the_fields_that_are_known_are_those_that_are_written() {
    for operation in &plan().operations {
        let value = serde_json::to_value(operation).expect("plain data");
        let own = fields_of(value["action"].as_str().expect("a word")).expect("a known action");
        let mut written: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        written.retain(|name| !COMMON.contains(name));
        assert!(written.iter().all(|name| own.contains(name)), "{written:?}");
        if matches!(operation.action, Action::Deposit { again: None, .. }) {
            assert_eq!(written.len() + 1, own.len(), "only `again` is left out: {written:?}");
        } else {
            assert_eq!(written.len(), own.len(), "{written:?}");
        }
    }
}

#[test]
fn what_ends_at_the_heal_may_last_as_long_as_load_and_nothing_else_beyond_a_minute() {
    let hour = told("\"lasts_ms\":100", "\"lasts_ms\":7200001");
    assert_eq!(hour, "faults[0].lasts_ms is 7200001; accepted: 1 to 7200000");
    let minute = told("\"lasts_ms\":70", "\"lasts_ms\":60001");
    assert_eq!(minute, "faults[3].lasts_ms is 60001; accepted: 1 to 60000");
}

#[test]
fn what_cannot_be_is_refused_with_its_place_its_value_and_what_would_do() {
    for (from, to, said) in [
        ("\"schema\": 1", "\"schema\": 2", "schema is 2; accepted: 1"),
        ("\"accounts\":3", "\"accounts\":0", "topology.accounts is 0; accepted: 1 to 100000"),
        ("\"opening_won\":1000", "\"opening_won\":-1", "topology.opening_won is -1; accepted: 0 to 1000000000000"),
        ("\"load_ms\":1000", "\"load_ms\":7200001", "topology.load_ms is 7200001; accepted: 0 to 7200000"),
        ("\"relay_poll_ms\":100", "\"relay_poll_ms\":0", "topology.relay_poll_ms is 0; accepted: 1 to 3600000"),
        ("{\"at_ms\":5}", "{\"nth\":5}", "faults[0].trigger is nth; accepted: at_ms, for this kind"),
        ("{\"at_ms\":5}", "{\"at_ms\":1001}", "faults[0].trigger.at_ms is 1001; accepted: 0 to 1000"),
        ("{\"nth\":3}", "{\"at_ms\":3}", "faults[1].trigger is at_ms; accepted: nth, for this kind"),
        ("{\"nth\":3}", "{\"nth\":0}", "faults[1].trigger.nth is 0; accepted: 1 to 1000000"),
        ("{\"nth\":3}", "{\"nth\":1000001}", "faults[1].trigger.nth is 1000001; accepted: 1 to 1000000"),
        (",\"lasts_ms\":100", "", "faults[0].lasts_ms is 0; accepted: 1 to 7200000"),
        (
            ",\"lasts_ms\":100",
            ",\"lasts_ms\":100,\"amount\":1",
            "faults[0].amount is 1; accepted: nothing: this kind takes no amount",
        ),
        ("\"amount\":2", "\"amount\":4", "faults[1].amount is 4; accepted: 0 to 3"),
        (
            "\"amount\":2",
            "\"amount\":2,\"lasts_ms\":1",
            "faults[1].lasts_ms is 1; accepted: nothing: this kind takes no time",
        ),
        ("\"amount\":-300", "\"amount\":-86400001", "faults[2].amount is -86400001; accepted: -86400000 to 86400000"),
        (
            "\"channel-1\"",
            "\"channel-2\"",
            "faults[0].place is \"channel-2\"; accepted: core, channel-0, channel-1, banks, postgres-core, postgres-channel, kafka",
        ),
        ("\"op\":1,", "\"op\":1000001,", "operations[1].op is 1000001; accepted: 0 to 1000000"),
        ("\"op\":1,", "\"op\":0,", "operations[1].op is 0; accepted: numbers that differ"),
        ("\"at_ms\":10,", "\"at_ms\":1001,", "operations[1].at_ms is 1001; accepted: 0 to 1000"),
        ("\"won\":5", "\"won\":0", "operations[0].won is 0; accepted: 1 to 1000000000000"),
        ("\"patience_ms\":1000", "\"patience_ms\":0", "operations[0].patience_ms is 0; accepted: 1 to 1200000"),
        (
            "\"patience_ms\":1000",
            "\"patience_ms\":1200001",
            "operations[0].patience_ms is 1200001; accepted: 1 to 1200000",
        ),
        ("\"accounts\":3,", "\"accounts\":100001,", "topology.accounts is 100001; accepted: 1 to 100000"),
        ("\"channels\":2", "\"channels\":9", "topology.channels is 9; accepted: 1 to 8"),
        ("\"retries\":2", "\"retries\":1001", "operations[0].retries is 1001; accepted: 0 to 1000"),
        ("{\"same\":4}", "{\"same\":3600001}", "operations[1].again.same is 3600001; accepted: 0 to 3600000"),
        ("\"channel\":1", "\"channel\":2", "operations[4].channel is 2; accepted: 0 to 1"),
        ("\"pages\":2", "\"pages\":0", "operations[4].pages is 0; accepted: 1 to 10000"),
        ("\"limit\":10", "\"limit\":101", "operations[4].limit is 101; accepted: 1 to 100"),
        ("\"user\":6", "\"user\":0", "operations[5].user is 0; accepted: 1 to 1000000"),
        ("\"to\":1", "\"to\":0", "operations[5].to is 0; accepted: another account than the one that pays"),
        ("\"elsewhere\":1", "\"elsewhere\":2", "operations[5].elsewhere is 2; accepted: 0 to 1"),
        ("{\"device\":8}", "{\"device\":3600001}", "operations[5].again.device is 3600001; accepted: 0 to 3600000"),
        ("\"validity_ms\":2000", "\"validity_ms\":0", "topology.transfers.validity_ms is 0; accepted: 1 to 60000"),
        (
            "\"account\":2,\"status\"",
            "\"account\":3,\"status\"",
            "topology.transfers.statuses[0].account is 3; accepted: 0 to 2",
        ),
        (
            "\"won\":5",
            "\"win\":5",
            "operations[0].win is 5; accepted: no such field, only op, at_ms, account, action, won, patience_ms, retries, again",
        ),
        (
            "\"limit\":10",
            "\"limit\":10,\"won\":1",
            "operations[4].won is 1; accepted: no such field, only op, at_ms, account, action, channel, pages, limit",
        ),
    ] {
        assert_eq!(told(from, to), said, "{from} -> {to}");
    }
}

#[test]
fn what_is_no_plan_is_told_with_its_place() {
    for (from, to, said) in [
        ("\"chance\"", "\"chanse\"", &["unknown field `chanse`", "chance", "line"][..]),
        ("\"accounts\":3", "\"acounts\":3", &["topology: ", "unknown field `acounts`"]),
        ("\"accounts\":3", "\"accounts\":\"three\"", &["topology: ", "\"three\"", "u32"]),
        ("\"keyed_batched\"", "\"quick\"", &["topology: ", "`quick`", "keyed_batched"]),
        ("\"node.kill\"", "\"node.kil\"", &["faults[0]: ", "\"node.kil\"", "node.kill"]),
        ("\"place\":\"channel-1\"", "\"plase\":\"channel-1\"", &["faults[0]: ", "`plase`"]),
        ("{\"nth\":3}", "{\"nth\":-3}", &["faults[1]: ", "-3"]),
        ("\"deposit\"", "\"withdraw\"", &["operations[0]: ", "`withdraw`", "deposit"]),
        ("\"account\":1", "\"account\":1.5", &["operations[0]: ", "1.5"]),
        ("\"won\":5,", "", &["operations[0]: ", "missing field `won`", "\"op\":0"]),
        ("{\"same\":4}", "{\"sames\":4}", &["operations[1]: ", "`sames`", "same"]),
        ("\"guard\":\"user\"", "\"guard\":\"all\"", &["topology: ", "`all`", "account"]),
        ("\"offset_before_apply\"", "\"gremlin\"", &["`gremlin`", "offset_before_apply"]),
        ("\"seed\": 7,", "\"seed\": 7", &["line 4"]),
    ] {
        let text = told(from, to);
        assert!(said.iter().all(|part| text.contains(part)), "{from} -> {to}: {said:?}: {text}");
    }
    assert!(matches!(read(""), Err(PlanError::Unreadable(_))));
    assert!(matches!(read("[]"), Err(PlanError::Unreadable(_))));
}

#[test]
fn a_plan_from_before_transfers_means_the_services_defaults() {
    let mut plan = plan();
    (plan.topology.transfers, plan.topology.protections) = (Terms::default(), Protections::default());
    (plan.topology.following, plan.topology.repair) = (Following::default(), Repair::ON);
    let text = write(&plan);
    let from = text.find(",\"transfers\":").expect("terms are written");
    let to = from + text[from..].find("},\n").expect("the end of the topology");
    let before = format!("{}{}", &text[..from], &text[to..]);
    assert_eq!(read(&before).as_ref(), Ok(&plan), "{before}");
}

#[test]
fn protections_are_written_where_one_is_off_and_are_all_there_otherwise() {
    let mut plan = plan();
    assert!(write(&plan).contains("\"protections\":{"), "one is off");
    let told = told("\"fence\":\"plain_read\"", "\"fence\":\"barbed_wire\"");
    assert!(told.contains("barbed_wire") && told.contains("tombstone"), "{told}");
    plan.topology.protections = Protections::default();
    assert!(!write(&plan).contains("protections"));
    assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
}

#[test]
fn what_core_began_nothing_of_must_not_come_again_where_that_is_final() {
    let mut plan = plan();
    plan.faults.push(fault(Kind::RequestDoubled, "channel-1>core:transfer", Trigger::Nth(1), 5, 0));
    assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
    plan.topology.transfers.not_started = NotStarted::Final;
    let told = read(&write(&plan)).expect_err("refused").to_string();
    assert!(told.starts_with("faults[4].place is") && told.contains("fenced"), "{told}");
    plan.faults[4].place = "channel-1>core:entries".to_owned();
    assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan));
}

#[test]
fn a_long_value_is_quoted_in_brief() {
    let long = format!("\"won\":\"{}\"", "9".repeat(5_000));
    let text = told("\"won\":5", &long);
    assert!(text.contains("...") && text.len() < 3_000, "{} characters", text.len());
}
