//! Money between accounts and to other banks, which answer as they like: every transfer ends, and the banks' own book agrees. The same for
//! every environment.
//!
//! In: the scenario `steady`, made short, its banks made moody. Out: verdicts. Elsewhere: impatient customers (`protections`).

use std::time::Duration;

use bankstorm_record::run_json::{GuaranteeVerdict, RunJson};

use crate::support::{Case, Running};

pub(crate) fn cases() -> Vec<Case> {
    vec![("transfers_and_what_goes_to_other_banks_all_end_and_the_books_agree", || {
        drop(sent_and_settled("local", "short"))
    })]
}

/// Few of them, and of the banks' every mood some.
const SHORT: [&str; 10] = [
    "--set=phases.warm_up=2s",
    "--set=phases.measure=4s",
    "--set=accounts.count=1000",
    "--set=load.0.rate=50/s",
    "--set=banks.late=30%",
    "--set=banks.never=10%",
    "--set=banks.twice=20%",
    "--set=banks.refused=20%",
    "--seed=7",
    "--live=plain",
];

/// Runs in `environment` under `name`, and looks at what became of the transfers.
pub(crate) fn sent_and_settled(environment: &str, name: &str) -> RunJson {
    let (environment, name) = (format!("--env={environment}"), format!("--set=name={name}"));
    let args = ["run", "scenarios/steady.toml", &environment, &name];
    let mut run = Running::start(&[&args[..], &SHORT].concat());
    let code = run.end_within(Duration::from_secs(180));
    let (json, log) = (run.json(), run.log());
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{:#?}\n{log}", json.guarantees);
    // 4 only where the machine, not the bank, was too slow for a verdict: tests assert nothing about speed.
    assert!([0, 4, 5].contains(&code), "exit {code}: {log}");
    for (op, planned) in [("deposit", 200), ("transfer", 160), ("outbound", 40)] {
        let load = json.load[op];
        assert_eq!(load.planned, planned, "{op}: {log}");
        let ended = load.ok + load.rejected + load.failed + load.unknown + load.missed;
        assert_eq!((ended, load.unresolved), (planned, 0), "{op}: {load:?}\n{log}");
    }
    assert!(json.load["outbound"].rejected > 0, "other banks refused some: {log}");
    let nostro = json.guarantees.checks.iter().find(|check| check.id == "L6").expect("what was sent was compared");
    // Warm-up included.
    assert!(nostro.examined >= 40, "with the banks' own book: {nostro:?}\n{log}");
    for marker in ["banks-credited", "banks-late"] {
        assert!(json.markers.get(marker).is_some_and(|fired| *fired > 0), "{marker}: {:?}", json.markers);
    }
    for evidence in ["core_hold", "channel_transfer", "transfer_read", "bank_network"] {
        assert!(json.evidence.contains_key(evidence), "{evidence}: {:?}\n{log}", json.evidence);
    }
    json
}
