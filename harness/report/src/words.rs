//! Wording and number formats that all reports share.
//!
//! In: verdicts and figures. Out: words, sentences, formatted numbers. Elsewhere: what each check means (`explain`).

use bankstorm_record::run_json::{GuaranteeVerdict, RunJson, SloVerdict, Unit, ValidityVerdict};

/// How a verdict should look; each format maps it to its own colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As hoped.
    Good,
    /// Look here, nothing is proven wrong.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// Its class in the page's style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// The word of a validity verdict, and its tone.
pub(crate) const fn validity(verdict: ValidityVerdict) -> (&'static str, Tone) {
    match verdict {
        ValidityVerdict::Valid => ("VALID", Tone::Good),
        ValidityVerdict::Invalid => ("INVALID", Tone::Bad),
        ValidityVerdict::Inconclusive => ("INCONCLUSIVE", Tone::Warn),
    }
}

/// The word of a guarantee's verdict, and its tone.
pub(crate) const fn guarantee(verdict: GuaranteeVerdict) -> (&'static str, Tone) {
    match verdict {
        GuaranteeVerdict::Holds => ("HOLDS", Tone::Good),
        GuaranteeVerdict::Violated => ("VIOLATED", Tone::Bad),
        GuaranteeVerdict::Unknown => ("UNKNOWN", Tone::Warn),
    }
}

/// The word of an objective's verdict, and its tone.
pub(crate) const fn slo(verdict: SloVerdict) -> (&'static str, Tone) {
    match verdict {
        SloVerdict::Met => ("MET", Tone::Good),
        SloVerdict::Missed => ("MISSED", Tone::Bad),
        SloVerdict::Unmeasured => ("UNMEASURED", Tone::Warn),
    }
}

/// The three verdicts of a run, in the order they are always shown.
pub(crate) const fn verdicts(run: &RunJson) -> [(&'static str, Tone); 3] {
    [validity(run.validity.verdict), guarantee(run.guarantees.verdict), slo(run.slo.verdict)]
}

/// `VALID · HOLDS · MET`.
pub(crate) fn verdict_line(run: &RunJson) -> String {
    verdicts(run).map(|(word, _)| word).join(" · ")
}

/// One line for people who do not know the words, chosen by the recorded verdicts alone, worst first.
pub(crate) fn headline(run: &RunJson) -> (&'static str, &'static str, Tone) {
    if run.guarantees.verdict == GuaranteeVerdict::Violated {
        return (
            "The bank broke a guarantee",
            "Money or history was wrong at least once, and the rows that prove it are below. This stands however the run was measured.",
            Tone::Bad,
        );
    }
    if run.ended_at.is_none() {
        return (
            "This run did not end",
            "It was broken off before its verdicts were written. What follows is what it had stored by then; draw no conclusion from it.",
            Tone::Warn,
        );
    }
    match (run.validity.verdict, run.guarantees.verdict, run.slo.verdict) {
        (ValidityVerdict::Invalid, _, _) => (
            "The speed figures of this run may not be used",
            "The reasons are below; most often the measuring side, not the bank, shaped them. No guarantee was seen broken.",
            Tone::Bad,
        ),
        (ValidityVerdict::Inconclusive, _, _) => (
            "This run does not settle the question",
            "It was interrupted, or something that had to be seen was not. No guarantee was seen broken, but that is not a pass.",
            Tone::Warn,
        ),
        (_, GuaranteeVerdict::Unknown, _) => (
            "Not every guarantee could be checked",
            "At least one check could not look at what it needed. No guarantee was seen broken, but that is not a pass.",
            Tone::Warn,
        ),
        (_, _, SloVerdict::Missed) => (
            "The bank was correct, but too slow",
            "Every guarantee that was checked held. At least one objective was missed.",
            Tone::Bad,
        ),
        (_, _, SloVerdict::Unmeasured) => (
            "The bank kept its guarantees",
            "Every guarantee that was checked held. Objectives were not measured.",
            Tone::Good,
        ),
        (_, _, SloVerdict::Met) if run.slo.objectives.is_empty() => (
            "The bank kept its guarantees",
            "Every guarantee that was checked held, and the figures may be believed. No objective was set, so its speed was not judged.",
            Tone::Good,
        ),
        (_, _, SloVerdict::Met) => (
            "The bank kept its guarantees and was fast enough",
            "Every guarantee that was checked held, every objective was met, and the figures may be believed.",
            Tone::Good,
        ),
    }
}

/// What each of the three verdicts says, in a sentence.
pub(crate) fn meanings(run: &RunJson) -> [&'static str; 3] {
    let validity = match run.validity.verdict {
        ValidityVerdict::Valid => "The measuring side kept up, so the figures speak of the bank.",
        ValidityVerdict::Invalid => "The figures may not be quoted, for the reasons that are listed.",
        ValidityVerdict::Inconclusive => "It cannot be told whether the figures may be believed.",
    };
    let guarantees = match run.guarantees.verdict {
        GuaranteeVerdict::Holds => "Every row that was examined agrees with what the bank promised.",
        GuaranteeVerdict::Violated => "There is at least one counter-example.",
        GuaranteeVerdict::Unknown => "A check could not look, or has not run.",
    };
    let slo = match run.slo.verdict {
        _ if run.slo.objectives.is_empty() => "No speed objective was set.",
        SloVerdict::Met => "Every speed objective of the scenario was met.",
        SloVerdict::Missed => "At least one speed objective was missed.",
        SloVerdict::Unmeasured => "Speed was not judged, because there was nothing to judge it by.",
    };
    [validity, guarantees, slo]
}

/// What an exit code says.
pub(crate) const fn exit_meaning(code: i32) -> &'static str {
    match code {
        0 => "held",
        1 => "a bug in Bankstorm",
        2 => "usage or file error",
        3 => "the environment did not come up, or was lost",
        4 => "invalid, inconclusive, or a guarantee unknown",
        5 => "an objective missed",
        6 => "a guarantee violated",
        _ => "unknown code",
    }
}

