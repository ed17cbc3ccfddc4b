//! How the channel followed core: what core was spared, how deep pages compare, how a backlog was worked off.
//!
//! In: `run.json`. Out: tables, and a sentence each. Elsewhere: how the figures are reckoned (`check::{core_cost, depth, drain}`).

use bankstorm_record::run_json::{DrainRecord, RunJson, SparedPart};

use super::{Row, TextTable, columns, measured};
use crate::words::{count, ms};

/// A row for each part of the measured phase; none where core was asked nothing and nobody read pages as a load.
pub(crate) fn spared(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("seconds", false),
        ("pages", true),
        ("core's calls for readers", true),
        ("posted", true),
        ("core's CPU a posting, us", true),
        ("its database's, us", true),
        ("CPU of readers", true),
        ("posting p99, ms", true),
    ]);
    let reads = ["scroll", "sync"].iter().any(|op| run.load.contains_key(*op));
    let record = run.spared.as_ref().filter(|record| reads || !record.calls.is_empty());
    let zero_ms = measured(run).from_ms;
    let rows = record.iter().flat_map(|record| &record.parts).map(|part| part_row(part, zero_ms)).collect();
    TextTable { head, rows }
}

fn part_row(part: &SparedPart, zero_ms: i64) -> Row {
    let seconds = |at_ms: i64| (at_ms - zero_ms) as f64 / 1_000.0;
    let or_none = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), count);
    Row::plain(vec![
        format!("{:.1} to {:.1}", seconds(part.from_ms), seconds(part.to_ms)),
        count(part.pages),
        count(part.calls_by_reads),
        count(part.posted),
        or_none(part.core_cpu_us),
        or_none(part.core_database_cpu_us),
        part.readers_cpu_share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        part.posting_p99_us.map_or_else(|| "-".to_owned(), ms),
    ])
}

/// Measured beside predicted; no rows without a backlog.
pub(crate) fn drain(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("entries", true),
        ("syncs", true),
        ("busy accounts", true),
        ("syncs/s", true),
        ("predicted/s", true),
        ("workers", true),
        ("most busy", true),
        ("a sync costs, ms", true),
        ("seconds", true),
    ]);
    TextTable { head, rows: run.drain.iter().map(drain_row).collect() }
}

fn drain_row(drain: &DrainRecord) -> Row {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    Row::plain(vec![
        count(drain.events),
        count(drain.syncs),
        count(drain.busy_keys),
        rate(drain.syncs_per_s),
        rate(drain.predicted_per_s),
        count(drain.workers_total),
        drain.busy_workers.map_or_else(|| "-".to_owned(), count),
        ms(drain.sync_cost_us),
        format!("{:.1}", (drain.to_ms - drain.from_ms) as f64 / 1_000.0),
    ])
}

/// What the tables above do not say: a sentence each.
pub(crate) fn followed(run: &RunJson) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(spared) = run.spared.as_ref().filter(|spared| !spared.calls.is_empty()) {
        let calls: Vec<_> =
            spared.calls.iter().map(|(purpose, calls)| format!("{purpose} {}", count(*calls))).collect();
        told.push(format!("Core was asked about histories, by purpose: {}.", calls.join(", ")));
    }
    if let Some(depth) = &run.depth {
        let (pages, sessions, deepest) = (count(depth.pages), count(depth.sessions), count(depth.deepest.into()));
        let compared = match (depth.first_p99_us, depth.last_p99_us) {
            (Some(first), Some(last)) => {
                format!("p99 of the first tenth {} ms, of the deepest tenth {} ms", ms(first), ms(last))
            }
            _ => "too few of them at either end for a p99".to_owned(),
        };
        told.push(format!("{pages} pages of {sessions} scrolls, as deep as page {deepest}: {compared}."));
    }
    if let Some(drain) = &run.drain {
        let busiest = drain.cpu_seconds.iter().filter(|(_, seconds)| **seconds >= 0.05);
        let cpu: Vec<_> = busiest.map(|(process, seconds)| format!("{process} {seconds:.1}")).collect();
        let machine = drain.machine_busy.map(|share| format!("; the machine was {:.0} % busy", share * 100.0));
        told.push(format!(
            "CPU seconds while the backlog was worked off: {}{}.",
            cpu.join(", "),
            machine.unwrap_or_default()
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::run_json::{DepthRecord, DrainRecord, SparedPart, SparedRecord};

    use super::{drain, followed, spared};
    use crate::fixture;

    #[test]
    fn a_run_without_readers_or_backlog_tells_nothing_of_them() {
        let mut run = fixture::held();
        run.spared = Some(SparedRecord { parts: vec![SparedPart::default()], ..SparedRecord::default() });
        assert_eq!((spared(&run).rows, drain(&run).rows), (vec![], vec![]));
        assert_eq!(followed(&run), Vec::<String>::new());
    }

    #[test]
    fn measured_stands_beside_predicted() {
        let mut run = fixture::held();
        run.drain = Some(DrainRecord {
            to_ms: 4_000,
            events: 40_000,
            syncs: 40_000,
            busy_keys: 40_000,
            syncs_per_s: Some(9_812.34),
            predicted_per_s: Some(10_000.0),
            workers_total: 1_000,
            sync_cost_us: 100_000,
            cpu_seconds: BTreeMap::from([("channel-0".to_owned(), 3.21), ("kafka-1".to_owned(), 0.01)]),
            machine_busy: Some(0.97),
            ..DrainRecord::default()
        });
        run.depth = Some(DepthRecord { pages: 7, sessions: 1, deepest: 6, ..DepthRecord::default() });
        let part = SparedPart {
            to_ms: 20_000,
            pages: 10,
            core_cpu_us: Some(130),
            readers_cpu_share: Some(0.256),
            ..SparedPart::default()
        };
        let calls = BTreeMap::from([("gap_fill".to_owned(), 3), ("read".to_owned(), 1)]);
        run.spared = Some(SparedRecord { calls, parts: vec![part], ..SparedRecord::default() });
        let cells = ["40,000", "40,000", "40,000", "9812.3", "10000.0", "1,000", "-", "100", "4.0"];
        assert_eq!(drain(&run).rows[0].cells, cells);
        assert_eq!(spared(&run).rows[0].cells[1..], ["10", "0", "0", "130", "-", "26 %", "-"]);
        let told = followed(&run);
        assert_eq!(told[0], "Core was asked about histories, by purpose: gap_fill 3, read 1.");
        assert_eq!(told[1], "7 pages of 1 scrolls, as deep as page 6: too few of them at either end for a p99.");
        assert_eq!(told[2], "CPU seconds while the backlog was worked off: channel-0 3.2; the machine was 97 % busy.");
    }
}
