//! Whether the objectives on a greater load are met. What the run cannot show is unmeasured, with the reason, and never met.
//!
//! In: an objective, [`OverloadRecord`]. Out: its result with a note. Elsewhere: the figures (`overload`), all other objectives
//! (`objectives`).
//!
//! | objective | figure | limit |
//! |---|---|---|
//! | `overload.posting_p99` | core's posting p99 in the window to the one before it | thousandths |
//! | `overload.recovery` | from the window's end until recovered | microseconds |
//! | `overload.unrefused` | deposits of the measured phase neither posted nor refused as `not-started` in time | a count |
//!
//! "Before" stands for half of what core sustains and the window for ten times that only if the same run says so: the quiet load is within
//! [`QUIET_SHARE`] of what core sustained, the offered one at least [`OFFERED_LEAST`] of it. A figure that misses its limit under less than
//! that misses it all the same. Nor is the limit met where posting was slow before the window for other reasons: where its p99 in the window
//! is over the limit of the one after the recovery, the quiet load was not steady, and there is no verdict.

use std::ops::RangeInclusive;

use bankstorm_record::run_json::{ObjectiveResult, OverloadRecord, PostingSpan, SloVerdict, Unit};

use crate::objectives::Objective;

/// The first word of objectives on a greater load.
pub const OVERLOAD: &str = "overload";
/// The quiet load, as a share of what core sustains, that stands for half of it.
pub const QUIET_SHARE: RangeInclusive<f64> = 0.35..=0.65;
/// The least that must be offered, as a multiple of what core sustains.
pub const OFFERED_LEAST: f64 = 10.0;
/// The least admitted requests behind a p99: ten of them lie above it.
pub const ADMITTED_LEAST: u64 = 1_000;

/// A figure, and what keeps it from being a verdict.
struct Told {
    unit: Unit,
    figure: Option<u64>,
    /// Missed without any figure.
    not_reached: bool,
    /// It is not known what the figure stands for.
    unsound: Vec<String>,
    /// The load was weaker than asked, or what it is compared with flatters: a miss stands, a figure within its limit does not.
    weaker: Vec<String>,
    rests_on: String,
}

/// `record` is absent where the run is not valid, or has no such part.
pub(crate) fn judge(objective: &Objective, record: Option<&OverloadRecord>) -> ObjectiveResult {
    let told = record.and_then(|record| match objective.latency.as_str() {
        "posting_p99" => Some(posting_p99(record, objective.limit_us)),
        "recovery" => Some(recovery(record)),
        "unrefused" => Some(unrefused(record)),
        _ => None,
    });
    let mut result = objective.unmeasured(unit(&objective.latency));
    let Some(told) = told else { return result };
    let is_over = told.not_reached || told.figure.is_some_and(|figure| figure > objective.limit_us);
    let is_known = told.not_reached || told.figure.is_some();
    result.verdict = if !is_known || !told.unsound.is_empty() {
        SloVerdict::Unmeasured
    } else if is_over {
        SloVerdict::Missed
    } else if told.weaker.is_empty() {
        SloVerdict::Met
    } else {
        SloVerdict::Unmeasured
    };
    let problems = told.unsound.iter().chain(told.weaker.iter().filter(|_| result.verdict != SloVerdict::Missed));
    let sentences: Vec<&str> = std::iter::once(&told.rests_on).chain(problems).map(String::as_str).collect();
    (result.measured_us, result.unit) = (told.figure, told.unit);
    result.note = Some(sentences.join("; "));
    result
}

/// What the limit of an objective counts.
pub(crate) fn unit(figure: &str) -> Unit {
    match figure {
        "posting_p99" => Unit::Permille,
        "unrefused" => Unit::Count,
        _ => Unit::Us,
    }
}

