//! What faults did, as tables: the faults themselves, the links on which they could act, recovery after each, latencies by part of the run.
//!
//! In: `run.json`. Out: [`TextTable`]s. Elsewhere: how recovery is measured (`check::recover`), fault lanes (`html::lanes`).

use std::collections::BTreeMap;

use bankstorm_record::run_json::{FaultRecord, Latency, RunJson};

use super::{Measured, Row, TextTable, columns};
use crate::words::{Tone, count, ms};

/// The parts of a run in the order of reports; the whole comes last.
const PARTS: [&str; 3] = ["steady", "fault", "recovery"];

/// Latencies that are told by part: key, label, and which figures of them.
const BY_PART: [(&str, &str, &[Figure]); 3] = [
    ("response", "response", &[("p50", |l| l.p50), ("p99", |l| l.p99), ("max", |l| l.max)]),
    ("visible", "visible", &[("p50", |l| l.p50), ("p99", |l| l.p99), ("max", |l| l.max)]),
    ("send_lag", "send lag", &[("p99", |l| l.p99)]),
];

const NOT_REACHED: &str = "not reached";

type Figure = (&'static str, fn(&Latency) -> u64);
type Kinds = BTreeMap<String, Latency>;

/// Faults, unplanned ones flagged, each with further lines for what healed it and what went wrong with it. Moments are seconds since
/// measuring began.
pub(crate) fn faults(faults: &[FaultRecord], measured: Measured) -> TextTable {
    let zero_ms = measured.from_ms;
    let head = columns(&[
        ("fault", false),
        ("kind", false),
        ("place", false),
        ("planned", false),
        ("from, s", true),
        ("healed, s", true),
        ("witnessed by", false),
    ]);
    let second =
        |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{:.1}", (ms - zero_ms) as f64 / 1000.0));
    let mut rows = Vec::new();
    for fault in faults {
        let (planned, tone) = match (fault.planned, fault.fired) {
            (true, true) => ("planned", None),
            (true, false) => ("NOT FIRED", Some((3, Tone::Warn))),
            (false, _) => ("UNPLANNED", Some((3, Tone::Bad))),
        };
        let cells = vec![
            fault.id.clone(),
            fault.kind.clone(),
            fault.place.clone(),
            planned.to_owned(),
            second(fault.started_ms),
            second(fault.healed_ms),
            fault.witnessed.clone().unwrap_or_else(|| "nothing".to_owned()),
        ];
        rows.push(Row { cells, tone, minor: false });
        let problem = fault.problem.as_ref().map(|text| format!("PROBLEM: {text}"));
        rows.extend([healed(fault, measured), problem].into_iter().flatten().map(|text| {
            let mut cells = vec![String::new(); 6];
            cells.push(text);
            Row { cells, tone: None, minor: true }
        }));
    }
    TextTable { head, rows }
}

/// What healed a fault, and whether that was too late for anybody to see the bank recover.
fn healed(fault: &FaultRecord, measured: Measured) -> Option<String> {
    let late = fault.healed_ms.zip(measured.ended_ms).is_some_and(|(healed_ms, ended_ms)| healed_ms > ended_ms);
    let word = if late { "healed after load had ended" } else { "healed" };
    match &fault.heal_witnessed {
        Some(text) => Some(format!("{word}: {text}")),
        None => late.then(|| word.to_owned()),
    }
}

/// Which links went through a proxy, on which alone faults of links can act; empty where none did.
pub(crate) fn proxied(run: &RunJson) -> String {
    let proxied = run.links.iter().filter(|(_, goes)| *goes == "proxied");
    let proxied: Vec<&str> = proxied.map(|(link, _)| link.as_str()).collect();
    if proxied.is_empty() {
        return String::new();
    }
    format!("Through a proxy each: {}. All other links were direct.", proxied.join(", "))
}

/// Recovery after each planned fault, in milliseconds since its heal.
pub(crate) fn recovery(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("fault", false),
        ("kind", false),
        ("place", false),
        ("first ok, ms", true),
        ("90 % of the rate, ms", true),
        ("lag normal, ms", true),
    ]);
    let time = |ms: Option<i64>, otherwise: &str| {
        ms.and_then(|ms| u64::try_from(ms).ok()).map_or_else(|| otherwise.to_owned(), count)
    };
    let rows = run.recovery.iter().map(|record| {
        let fault = run.faults.iter().find(|fault| fault.id == record.fault);
        let of = |word: fn(&FaultRecord) -> &String| fault.map_or_else(|| "-".to_owned(), |fault| word(fault).clone());
        let compared = if record.baseline_ms > 0 { NOT_REACHED } else { "nothing to compare with" };
        Row::plain(vec![
            record.fault.clone(),
            of(|fault| &fault.kind),
            of(|fault| &fault.place),
            time(record.first_ok_ms, NOT_REACHED),
            time(record.rate_90_ms, compared),
            time(record.lag_normal_ms, compared),
        ])
    });
    TextTable { head, rows: rows.collect() }
}

