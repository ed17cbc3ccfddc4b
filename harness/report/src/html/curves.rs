//! Which charts a report has.
//!
//! In: seconds and samples. Out: charts, drawn, all over the same span of time, and the fault lanes that belong under each of them.
//! Elsewhere: drawing (`html::chart`, `html::lanes`).

use std::collections::BTreeMap;

use bankstorm_record::latency::CutOffs;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::run_json::RunJson;

use crate::html::chart::{Chart, Drawn, Frame, Join, Line, Mark, draw};
use crate::html::lanes::{self, Lane};
use crate::series::SecondPoint;
use crate::stored::ReportInput;
use crate::tables;

/// How much longer than the load the charts may go on, to show that lag came down.
const AFTER_S: f64 = 10.0;
/// How many lines a chart may have; further processes are added up in the last.
const LINES: usize = 8;

/// Every chart that there are figures for, and the lanes under each.
pub(crate) fn draw_all(input: &ReportInput) -> (Vec<Drawn>, Vec<Lane>) {
    let zero_s = tables::measured(&input.run).from_ms as f64 / 1000.0;
    let Some(domain_s) = domain(&input.series, &input.samples, zero_s) else { return Default::default() };
    let frame = Frame { domain_s, marks: marks(&input.run, zero_s) };
    let inside = |sample: &&SampleRow| (domain_s.0..=domain_s.1).contains(&second(sample, zero_s));
    let samples: Vec<&SampleRow> = input.samples.iter().filter(inside).collect();
    let mut charts = Vec::new();
    if !input.series.is_empty() {
        charts.extend([response(input), visible(input), rate(&input.series)]);
    }
    charts.extend(sampled(&samples, zero_s));
    (charts.into_iter().map(|chart| draw(chart, &frame)).collect(), lanes::draw(&frame))
}

/// When it was taken, in seconds since measuring began.
fn second(sample: &SampleRow, zero_s: f64) -> f64 {
    sample.at_ms as f64 / 1000.0 - zero_s
}

/// From the first second that had an operation to the last, and a little further where there are samples.
fn domain(series: &[SecondPoint], samples: &[SampleRow], zero_s: f64) -> Option<(f64, f64)> {
    let sampled = samples.last().map(|last| second(last, zero_s));
    let (from, to) = match (series.first(), series.last()) {
        (Some(first), Some(last)) => {
            let to = (last.second + 1) as f64;
            (first.second as f64, sampled.map_or(to, |sampled| sampled.clamp(to, to + AFTER_S)))
        }
        _ => (second(samples.first()?, zero_s), sampled?),
    };
    Some((from, to.max(from + 1.0)))
}

fn marks(run: &RunJson, zero_s: f64) -> Vec<Mark> {
    let second = |ms: i64| ms as f64 / 1000.0 - zero_s;
    let load_ended_ms = tables::measured(run).ended_ms;
    let mark = |fault: &bankstorm_record::run_json::FaultRecord| {
        let recovery = run.recovery.iter().find(|record| record.fault == fault.id);
        let recovered_ms = recovery.zip(fault.healed_ms).and_then(|(record, healed_ms)| {
            record.recovered_ms().map(|ms| healed_ms.saturating_add(ms)).or(load_ended_ms)
        });
        Some(Mark {
            id: fault.id.clone(),
            label: format!("{} {}", fault.kind, fault.place),
            recovered_s: recovered_ms.map(second),
            from_s: second(fault.started_ms?),
            // An unplanned death that nothing heals is marked where it happened, not to the end of time.
            to_s: fault.healed_ms.or(fault.started_ms.filter(|_| !fault.planned)).map(second),
            planned: fault.planned,
        })
    };
    run.faults.iter().filter_map(mark).collect()
}

