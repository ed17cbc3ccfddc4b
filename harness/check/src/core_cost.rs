//! Core cost (A19): how much of core's work is for readers?
//!
//! In: core's access log, pages, operations, samples, core's posting spans. Out: [`SparedRecord`]. Elsewhere: that a copy's readers reach core
//! for nothing but what the talk allows (`spared`, G1), how the spans come about (`cli::run::posting`).
//!
//! Processor time a posting is core's time between the first and the last sample of a part, a second, to what was answered ok in it, a
//! second. The share of readers is of all processors: what channels, their database and the load's own process took.

use std::collections::BTreeMap;

use bankstorm_record::marks::SampleRow;
use bankstorm_record::run_json::{PhaseSpan, PostingSpan, SparedPart, SparedRecord};
use bankstorm_record::source::{ReadError, Source};

const MS: i64 = 1_000_000;
/// Where the caller said nothing.
const NO_PURPOSE: &str = "none";

/// Whether a call with this purpose is made for a reader: a page, the button, a history that core itself serves.
pub fn is_for_readers(purpose: Option<&str>) -> bool {
    matches!(purpose, Some("read" | "manual" | "history"))
}

/// What core was spared; `None` where nothing was measured.
///
/// # Errors
/// When evidence cannot be read.
pub fn spared(
    source: &dyn Source,
    samples: &[SampleRow],
    phases: &[PhaseSpan],
    posting: &[PostingSpan],
    cores: u32,
) -> Result<Option<SparedRecord>, ReadError> {
    let Some(measure) = phases.iter().find(|phase| phase.name == "measure") else { return Ok(None) };
    let mut parts: Vec<SparedPart> = posting.iter().map(part).collect();
    if parts.is_empty() {
        parts.push(SparedPart { from_ms: measure.start_ms, to_ms: measure.end_ms, ..SparedPart::default() });
    }
    let is_measured = |at_ns: i64| (measure.start_ms * MS..measure.end_ms * MS).contains(&at_ns);
    let mut record = SparedRecord::default();
    for row in source.core_access() {
        let row = row?;
        if !is_measured(row.begun_ns) {
            continue;
        }
        let purpose = row.purpose.as_deref();
        *record.calls.entry(purpose.unwrap_or(NO_PURPOSE).to_owned()).or_default() += 1;
        if is_for_readers(purpose) {
            record.calls_by_reads += 1;
            count(&mut parts, row.begun_ns, |part| part.calls_by_reads += 1);
        }
    }
    for row in source.pages() {
        let row = row?;
        if is_measured(row.completed_ns) && row.outcome == "ok" {
            record.pages += 1;
            count(&mut parts, row.completed_ns, |part| part.pages += 1);
        }
    }
    for row in source.operations() {
        let row = row?;
        let is_posting = matches!(row.kind.as_str(), "deposit" | "transfer" | "outbound");
        if is_posting && row.outcome.as_deref() == Some("ok") {
            count(&mut parts, row.acked_ns.unwrap_or(i64::MIN), |part| part.posted += 1);
        }
    }
    for part in &mut parts {
        reckon(part, samples, cores);
    }
    record.parts = parts;
    Ok(Some(record))
}

fn part(span: &PostingSpan) -> SparedPart {
    SparedPart { from_ms: span.from_ms, to_ms: span.to_ms, posting_p99_us: span.p99_us, ..SparedPart::default() }
}

fn count(parts: &mut [SparedPart], at_ns: i64, more: impl FnOnce(&mut SparedPart)) {
    if let Some(part) = parts.iter_mut().find(|part| (part.from_ms * MS..part.to_ms * MS).contains(&at_ns)) {
        more(part);
    }
}

/// Processor seconds a second of every process in a part.
fn cpu_per_s(part: &SparedPart, samples: &[SampleRow]) -> BTreeMap<String, f64> {
    let mut within = samples.iter().filter(|row| (part.from_ms..=part.to_ms).contains(&row.at_ms));
    let (Some(first), Some(last)) = (within.next(), within.next_back()) else { return BTreeMap::new() };
    let seconds = (last.at_ms - first.at_ms) as f64 / 1_000.0;
    let used = last.process_cpu_seconds.iter().filter_map(|(process, cpu_s)| {
        let before = first.process_cpu_seconds.get(process)?;
        Some((process.clone(), (cpu_s - before).max(0.0) / seconds))
    });
    used.collect()
}

