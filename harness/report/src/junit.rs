//! The report for test dashboards: JUnit XML.
//!
//! In: `run.json`. Out: `junit.xml`, one suite a run; a case for validity, for each check, for each objective. Elsewhere: the verdicts.
//!
//! | recorded | in JUnit |
//! |---|---|
//! | invalid, violated, missed | failure |
//! | inconclusive, unknown, no end recorded | error |
//! | unmeasured | skipped |

use std::fmt::Write as _;

use bankstorm_record::run_json::{GuaranteeVerdict, RunJson, SloVerdict, ValidityVerdict};

use crate::explain;
use crate::words::{escape, ms};

/// What a case came to.
enum Result {
    Passed,
    /// Kind and text.
    Failure(&'static str, String),
    Error(&'static str, String),
    Skipped(String),
}

struct Case {
    class: &'static str,
    name: String,
    result: Result,
}

/// The run as JUnit XML.
pub fn junit(run: &RunJson) -> String {
    let mut cases = vec![validity(run)];
    cases.extend(guarantees(run));
    cases.extend(objectives(run));
    let number = |of: fn(&Result) -> bool| cases.iter().filter(|case| of(&case.result)).count();
    let failures = number(|r| matches!(r, Result::Failure(..)));
    let errors = number(|r| matches!(r, Result::Error(..)));
    let skipped = number(|r| matches!(r, Result::Skipped(_)));
    let tests = cases.len();
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"");
    let scenario = escape(&run.scenario);
    let seconds = run.phases.last().map_or(0.0, |last| last.end_ms as f64 / 1000.0);

    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<testsuites name=\"bankstorm\" {totals}>");
    let _ = writeln!(
        out,
        "  <testsuite name=\"{scenario}\" {totals} time=\"{seconds:.3}\" timestamp=\"{}\">",
        escape(&run.started_at)
    );
    let _ = writeln!(out, "    <properties>");
    let seed = run.seed.to_string();
    for (name, value) in
        [("run_id", &run.run_id), ("seed", &seed), ("plan", &run.digests.plan), ("commit", &run.bankstorm.commit)]
    {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
    }
    let _ = writeln!(out, "    </properties>");
    for case in &cases {
        write_case(&mut out, &scenario, case);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn write_case(out: &mut String, scenario: &str, case: &Case) {
    let head = format!("    <testcase classname=\"{scenario}.{}\" name=\"{}\"", case.class, escape(&case.name));
    let body = |element: &str, kind: &str, text: &str| {
        let text = escape(text);
        format!("{head}>\n      <{element} type=\"{kind}\" message=\"{text}\">{text}</{element}>\n    </testcase>")
    };
    let written = match &case.result {
        Result::Passed => format!("{head}/>"),
        Result::Failure(kind, text) => body("failure", kind, text),
        Result::Error(kind, text) => body("error", kind, text),
        Result::Skipped(text) => format!("{head}>\n      <skipped message=\"{}\"/>\n    </testcase>", escape(text)),
    };
    out.push_str(&written);
    out.push('\n');
}

fn validity(run: &RunJson) -> Case {
    let reasons = || match run.validity.reasons.is_empty() {
        true => "no reason was recorded".to_owned(),
        false => run.validity.reasons.join("; "),
    };
    let result = match run.validity.verdict {
        _ if run.ended_at.is_none() => {
            Result::Error("inconclusive", format!("no end of the run is recorded; {}", reasons()))
        }
        ValidityVerdict::Valid => Result::Passed,
        ValidityVerdict::Invalid => Result::Failure("invalid", reasons()),
        ValidityVerdict::Inconclusive => Result::Error("inconclusive", reasons()),
    };
    Case { class: "validity", name: "the run may be believed".to_owned(), result }
}

fn guarantees(run: &RunJson) -> impl Iterator<Item = Case> {
    run.guarantees.checks.iter().map(|check| {
        let text = || {
            let meaning = explain::check(&check.id).unwrap_or_default();
            let witness = check.first.as_deref().unwrap_or("no witness was recorded");
            format!("{witness} ({} violations in {} examined). {meaning}", check.violations, check.examined)
        };
        let result = match check.verdict {
            GuaranteeVerdict::Holds => Result::Passed,
            GuaranteeVerdict::Violated => Result::Failure("violated", text()),
            GuaranteeVerdict::Unknown => Result::Error("unknown", text()),
        };
        Case { class: "guarantees", name: format!("{} {}", check.id, check.name), result }
    })
}

fn objectives(run: &RunJson) -> impl Iterator<Item = Case> {
    run.slo.objectives.iter().map(|objective| {
        let limit = ms(objective.limit_us);
        let measured = objective.measured_us.map_or_else(|| "nothing".to_owned(), |us| format!("{} ms", ms(us)));
        let result = match objective.verdict {
            SloVerdict::Met => Result::Passed,
            SloVerdict::Missed => Result::Failure("missed", format!("measured {measured}, limit {limit} ms")),
            SloVerdict::Unmeasured => Result::Skipped(format!("unmeasured, limit {limit} ms")),
        };
        let name = format!("{} <= {limit} ms during {}", objective.name, objective.during);
        Case { class: "objectives", name, result }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_violation_is_a_failure_and_what_is_unknown_an_error() {
        insta::assert_snapshot!(junit(&fixture::violated()));
    }

    #[test]
    fn every_case_of_a_run_that_held_passes() {
        let xml = junit(&fixture::held());
        assert!(xml.contains("failures=\"0\" errors=\"0\" skipped=\"0\""), "{xml}");
    }

    #[test]
    fn text_from_outside_cannot_break_the_document() {
        let mut run = fixture::violated();
        run.guarantees.checks[6].first = Some("]]></failure> & \"quoted\" \u{1b}[0m \u{0}".to_owned());
        let xml = junit(&run);
        assert!(xml.contains("]]&gt;&lt;/failure&gt; &amp; &quot;quoted&quot;  [0m"), "{xml}");
        assert!(!xml.contains(|c: char| c.is_control() && c != '\n'));
    }
}