fn posting_p99(record: &OverloadRecord, limit: u64) -> Told {
    let mut unsound: Vec<String> = quiet_load(record).into_iter().collect();
    let spans @ [before, within] = [record.before.as_ref(), record.within.as_ref()];
    for (part, span) in ["before the window", "in the window"].into_iter().zip(spans) {
        let admitted = span.map_or(0, |span| span.admitted);
        if admitted < ADMITTED_LEAST {
            unsound
                .push(format!("{admitted} admitted requests {part} are too few, at least {ADMITTED_LEAST} are needed"));
        }
    }
    let [before_us, within_us] = spans.map(|span| span?.p99_us);
    if before_us.is_none() {
        unsound.push("the p99 before the window is not known".to_owned());
    }
    let ratio = |(within, quiet): (u64, u64)| (within * 1_000).div_ceil(quiet.max(1));
    let after = record.after.as_ref().filter(|span| span.admitted >= ADMITTED_LEAST);
    let to_after = within_us.zip(after.and_then(|span| span.p99_us)).map(ratio).filter(|ratio| *ratio > limit);
    let unsteady = to_after.map(|ratio| {
        let times = ratio.div_ceil(10) as f64 / 100.0;
        format!("to the p99 after the recovery it is {times:.2}x: the quiet load was not steady before the window, warm up for longer")
    });
    Told {
        unit: Unit::Permille,
        figure: within_us.zip(before_us).map(ratio),
        // Nothing is known of it but that it lies beyond the last bucket.
        not_reached: within_us.is_none(),
        unsound,
        weaker: offered(record).into_iter().chain(unsteady).collect(),
        rests_on: format!(
            "{} in the window, {} before, {} after the recovery; {}",
            stands(within),
            stands(before),
            stands(record.after.as_ref()),
            rates(record)
        ),
    }
}

fn recovery(record: &OverloadRecord) -> Told {
    let mut unsound = Vec::new();
    if record.response_before_us.is_none() {
        unsound.push("before the window too little was served to compare with".to_owned());
    }
    // More than half of what core sustains may be more than it can come back with; less is no excuse.
    unsound.extend(quiet_load(record).filter(|_| record.quiet_per_s > QUIET_SHARE.end() * record.sustained_per_s));
    let weaker = quiet_load(record).filter(|_| unsound.is_empty()).into_iter().chain(offered(record)).collect();
    let posted = record.posted_before.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let before = record.response_before_us.map_or_else(|| "-".to_owned(), ms);
    let recovered_us = |ms: i64| u64::try_from(ms).unwrap_or(0) * 1_000;
    Told {
        unit: Unit::Us,
        figure: record.recovered_ms.map(recovered_us),
        not_reached: record.recovered_ms.is_none(),
        unsound,
        weaker,
        rests_on: format!(
            "before the window {posted} posted, with a response p99 of {before}; of {} whole seconds after the recovery {} were not as before",
            record.seconds_after, record.seconds_disturbed
        ),
    }
}

fn unrefused(record: &OverloadRecord) -> Told {
    let parts = [("in the window", &record.in_window), ("outside of it", &record.outside)];
    let rests_on: Vec<String> = parts
        .iter()
        .map(|(part, endings)| {
            let others: Vec<String> = endings.others.iter().map(|(how, count)| format!(", {count} {how}")).collect();
            format!(
                "{part} {} posted, {} refused as not-started{}",
                endings.posted,
                endings.not_started,
                others.concat()
            )
        })
        .collect();
    Told {
        unit: Unit::Count,
        figure: Some(record.in_window.other() + record.outside.other()),
        not_reached: false,
        unsound: Vec::new(),
        weaker: offered(record).into_iter().collect(),
        rests_on: rests_on.join("; "),
    }
}

/// Why the quiet load does not stand for half of what core sustains.
fn quiet_load(record: &OverloadRecord) -> Option<String> {
    let (least, most) = (QUIET_SHARE.start(), QUIET_SHARE.end());
    let sustained = record.sustained_per_s;
    if sustained <= 0.0 {
        return Some("what core sustains was not seen in the window".to_owned());
    }
    let share = record.quiet_per_s / sustained;
    (!QUIET_SHARE.contains(&share)).then(|| {
        format!(
            "the quiet load must be {least}x to {most}x of what core sustains to stand for half of it: about {:.0}/s here",
            sustained / 2.0
        )
    })
}

/// Why the offered load is not enough.
fn offered(record: &OverloadRecord) -> Option<String> {
    let asked = OFFERED_LEAST * record.sustained_per_s;
    (record.sustained_per_s <= 0.0 || record.offered_per_s < asked).then(|| {
        format!("the offered load must be at least {OFFERED_LEAST}x of what core sustains: {:.0}/s here", asked.ceil())
    })
}

fn stands(span: Option<&PostingSpan>) -> String {
    let Some(span) = span else { return "nothing seen".to_owned() };
    let p99 = span.p99_us.map_or_else(|| "beyond the last bucket".to_owned(), ms);
    format!("p99 {p99} of {} admitted", span.admitted)
}

fn rates(record: &OverloadRecord) -> String {
    let sustained = record.sustained_per_s;
    let times = |rate: f64| if sustained > 0.0 { format!("{:.2}x", rate / sustained) } else { "-".to_owned() };
    format!(
        "core sustained {sustained:.0}/s, the quiet load was {} of it, the offered one {}",
        times(record.quiet_per_s),
        times(record.offered_per_s)
    )
}

fn ms(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1_000.0)
}