/// What the parts of the run are, and how much of it was steady; empty unless a planned fault fired.
pub(crate) fn parts(run: &RunJson) -> String {
    if run.latency_during_us.is_empty() {
        return String::new();
    }
    let mut text = "An operation belongs to the part in which it was due: while a planned fault was in force, while the bank recovered \
                    from one, or neither. One that was under way when a fault began counts for that fault: with its response and send \
                    lag if it was not answered yet, with its visible if its entry was not visible yet, so that counts may differ. A \
                    visible time that is but an upper bound goes by the answer, and what never ended by when it was due."
        .to_owned();
    if run.recovery.iter().any(|record| record.recovered_ms().is_none()) {
        text.push_str(" A recovery that was not seen to its end lasts until load ended.");
    }
    for (op, whole) in &run.latency_us {
        let answers = |kinds: Option<&Kinds>| kinds.and_then(|kinds| kinds.get("response")).map_or(0, |one| one.count);
        let all = answers(Some(whole));
        let steady = answers(run.latency_during_us.get(PARTS[0]).and_then(|ops| ops.get(op)));
        // Rounded down: the whole is steady only where all of it is.
        if let Some(permille) = steady.saturating_mul(1_000).checked_div(all) {
            let (steady, all) = (count(steady), count(all));
            text.push_str(&format!(
                " By their answers {steady} of {all} {op}s ({}.{} %) were steady.",
                permille / 10,
                permille % 10
            ));
        }
    }
    text
}