fn reckon(part: &mut SparedPart, samples: &[SampleRow], cores: u32) {
    let cpu = cpu_per_s(part, samples);
    let posted_per_s = part.posted as f64 / ((part.to_ms - part.from_ms).max(1) as f64 / 1_000.0);
    let a_posting = |process: &str| {
        let cpu_s = cpu.get(process).filter(|_| part.posted > 0)?;
        Some((cpu_s / posted_per_s * 1e6) as u64)
    };
    let (core, database) = (a_posting("core"), a_posting("postgres-core"));
    let reads = |process: &str| {
        ["channel-", "postgres-channel"].iter().any(|kind| process.starts_with(kind)) || process == "harness"
    };
    let readers: f64 = cpu.iter().filter(|(process, _)| reads(process)).map(|(_, cpu_s)| cpu_s).sum();
    part.core_cpu_us = core;
    part.core_database_cpu_us = database;
    part.readers_cpu_share = (!cpu.is_empty() && cores > 0).then(|| readers / f64::from(cores));
}

#[cfg(test)]
mod tests {
    use bankstorm_record::marks::SampleRow;
    use bankstorm_record::rows::{CoreAccessRow, OperationRow, PageRow};
    use bankstorm_record::run_json::{PhaseSpan, PostingSpan};
    use bankstorm_record::source::MemorySource;

    use super::{MS, spared};

    fn access(at_ms: i64, purpose: Option<&str>) -> CoreAccessRow {
        CoreAccessRow { begun_ns: at_ms * MS, purpose: purpose.map(str::to_owned), ..CoreAccessRow::default() }
    }

    fn sample(at_ms: i64, core_s: f64, channel_s: f64) -> SampleRow {
        let used = [("core", core_s), ("channel-0", channel_s), ("kafka-1", 9.0)];
        SampleRow {
            at_ms,
            process_cpu_seconds: used.map(|(name, cpu_s)| (name.to_owned(), cpu_s)).into(),
            ..SampleRow::default()
        }
    }

    #[test]
    fn a19_calls_and_time_of_core_are_told_by_part() {
        let phases = [PhaseSpan { name: "measure".to_owned(), start_ms: 1_000, end_ms: 21_000 }];
        let span = |from_ms, to_ms| PostingSpan { from_ms, to_ms, p99_us: Some(7), ..PostingSpan::default() };
        let posted = |at_ms: i64| OperationRow {
            kind: "deposit".to_owned(),
            outcome: Some("ok".to_owned()),
            acked_ns: Some(at_ms * MS),
            ..OperationRow::default()
        };
        let page = |at_ms: i64| PageRow { completed_ns: at_ms * MS, outcome: "ok".to_owned(), ..PageRow::default() };
        let source = MemorySource {
            core_access: vec![
                access(500, Some("history")),
                access(2_000, Some("gap_fill")),
                access(12_000, Some("history")),
                access(12_001, Some("read")),
                access(12_002, None),
            ],
            pages: vec![page(500), page(12_000), page(13_000)],
            operations: (0..1_000).map(|n| posted(1_000 + n * 20)).collect(),
            ..MemorySource::default()
        };
        let samples =
            [sample(1_500, 1.0, 0.0), sample(10_500, 2.8, 0.9), sample(11_500, 3.0, 1.0), sample(20_500, 6.6, 10.0)];
        let spans = [span(1_000, 11_000), span(11_000, 21_000)];
        let found = spared(&source, &samples, &phases, &spans, 2).expect("readable").expect("measured");
        assert_eq!((found.calls_by_reads, found.pages), (2, 2));
        let calls: Vec<(&str, u64)> = found.calls.iter().map(|(purpose, calls)| (&**purpose, *calls)).collect();
        assert_eq!(calls, [("gap_fill", 1), ("history", 1), ("none", 1), ("read", 1)]);
        let [quiet, read] = &found.parts[..] else { panic!("two parts: {:?}", found.parts) };
        assert_eq!((quiet.calls_by_reads, quiet.posted, quiet.pages), (0, 500, 0));
        assert_eq!((read.calls_by_reads, read.posted, read.pages), (2, 500, 2));
        // 0.2 s a second for 50 postings a second, then 0.4 s.
        assert_eq!(
            (quiet.core_cpu_us.map(|us| us.div_ceil(10)), read.core_cpu_us.map(|us| us.div_ceil(10))),
            (Some(400), Some(800))
        );
        assert_eq!(
            (quiet.readers_cpu_share.map(|share| (share * 100.0) as u32), read.posting_p99_us),
            (Some(5), Some(7))
        );
    }
}
