//! The handful of figures that stand in a line of the index.
//!
//! In: `run.json`, `sweep.json`, `ablate.json`, `calibrate.json`. Out: figures with their units. Elsewhere: all figures (`tables`), how these
//! are written (`publish::readme`).
//!
//! A scenario's objectives say what it is about, so what was measured of them comes first. Of a run that is not valid no figure is
//! quoted.

use bankstorm_record::ablate_json::{AblateJson, RowVerdict};
use bankstorm_record::calibrate_json::{CalibrateJson, HopCost};
use bankstorm_record::published::Figure;
use bankstorm_record::run_json::{DrainRecord, ObjectiveResult, RunJson, SparedRecord, Unit, ValidityVerdict};
use bankstorm_record::sweep_json::{CellSummary, CellVerdict, SweepJson};

/// The most figures of a run.
pub(super) const OF_RUN: usize = 10;
/// The most figures of an arm.
pub(super) const OF_ARM: usize = 4;
/// What the figures of a whole run, or of its undisturbed part, are called by their name alone.
const PLAIN: [&str; 5] = ["steady", "drain", "scroll", "overload", "recovery"];

/// At most `most` figures of a run.
pub(super) fn of_run(run: &RunJson, most: usize) -> Vec<Figure> {
    if run.validity.verdict != ValidityVerdict::Valid {
        return Vec::new();
    }
    let mut figures: Vec<Figure> = run.drain.iter().flat_map(of_drain).collect();
    figures.extend(run.slo.objectives.iter().filter_map(of_objective));
    if run.slo.objectives.is_empty() {
        figures.extend(unasked(run));
    }
    let witnessed = run.faults.iter().filter(|fault| fault.planned && fault.witnessed.is_some()).count();
    if witnessed > 0 {
        figures.push(figure("faults.witnessed", witnessed as f64, ""));
    }
    figures.extend(run.spared.iter().filter(|spared| spared.pages > 0).flat_map(of_core));
    figures.extend(rates(run));
    figures.truncate(most);
    figures
}

/// How many cells there are and what became of each of them, how near the slowest of those with a prediction came to it, the fastest of all.
pub(super) fn of_sweep(sweep: &SweepJson) -> Vec<Figure> {
    let count =
        |of: &[Option<CellVerdict>]| sweep.cells.iter().filter(|cell| of.contains(&cell.verdict)).count() as f64;
    let rate = |cell: &CellSummary| cell.events_per_s.map(|spread| spread.median);
    let share = |cell: &CellSummary| Some(rate(cell)? / cell.predicted_per_s.filter(|predicted| *predicted > 0.0)?);
    let least = sweep.cells.iter().filter_map(share).reduce(f64::min);
    let fastest = sweep.cells.iter().filter_map(rate).reduce(f64::max);
    let drift = sweep.anchor.as_ref().and_then(|anchor| anchor.drift);
    // A cell without a verdict was not measured.
    let without = [Some(CellVerdict::Dnf), Some(CellVerdict::Failed), None];
    let counts = [
        figure("cells", sweep.cells.len() as f64, ""),
        figure("cells.as_predicted", count(&[Some(CellVerdict::AsPredicted)]), ""),
        figure("cells.bound", count(&[Some(CellVerdict::Bound)]), ""),
        figure("cells.unexplained", count(&[Some(CellVerdict::Unexplained)]), ""),
        figure("cells.without_figure", count(&without), ""),
    ];
    let rest = [
        fastest.map(|rate| figure("fastest", rate, "/s")),
        least.map(|share| figure("least.of_predicted", share, "x")),
        drift.map(|drift| figure("anchor.drift", drift * 100.0, "%")),
    ];
    counts.into_iter().chain(rest.into_iter().flatten()).collect()
}

/// How many rows there are, how many were shown and how many not, and the fewest hits that any of them rests on.
pub(super) fn of_ablate(ablate: &AblateJson) -> Vec<Figure> {
    let shown = ablate.rows.iter().filter(|row| row.verdict == RowVerdict::Shown).count();
    let least = ablate.rows.iter().map(|row| row.hits).min();
    let counts = [
        figure("rows", ablate.rows.len() as f64, ""),
        figure("rows.shown", shown as f64, ""),
        figure("rows.not_shown", (ablate.rows.len() - shown) as f64, ""),
    ];
    counts.into_iter().chain(least.map(|hits| figure("hits.least", hits as f64, ""))).collect()
}