/// The latencies in the order of reports: key, label, from -> to, and what it tells.
pub(crate) const LATENCIES: [(&str, &str, &str, &str); 5] = [
    ("response", "response", "due to answered", "what a customer waits, queueing in front of the bank included"),
    ("service", "service", "sent to answered", "what the bank itself took"),
    ("send_lag", "send lag", "due to sent", "how late the load generator was: its own error"),
    ("sync_lag", "sync lag", "answered to visible", "how long the channel's copy trailed the ledger"),
    ("visible", "visible", "due to visible", "until the deposit could be seen in the channel's history"),
];

/// The heading of what each process used.
pub(crate) const PROCESSES: &str = "Processes: CPU of the measured phase, most memory until the copy had converged";

/// A figure in milliseconds with three meaningful digits, from microseconds.
pub(crate) fn ms(us: u64) -> String {
    let value = us as f64 / 1000.0;
    match us {
        0..1_000 => format!("{value:.3}"),
        1_000..9_995 => format!("{value:.2}"),
        9_995..99_950 => format!("{value:.1}"),
        _ => count((us + 500) / 1000),
    }
}

/// A limit or a figure of an objective in its unit: milliseconds, `3.00x`, a count.
pub(crate) fn amount(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Us => ms(value),
        // Rounded up: what is over its limit does not read like it.
        Unit::Permille => format!("{:.2}x", value.div_ceil(10) as f64 / 100.0),
        Unit::Count => count(value),
    }
}

/// A count with thousands separated: `6,000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span in seconds, from milliseconds: `20.0 s`, `4 min 05 s`.
pub(crate) fn span(ms: i64) -> String {
    let tenths = (ms.max(0) + 50) / 100;
    if tenths < 1200 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (ms + 500) / 1000;
    if seconds < 7200 {
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60)
}

/// Text from outside, without control characters (a witness may quote a log line that carries terminal codes).
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Escaped for XML and HTML, control characters removed.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // The two code points that XML forbids beside the control characters.
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn without_objectives_none_is_said_to_be_met() {
        let (headline, meaning, _) = headline(&fixture::unasked());
        assert!(!headline.contains("fast") && !meaning.contains("every objective was met"), "{headline}: {meaning}");
        assert!(meaning.contains("No objective was set"), "{meaning}");
        assert_eq!(meanings(&fixture::unasked())[2], "No speed objective was set.");
        assert!(meanings(&fixture::held())[2].contains("was met"));
    }

    #[test]
    fn milliseconds_keep_three_digits_and_group_thousands() {
        let figures = [0, 31, 999, 1_000, 9_994, 9_995, 12_340, 99_949, 99_950, 123_456, 1_234_567].map(ms);
        assert_eq!(figures, ["0.000", "0.031", "0.999", "1.00", "9.99", "10.0", "12.3", "99.9", "100", "123", "1,235"]);
    }

    #[test]
    fn spans_change_units_as_they_grow() {
        assert_eq!(
            [0, 20_049, 119_900, 245_000, 7_380_000].map(span),
            ["0.0 s", "20.0 s", "119.9 s", "4 min 05 s", "2 h 03 min"]
        );
    }

    #[test]
    fn escaping_leaves_no_markup_and_no_control_characters() {
        assert_eq!(escape("<b a='\"'>&\u{1b}[31m\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp; [31m ");
    }
}
