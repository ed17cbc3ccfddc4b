//! Transfers, the other banks, customers: what is accepted, and what is said when it is not.

use std::time::Duration;

use super::{GOOD, accepted, refused};
use crate::resolved::{Banks, Behaviour, Deadline, Guard, OnUnknown, Op, Retry};

pub(super) const TRANSFERS: &str = r#"
[slo.transfer.response]
p99 = "300ms"

[system]
guard = "account"
call_timeout = "900ms"
validity = "2s"
deadline = "absolute"
core_batch = 2
core_admitted = 64
outbound_expiry = "10s"

[banks]
late = "5%"
never = 0.01
twice = "1%"
refused = "2%"
delay = ["0s", "1s"]

[accounts]
users = 5000
closed = "1%"
withdrawal_stopped = "2%"

[[load]]
op = "transfer"
rate = "40/s"
retry = "same_id"
on_unknown = "resubmit"
double_click = "10%"
reuse_key = "1%"
two_devices = "5%"

[[load]]
op = "outbound"
rate = "10/s"
window = ["2s", "8s"]
"#;

fn with(more: &str) -> String {
    format!("{GOOD}{more}")
}

#[test]
fn transfers_are_filled_in_with_what_is_safe() {
    let scenario = accepted(&with("[[load]]\nop = \"transfer\"\nrate = \"40/s\"\n"), &[]);
    let transfers = &scenario.load[1];
    assert_eq!((transfers.op, transfers.retry, transfers.behaviour), (Op::Transfer, Retry::None, Behaviour::default()));
    assert_eq!(transfers.window, None);
    let system = &scenario.system;
    assert_eq!((system.guard, system.deadline), (Guard::User, Deadline::Relative));
    assert_eq!((system.call_timeout.as_secs(), system.validity.as_secs()), (3, 5));
    assert_eq!((scenario.banks, scenario.accounts.users), (Banks::default(), 10_000));
}

#[test]
fn everything_about_transfers_may_be_said() {
    let scenario = accepted(&with(TRANSFERS), &[]);
    let [_, transfers, outbound] = &scenario.load[..] else { panic!("three loads") };
    assert_eq!((transfers.retry, transfers.behaviour.on_unknown), (Retry::SameId, OnUnknown::Resubmit));
    assert_eq!(transfers.behaviour.double_click, 0.1);
    assert_eq!(outbound.window, Some((Duration::from_secs(2), Duration::from_secs(8))));
    assert_eq!((scenario.system.core_batch, scenario.system.core_admitted), (2, 64));
    assert_eq!((scenario.banks.late, scenario.banks.delay), (0.05, (Duration::ZERO, Duration::from_secs(1))));
    assert_eq!((scenario.accounts.users, scenario.accounts.stopped.closed), (5_000, 0.01));
    let names: Vec<_> = scenario.slo.iter().map(|objective| objective.name.as_str()).collect();
    assert_eq!(names, ["deposit.response.p99", "deposit.visible.p99", "transfer.response.p99"]);
}

#[test]
fn what_makes_no_sense_of_transfers_is_refused() {
    let cases = [
        (
            "load.0.double_click=\"1%\"",
            "load.0.double_click is what a customer does with a transfer; a deposit has no customer",
        ),
        ("load.1.double_click=\"95%\"", "is 1.01 together with reuse_key and two_devices"),
        ("load.1.window=[\"3s\", \"11s\"]", "to its end at \"10s\""),
        ("load.1.window=[\"3s\", \"3s\"]", "the first before the second"),
        ("banks.late=\"99%\"", "together with banks.never and banks.twice"),
        ("banks.delay=[\"2s\", \"1s\"]", "the shortest and the longest delay"),
        ("banks.lat=\"1%\"", "did you mean `late`?"),
        ("accounts.users=10001", "accepted are 1 to 10000"),
        ("accounts.closed=\"99%\"", "together with deposit_stopped and withdrawal_stopped"),
        ("system.validity=\"1500us\"", "accepted are \"10ms\" to \"10m\""),
        ("system.validity=\"20500us\"", "accepted are whole milliseconds"),
        ("system.guard=bank", "accepted here: `user`, `account`"),
        ("slo.outbound.respons.p99=\"1s\"", "did you mean `response`?"),
    ];
    for (set, expected) in cases {
        let said = refused(&with(TRANSFERS), &[set]);
        assert!(said.contains(expected), "{set}: {said}");
    }
    let said = refused(GOOD, &["slo.transfer.response.p99=\"1s\""]);
    assert!(said.contains("slo.transfer is asked for, but no [[load]] does a transfer"), "{said}");
    let said = refused(&with(TRANSFERS), &["accounts.count=1", "accounts.users=1"]);
    assert!(said.contains("a transfer goes from one account to another"), "{said}");
}
