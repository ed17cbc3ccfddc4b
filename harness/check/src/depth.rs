//! Depth (A1): is the thousandth page of a scroll as fast as the first?
//!
//! In: pages read, the measured phase. Out: [`DepthRecord`], and the objective on it. Elsewhere: whether the pages fit together (S6), how
//! scrolls are driven (`load`).
//!
//! A page's time is from its request to its answer: each page of a scroll is asked for once the one before was answered, so nobody waits in
//! front of it. The first tenth are the pages up to a tenth of the deepest one's number, the deepest tenth as many at the other end.

use std::collections::BTreeSet;

use bankstorm_record::latency::{microseconds, nearest_rank};
use bankstorm_record::rows::PageRow;
use bankstorm_record::run_json::{DepthRecord, ObjectiveResult, PhaseSpan, SloVerdict, Unit};
use bankstorm_record::source::{ReadError, Rows};

use crate::objectives::Objective;

/// The word of the figure that objectives are about.
pub const DEEPEST_OF_FIRST: &str = "deepest_of_first";
/// The least pages behind a 99th percentile.
pub const PAGES_LEAST: usize = 100;
/// The least depth that has tenths.
const DEEP: u32 = 9;

const MS: i64 = 1_000_000;

/// How the pages compare; `None` where nobody scrolled.
///
/// # Errors
/// When the pages cannot be read.
pub fn depth(phases: &[PhaseSpan], pages: Rows<'_, PageRow>) -> Result<Option<DepthRecord>, ReadError> {
    let Some(measure) = phases.iter().find(|phase| phase.name == "measure") else { return Ok(None) };
    let mut sessions = BTreeSet::new();
    let mut took: Vec<(u32, u64)> = Vec::new();
    for page in pages {
        let page = page?;
        let Some(number) = page.page_no else { continue };
        let is_measured = (measure.start_ms * MS..=measure.end_ms * MS).contains(&page.invoked_ns);
        if is_measured && page.outcome == "ok" {
            sessions.insert(page.op);
            took.push((number, u64::try_from(page.completed_ns - page.invoked_ns).unwrap_or(0)));
        }
    }
    let Some(deepest) = took.iter().map(|(number, _)| *number).max() else { return Ok(None) };
    let tenth = (deepest + 1).div_ceil(10);
    let mut first: Vec<u64> = took.iter().filter(|(number, _)| *number < tenth).map(|(_, ns)| *ns).collect();
    let mut last: Vec<u64> = took.iter().filter(|(number, _)| *number + tenth > deepest).map(|(_, ns)| *ns).collect();
    Ok(Some(DepthRecord {
        pages: took.len() as u64,
        sessions: sessions.len() as u64,
        deepest,
        first_pages: first.len() as u64,
        last_pages: last.len() as u64,
        first_p99_us: p99_us(&mut first),
        last_p99_us: p99_us(&mut last),
    }))
}

fn p99_us(took: &mut [u64]) -> Option<u64> {
    took.sort_unstable();
    (took.len() >= PAGES_LEAST).then(|| microseconds(nearest_rank(took, 990)))
}

/// The p99 of the deepest tenth to that of the first, in thousandths, rounded up.
pub fn deepest_of_first(record: &DepthRecord) -> Option<u64> {
    let (first, last) = (record.first_p99_us?, record.last_p99_us?);
    (record.deepest >= DEEP).then(|| (last * 1_000).div_ceil(first.max(1)))
}

/// Whether `scroll.deepest_of_first` is met. `record` is absent where the run is not valid, or nobody scrolled.
pub(crate) fn judge(objective: &Objective, record: Option<&DepthRecord>) -> ObjectiveResult {
    let measured = record.and_then(deepest_of_first);
    let verdict = match measured {
        None => SloVerdict::Unmeasured,
        Some(growth) if growth <= objective.limit_us => SloVerdict::Met,
        Some(_) => SloVerdict::Missed,
    };
    let note = record.map(|record| {
        let DepthRecord { deepest, first_pages, last_pages, .. } = record;
        let least = PAGES_LEAST;
        match measured {
            Some(_) => format!("p99 of {last_pages} pages near page {deepest} to that of {first_pages} near page 0"),
            None => format!(
                "{first_pages} pages near page 0 and {last_pages} near page {deepest}; a verdict takes {least} each, and pages beyond {DEEP}"
            ),
        }
    });
    ObjectiveResult { measured_us: measured, verdict, note, ..objective.unmeasured(Unit::Permille) }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::PageRow;
    use bankstorm_record::run_json::{PhaseSpan, SloVerdict};

    use super::{DEEPEST_OF_FIRST, MS, deepest_of_first, depth, judge};
    use crate::objectives::Objective;

    fn phases() -> [PhaseSpan; 1] {
        [PhaseSpan { name: "measure".to_owned(), start_ms: 1_000, end_ms: 100_000 }]
    }

    fn page(session: u64, number: u32, took_us: i64) -> PageRow {
        let invoked_ns = 2_000 * MS;
        PageRow {
            op: Some(session),
            page_no: Some(number),
            invoked_ns,
            completed_ns: invoked_ns + took_us * 1_000,
            outcome: "ok".to_owned(),
            ..PageRow::default()
        }
    }

    /// Two scrolls of a thousand pages, the deepest hundred slower.
    fn pages(deep_us: i64) -> Vec<PageRow> {
        let time = move |number: u32| if number >= 900 { deep_us } else { 1_000 };
        (0..2).flat_map(|session| (0..1_000).map(move |number| page(session, number, time(number)))).collect()
    }

    #[test]
    fn a1_the_deepest_tenth_is_held_against_the_first() {
        let mut rows = pages(1_400);
        // Neither a page of no scroll, nor of the warm-up, nor one that failed counts.
        rows.push(PageRow { page_no: None, ..page(9, 0, 99_000) });
        rows.push(PageRow { invoked_ns: 500 * MS, ..page(9, 5, 99_000) });
        rows.push(PageRow { outcome: "failed".to_owned(), ..page(9, 5, 99_000) });
        let record = depth(&phases(), Box::new(rows.into_iter().map(Ok))).expect("readable").expect("scrolls");
        assert_eq!((record.pages, record.sessions, record.deepest), (2_000, 2, 999));
        assert_eq!((record.first_pages, record.last_pages), (200, 200));
        assert_eq!(deepest_of_first(&record), Some(1_400));
        let objective = |limit_us| Objective {
            name: "scroll.deepest_of_first".to_owned(),
            op: "scroll".to_owned(),
            latency: DEEPEST_OF_FIRST.to_owned(),
            figure: String::new(),
            limit_us,
            during: "scroll".to_owned(),
        };
        assert_eq!(judge(&objective(1_500), Some(&record)).verdict, SloVerdict::Met);
        assert_eq!(judge(&objective(1_300), Some(&record)).verdict, SloVerdict::Missed);
        assert_eq!(judge(&objective(1_300), None).verdict, SloVerdict::Unmeasured);
    }

    #[test]
    fn a_few_pages_are_no_percentile_and_none_no_record() {
        let few = (0..50).map(|number| Ok(page(1, number, 1_000)));
        let record = depth(&phases(), Box::new(few)).expect("readable").expect("a scroll");
        assert_eq!(deepest_of_first(&record), None);
        assert_eq!(depth(&phases(), Box::new(std::iter::empty())), Ok(None));
        let one = depth(&phases(), Box::new(std::iter::once(Ok(page(1, 0, 1_000)))));
        let one = one.expect("readable").expect("a scroll");
        assert_eq!((one.deepest, one.first_pages, one.last_pages), (0, 1, 1), "a scroll of one page has an end");
    }
}