fn per_second(
    series: &[SecondPoint],
    head: (&'static str, &'static str, &'static str),
    about: String,
    lines: Vec<Line>,
) -> Chart {
    let (id, title, unit) = head;
    Chart {
        id,
        title,
        unit,
        about,
        at_s: series.iter().map(|point| point.second as f64 + 0.5).collect(),
        step_s: 1.0,
        lines,
        limits: vec![],
        join: Join::Max,
        may_be_log: true,
    }
}

fn percentiles(series: &[SecondPoint], of: [fn(&SecondPoint) -> Option<u64>; 2]) -> Vec<Line> {
    let line = |label: &str, colour, of: fn(&SecondPoint) -> Option<u64>| Line {
        label: label.to_owned(),
        colour,
        dashed: false,
        values: series.iter().map(|point| of(point).map(|us| us as f64 / 1000.0)).collect(),
    };
    vec![line("p50", 1, of[0]), line("p99", 2, of[1])]
}

/// The scenario's limits on one latency: `deposit.response.p99` for `response`.
fn limits(run: &RunJson, latency: &str) -> Vec<(String, f64)> {
    let is_of = |name: &str| name.split('.').nth(1) == Some(latency);
    let of = run.slo.objectives.iter().filter(|objective| is_of(&objective.name));
    of.map(|objective| {
        let figure = objective.name.rsplit('.').next().unwrap_or_default();
        let during = match objective.during.as_str() {
            "steady" => String::new(),
            during => format!(", {during}"),
        };
        (format!("objective for {figure}{during}"), objective.limit_us as f64 / 1000.0)
    })
    .collect()
}

/// Whether operations without a value are in the curves, in words.
fn misses(input: &ReportInput, known: &'static str) -> &'static str {
    match CutOffs::of(&input.run.phases) {
        Some(_) => known,
        None => " Operations without a value are not in: the run folder does not say how long they were waited for.",
    }
}

fn response(input: &ReportInput) -> Chart {
    let mut about = "From when an operation was due until its answer, by the second in which it was due.".to_owned();
    about.push_str(misses(
        input,
        " What was missed, failed or stayed in doubt is in, with the time until the run stopped waiting for answers.",
    ));
    let lines = percentiles(&input.series, [|p| p.response_p50_us, |p| p.response_p99_us]);
    let mut chart = per_second(&input.series, ("response", "Response time", "ms"), about, lines);
    chart.limits = limits(&input.run, "response");
    chart
}

fn visible(input: &ReportInput) -> Chart {
    let mut about =
        "From when a deposit was due until it could be seen in the channel, by the second in which it was due."
            .to_owned();
    about.push_str(misses(
        input,
        " What never became visible is in, with the time until the run stopped waiting for the copy; what was rejected at once is not.",
    ));
    let lines = percentiles(&input.series, [|p| p.visible_p50_us, |p| p.visible_p99_us]);
    let mut chart = per_second(&input.series, ("visible", "Time to visible", "ms"), about, lines);
    chart.limits = limits(&input.run, "visible");
    chart
}

fn rate(series: &[SecondPoint]) -> Chart {
    let line = |label: &str, colour, dashed, of: fn(&SecondPoint) -> u64| Line {
        label: label.to_owned(),
        colour,
        dashed,
        values: series.iter().map(|point| Some(of(point) as f64)).collect(),
    };
    let mut lines = vec![
        line("planned", 7, true, |p| p.planned),
        line("sent", 1, false, |p| p.sent),
        line("ok", 3, false, |p| p.ok),
        line("not ok", 2, false, |p| p.not_ok),
        line("missed", 4, false, |p| p.missed),
    ];
    // What never happened needs no line; the counts table has the zeros.
    let happened = |line: &Line| line.values.iter().any(|value| value.is_some_and(|v| v > 0.0));
    lines.retain(|line| matches!(line.label.as_str(), "planned" | "sent" | "ok") || happened(line));
    let about = "Operations in each second: due, written to a socket, answered.".to_owned();
    let mut chart = per_second(series, ("rate", "Per-second rate", "operations a second"), about, lines);
    (chart.join, chart.may_be_log) = (Join::Mean, false);
    chart
}

fn sampled(samples: &[&SampleRow], zero_s: f64) -> Vec<Chart> {
    let at_s: Vec<f64> = samples.iter().map(|sample| second(sample, zero_s)).collect();
    let step_s = match (at_s.first(), at_s.last()) {
        (Some(first), Some(last)) if at_s.len() > 1 => (last - first) / (at_s.len() - 1) as f64,
        _ => 1.0,
    };
    let chart = |id, title, unit, about: &str, join, lines| Chart {
        id,
        title,
        unit,
        about: about.to_owned(),
        at_s: at_s.clone(),
        step_s,
        lines,
        limits: vec![],
        join,
        may_be_log: false,
    };
    let line = |label: &str, of: fn(&SampleRow) -> Option<f64>| {
        let values: Vec<_> = samples.iter().map(|sample| of(sample)).collect();
        let any = values.iter().any(Option::is_some);
        any.then(|| vec![Line { label: label.to_owned(), colour: 1, dashed: false, values }])
    };
    let mut charts = Vec::new();
    if let Some(lines) = line("records behind", |sample| sample.lag_records.map(|records| records as f64)) {
        let about = "Records that the channel's consumers had not yet ticked off, sampled each second.";
        charts.push(chart("lag", "Lag", "records", about, Join::Max, lines));
    }
    if let Some(lines) = line("machine", |sample| sample.cpu_percent) {
        let about = "The whole machine, the load generator included; 100 is every core busy.";
        charts.push(chart("cpu", "Machine CPU", "% of all cores", about, Join::Mean, lines));
    }
    let lines = processes(samples);
    if !lines.is_empty() {
        let about = "Each process; 100 is one core busy.";
        charts.push(chart("processes", "CPU of each process", "% of one core", about, Join::Mean, lines));
    }
    charts
}

/// A line per process, busiest first.
fn processes(samples: &[&SampleRow]) -> Vec<Line> {
    let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
    for (process, percent) in samples.iter().flat_map(|sample| &sample.process_cpu_percent) {
        *totals.entry(process).or_default() += percent;
    }
    let mut order: Vec<_> = totals.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let own = if order.len() > LINES { LINES - 1 } else { order.len() };
    let (first, rest) = order.split_at(own);
    let values = |names: &[&str]| {
        let sum = |sample: &&SampleRow| {
            let of: Vec<f64> = names.iter().filter_map(|name| sample.process_cpu_percent.get(*name).copied()).collect();
            (!of.is_empty()).then(|| of.iter().sum())
        };
        samples.iter().map(sum).collect()
    };
    let mut lines: Vec<Line> = first
        .iter()
        .enumerate()
        .map(|(i, (name, _))| Line { label: (*name).to_owned(), colour: i + 1, dashed: false, values: values(&[name]) })
        .collect();
    if !rest.is_empty() {
        let names: Vec<_> = rest.iter().map(|(name, _)| *name).collect();
        let label = format!("{} others together", names.len());
        lines.push(Line { label, colour: LINES, dashed: false, values: values(&names) });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_whole_run_has_six_charts_and_a_broken_one_those_it_has_figures_for() {
        let mut input = fixture::input(fixture::held());
        let ids = |input: &ReportInput| draw_all(input).0.into_iter().map(|chart| chart.id).collect::<Vec<_>>();
        assert_eq!(ids(&input), ["response", "visible", "rate", "lag", "cpu", "processes"]);
        input.series.clear();
        assert_eq!(ids(&input), ["lag", "cpu", "processes"]);
        input.samples.clear();
        assert!(ids(&input).is_empty());
    }

    #[test]
    fn captions_say_whether_misses_are_in() {
        let mut input = fixture::input(fixture::invalid());
        assert!(
            response(&input).about.contains("missed, failed or stayed in doubt is in"),
            "{}",
            response(&input).about
        );
        assert!(visible(&input).about.contains("What never became visible is in"), "{}", visible(&input).about);
        input.run.phases.clear();
        assert!(response(&input).about.contains("are not in") && visible(&input).about.contains("are not in"));
    }

    #[test]
    fn many_processes_share_the_last_line() {
        let process_cpu_percent = (0..12).map(|i| (format!("p{i}"), 1.0)).collect();
        let sample = SampleRow { process_cpu_percent, ..SampleRow::default() };
        let lines = processes(&[&sample]);
        assert_eq!((lines.len(), lines[7].label.as_str(), lines[7].values[0]), (8, "5 others together", Some(5.0)));
    }
}