/// What each kind of proxy adds, and for each exchange the least that anything in between adds, and how long it takes without.
pub(super) fn of_calibrate(calibrate: &CalibrateJson) -> Vec<Figure> {
    let hops = &calibrate.proxy.hops;
    let added = |hop: &HopCost| {
        let name = |figure: &str| format!("{}.proxy.{figure}", hop.protocol);
        [figure(&name("added_p50"), hop.added_p50_us, "us"), figure(&name("added_p99"), hop.added_p99_us, "us")]
    };
    let compared = |of_one: &[HopCost]| {
        let HopCost { exchange, direct, bare, .. } = &of_one[0];
        let [bare_p50_us, _] = bare.added_to(direct);
        [
            figure(&format!("{exchange}.bare.added_p50"), bare_p50_us, "us"),
            figure(&format!("{exchange}.direct.p50"), direct.p50_us, "us"),
        ]
    };
    let exchanges = hops.chunk_by(|one, next| one.exchange == next.exchange);
    hops.iter().flat_map(added).chain(exchanges.flat_map(compared)).collect()
}

pub(super) fn figure(name: &str, value: f64, unit: &str) -> Figure {
    Figure { name: name.to_owned(), value, unit: unit.to_owned() }
}

fn of_drain(drain: &DrainRecord) -> Vec<Figure> {
    let seconds = (drain.to_ms - drain.from_ms) as f64 / 1_000.0;
    let rate = drain.events_per_s.map(|rate| figure("drain.rate", rate, "/s"));
    [figure("drain.entries", drain.events as f64, ""), figure("drain.time", seconds, "s")]
        .into_iter()
        .chain(rate)
        .collect()
}

/// What readers cost core: calls, and its own time a posting in the last part, where most is read.
fn of_core(spared: &SparedRecord) -> Vec<Figure> {
    let cpu = spared.parts.last().and_then(|part| part.core_cpu_us);
    let cpu = cpu.map(|us| figure("core.cpu_per_posting", us as f64, "us"));
    [figure("core.calls_by_reads", spared.calls_by_reads as f64, "")].into_iter().chain(cpu).collect()
}

fn of_objective(objective: &ObjectiveResult) -> Option<Figure> {
    let measured = objective.measured_us? as f64;
    let (value, unit) = match objective.unit {
        Unit::Us => (measured / 1_000.0, "ms"),
        Unit::Permille => (measured / 1_000.0, "x"),
        Unit::Count => (measured, ""),
    };
    let during = &objective.during;
    let part = if PLAIN.contains(&during.as_str()) { String::new() } else { format!(" ({during})") };
    Some(figure(&format!("{}{part}", objective.name), value, unit))
}

/// Where nobody asked for anything: how long deposits took to be answered and to be seen.
fn unasked(run: &RunJson) -> Vec<Figure> {
    let Some(kinds) = run.latency_us.get("deposit") else { return Vec::new() };
    let p99 = |kind: &str| {
        let found = kinds.get(kind).filter(|found| found.count > 0)?;
        Some(figure(&format!("deposit.{kind}.p99"), found.p99 as f64 / 1_000.0, "ms"))
    };
    ["response", "visible"].into_iter().filter_map(p99).collect()
}

/// What was answered ok a second, by operation.
fn rates(run: &RunJson) -> Vec<Figure> {
    let Some(measure) = run.phases.iter().find(|phase| phase.name == "measure") else { return Vec::new() };
    let seconds = ((measure.end_ms - measure.start_ms) as f64 / 1_000.0).max(0.001);
    let ok = run.load.iter().filter(|(_, counts)| counts.ok > 0);
    ok.map(|(op, counts)| figure(&format!("{op}.ok"), counts.ok as f64 / seconds, "/s")).collect()
}

#[cfg(test)]
mod tests {
    use bankstorm_record::calibrate_json::{CalibrateJson, HopCost, LatencyUs, ProxyCost, SCHEMA};
    use bankstorm_record::run_json::{Build, DrainRecord, ObjectiveResult, Unit};
    use bankstorm_record::sweep_json::CellVerdict;

    use super::{OF_ARM, OF_RUN, of_calibrate, of_run, of_sweep};
    use crate::{fixture, sweep};

    fn names(run: &bankstorm_record::run_json::RunJson, most: usize) -> Vec<String> {
        of_run(run, most)
            .into_iter()
            .map(|figure| format!("{} {:.1}{}", figure.name, figure.value, figure.unit))
            .collect()
    }