/// Latencies by part of the run, side by side with the whole; no rows unless a planned fault fired.
pub(crate) fn during(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("ms", false),
        ("figure", false),
        ("steady", true),
        ("fault", true),
        ("recovery", true),
        ("all", true),
    ]);
    let mut rows = Vec::new();
    if run.latency_during_us.is_empty() {
        return TextTable { head, rows };
    }
    let several = run.latency_us.len() > 1;
    for (op, whole) in &run.latency_us {
        let kinds = |part: &str| run.latency_during_us.get(part).and_then(|ops| ops.get(op));
        let parts: [Option<&Kinds>; 4] = [kinds(PARTS[0]), kinds(PARTS[1]), kinds(PARTS[2]), Some(whole)];
        for (key, label, figures) in BY_PART {
            let of = parts.map(|kinds| kinds.and_then(|kinds| kinds.get(key)).filter(|latency| latency.count > 0));
            let label = if several { format!("{op} {label}") } else { label.to_owned() };
            let row = |figure: &str, show: &dyn Fn(&Latency) -> String| {
                let cells = of.map(|latency| latency.map_or_else(|| "-".to_owned(), show));
                Row::plain([label.clone(), figure.to_owned()].into_iter().chain(cells).collect())
            };
            rows.extend(figures.iter().map(|(name, figure)| row(name, &|latency| ms(figure(latency)))));
            rows.push(Row { minor: true, ..row("count", &|latency| count(latency.count)) });
        }
    }
    TextTable { head, rows }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::RecoveryRecord;

    use super::*;
    use crate::fixture;

    fn cells(table: &TextTable) -> Vec<Vec<&str>> {
        table.rows.iter().map(|row| row.cells.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn what_healed_a_fault_and_what_went_wrong_with_it_are_told() {
        let table = faults(&fixture::faulted().faults, Measured { from_ms: 8_000, ended_ms: Some(28_000) });
        let rows = cells(&table);
        assert_eq!(
            rows[0],
            ["fault-0", "node.kill", "core", "planned", "11.0", "12.0", "process 4711 killed by SIGKILL"]
        );
        assert_eq!(rows[1], ["", "", "", "", "", "", "healed: answers since 20.012 s"]);
        assert_eq!(rows[4][3..], ["NOT FIRED", "-", "-", "nothing"]);
        assert_eq!(rows[5][6], "PROBLEM: its moment never came: load ended before");
        assert_eq!((rows[6][3], rows.len()), ("UNPLANNED", 7));
    }

    #[test]
    fn links_with_a_proxy_are_named() {
        let mut run = fixture::faulted();
        assert_eq!(proxied(&run), "", "all were direct");
        for link in ["core->postgres-core", "channel-0->core"] {
            run.links.insert(link.to_owned(), "proxied".to_owned());
        }
        let told = "Through a proxy each: channel-0->core, core->postgres-core. All other links were direct.";
        assert_eq!(proxied(&run), told);
    }

    #[test]
    fn a_recovery_that_was_not_reached_is_no_zero() {
        let run = fixture::faulted();
        let table = recovery(&run);
        assert_eq!(cells(&table)[0], ["fault-0", "node.kill", "core", "31", "1,200", "2,400"]);
        assert_eq!(cells(&table)[1][3..], ["2", "0", "not reached"]);
        assert!(parts(&run).contains("A recovery that was not seen to its end lasts until load ended."));
    }

    #[test]
    fn without_anything_to_compare_with_it_is_said_so() {
        let mut run = fixture::faulted();
        run.recovery[1] = RecoveryRecord { fault: "fault-1".to_owned(), ..RecoveryRecord::default() };
        let nothing = "nothing to compare with";
        assert_eq!(cells(&recovery(&run))[1][3..], ["not reached", nothing, nothing]);
        run.recovery[1].baseline_ms = 1_000;
        assert_eq!(cells(&recovery(&run))[1][3..], ["not reached", "not reached", "not reached"]);
    }

    #[test]
    fn a_heal_after_load_is_said_to_be_one() {
        let mut all = fixture::faulted().faults;
        let told = |all: &[FaultRecord], ended_ms| {
            let table = faults(all, Measured { from_ms: 8_000, ended_ms });
            cells(&table)[1][6].to_owned()
        };
        let healed_ms = all[0].healed_ms;
        assert_eq!(told(&all, healed_ms), "healed: answers since 20.012 s");
        assert_eq!(told(&all, None), "healed: answers since 20.012 s");
        let before = healed_ms.map(|ms| ms - 1);
        assert_eq!(told(&all, before), "healed after load had ended: answers since 20.012 s");
        all[0].heal_witnessed = None;
        assert_eq!(told(&all, before), "healed after load had ended");
    }

    #[test]
    fn the_parts_of_a_run_stand_beside_the_whole() {
        let table = during(&fixture::faulted());
        let rows = cells(&table);
        assert_eq!(rows[1], ["response", "p99", "4.10", "1,048", "612", "611"]);
        assert_eq!(rows[3], ["response", "count", "4,650", "750", "600", "6,000"]);
        assert!(rows.iter().any(|row| row[..2] == ["send lag", "p99"]), "what is left out of its limit is shown");
        assert!(during(&fixture::held()).rows.is_empty());
    }

    #[test]
    fn how_much_was_steady_is_told_and_never_rounded_to_all() {
        let mut run = fixture::faulted();
        assert!(
            parts(&run).ends_with("By their answers 4,650 of 6,000 deposits (77.5 %) were steady."),
            "{}",
            parts(&run)
        );
        let steady = run.latency_during_us.get_mut("steady").and_then(|ops| ops.get_mut("deposit"));
        steady.and_then(|kinds| kinds.get_mut("response")).expect("in the fixture").count = 5_999;
        assert!(parts(&run).contains("(99.9 %)"));
        run.latency_during_us.remove("steady");
        assert!(parts(&run).contains("0 of 6,000 deposits (0.0 %)"));
        run.recovery.truncate(1);
        assert!(!parts(&run).contains("not seen to its end"));
        assert_eq!(parts(&fixture::held()), "");
    }
}