    #[test]
    fn what_was_asked_for_comes_first_and_an_invalid_run_has_no_figures() {
        let mut run = fixture::held();
        let asked = ["deposit.response.p99 611.0ms", "deposit.visible.p99 618.0ms", "deposit.ok 300.0/s"];
        assert_eq!(names(&run, OF_RUN), asked);
        let drained = ObjectiveResult {
            name: "drain.of_predicted".to_owned(),
            unit: Unit::Permille,
            measured_us: Some(906),
            during: "drain".to_owned(),
            ..run.slo.objectives[0].clone()
        };
        run.slo.objectives[1].during = "fault".to_owned();
        run.slo.objectives.push(drained);
        run.drain =
            Some(DrainRecord { to_ms: 12_200, events: 84_000, events_per_s: Some(9_069.5), ..DrainRecord::default() });
        let first =
            ["drain.entries 84000.0", "drain.time 12.2s", "drain.rate 9069.5/s", "deposit.response.p99 611.0ms"];
        assert_eq!(names(&run, OF_ARM), first);
        let all = names(&run, OF_RUN);
        assert_eq!(all[4..6], ["deposit.visible.p99 (fault) 618.0ms", "drain.of_predicted 0.9x"]);
        assert_eq!(names(&fixture::unasked(), OF_RUN), asked);
        assert_eq!(names(&fixture::invalid(), OF_RUN), Vec::<String>::new());
    }

    #[test]
    fn every_cell_of_a_sweep_is_counted_once_whatever_became_of_it() {
        let mut sweep = sweep::fixture::sweep(2, 3);
        let became = [
            Some(CellVerdict::AsPredicted),
            Some(CellVerdict::Bound),
            Some(CellVerdict::Unexplained),
            Some(CellVerdict::Dnf),
            Some(CellVerdict::Failed),
            None,
        ];
        sweep.cells.truncate(9);
        // The first three occur twice.
        for (cell, verdict) in sweep.cells.iter_mut().zip(became.into_iter().cycle()) {
            cell.verdict = verdict;
        }
        let figures = of_sweep(&sweep);
        let counts: Vec<_> = figures[..5].iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
        let asked = [
            ("cells", 9.0),
            ("cells.as_predicted", 2.0),
            ("cells.bound", 2.0),
            ("cells.unexplained", 2.0),
            ("cells.without_figure", 3.0),
        ];
        assert_eq!(counts, asked);
    }

    #[test]
    fn what_nothing_can_add_less_than_stands_beside_what_proxies_add() {
        let latency = |p50_us| LatencyUs { count: 1, min_us: 5.0, p50_us, p90_us: 300.0, p99_us: 400.0, max_us: 500.0 };
        let hop = |exchange: &str, [direct, bare]: [f64; 2], protocol: &str, [added_p50_us, added_p99_us]: [f64; 2]| {
            HopCost {
                exchange: exchange.to_owned(),
                request_bytes: 240,
                answer_bytes: 200,
                protocol: protocol.to_owned(),
                direct: latency(direct),
                bare: latency(bare),
                latency: latency(direct + added_p50_us),
                added_p50_us,
                added_p99_us,
            }
        };
        let proxy = ProxyCost {
            seconds: 5,
            connections: 1,
            hops: vec![
                hop("http", [60.0, 81.0], "http", [70.0, 110.0]),
                hop("http", [60.0, 81.0], "bytes", [40.0, 66.0]),
                hop("postgres", [50.0, 69.0], "postgres", [75.0, 130.0]),
            ],
            goal_added_p50_us: 100.0,
            goal_reached: true,
        };
        let figures = of_calibrate(&CalibrateJson { schema: SCHEMA, bankstorm: Build::default(), proxy });
        let told: Vec<_> = figures.iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
        let asked = [
            ("http.proxy.added_p50", 70.0),
            ("http.proxy.added_p99", 110.0),
            ("bytes.proxy.added_p50", 40.0),
            ("bytes.proxy.added_p99", 66.0),
            ("postgres.proxy.added_p50", 75.0),
            ("postgres.proxy.added_p99", 130.0),
            ("http.bare.added_p50", 21.0),
            ("http.direct.p50", 60.0),
            ("postgres.bare.added_p50", 19.0),
            ("postgres.direct.p50", 50.0),
        ];
        assert_eq!(told, asked);
        assert!(figures.iter().all(|figure| figure.unit == "us"));
    }
}
