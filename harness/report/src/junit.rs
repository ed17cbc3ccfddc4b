//! The report for test dashboards: JUnit XML.
//!
//! In: `run.json`. Out: `junit.xml`, a suite each for validity (the verdict, V2 and V3), guarantees and objectives. Elsewhere: the
//! verdicts.
//!
//! | recorded | in JUnit |
//! |---|---|
//! | invalid, violated, missed | failure |
//! | inconclusive, unknown, no end recorded | error |
//! | unmeasured | skipped |

use std::fmt::Write as _;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, RunJson, SloVerdict, Unit, ValidityVerdict};

use crate::words::{amount, escape, ms};
use crate::{explain, tables};

/// What a case came to.
enum Result {
    Passed,
    /// Kind and text.
    Failure(&'static str, String),
    Error(&'static str, String),
    Skipped(String),
}

struct Case {
    name: String,
    result: Result,
}

/// The run as JUnit XML.
pub fn junit(run: &RunJson) -> String {
    let mut suites = [
        ("validity", vec![validity(run)]),
        ("guarantees", tables::guarantee_checks(run).map(check).collect()),
        ("objectives", objectives(run).collect()),
    ];
    suites[0].1.extend(tables::validity_checks(run).map(check));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let all = totals(suites.iter().flat_map(|(_, cases)| cases));
    let _ = writeln!(out, "<testsuites name=\"{}\" {all}>", escape(&run.scenario));
    for (name, cases) in suites.iter().filter(|(_, cases)| !cases.is_empty()) {
        write_suite(&mut out, run, name, cases);
    }
    out.push_str("</testsuites>\n");
    out
}

/// The counts of some cases, as attributes.
fn totals<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.result {
            Result::Passed => {}
            Result::Failure(..) => failures += 1,
            Result::Error(..) => errors += 1,
            Result::Skipped(_) => skipped += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn write_suite(out: &mut String, run: &RunJson, name: &str, cases: &[Case]) {
    let seconds = run.phases.last().map_or(0.0, |last| last.end_ms as f64 / 1000.0);
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" {} time=\"{seconds:.3}\" timestamp=\"{}\">",
        totals(cases.iter()),
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
    for case in cases {
        let class = format!("{}.{name}", run.scenario);
        write_case(out, &class, case);
    }
    out.push_str("  </testsuite>\n");
}

fn write_case(out: &mut String, class: &str, case: &Case) {
    let head = format!("    <testcase classname=\"{}\" name=\"{}\"", escape(class), escape(&case.name));
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
    Case { name: "the run may be believed".to_owned(), result }
}

fn check(check: &CheckResult) -> Case {
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
    Case { name: format!("{} {}", check.id, check.name), result }
}

fn objectives(run: &RunJson) -> impl Iterator<Item = Case> {
    run.slo.objectives.iter().map(|objective| {
        // Times are told with their unit, ratios and counts have none.
        let told = |value: u64| match objective.unit {
            Unit::Us => format!("{} ms", ms(value)),
            unit => amount(value, unit),
        };
        let limit = told(objective.limit_us);
        let note = objective.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        // A recovery that was not reached has no time, and is missed all the same.
        let measured = objective.measured_us.map_or_else(|| "nothing: not reached".to_owned(), told);
        let result = match objective.verdict {
            SloVerdict::Met => Result::Passed,
            SloVerdict::Missed => Result::Failure("missed", format!("measured {measured}, limit {limit}{note}")),
            SloVerdict::Unmeasured => Result::Skipped(format!("unmeasured, limit {limit}{note}")),
        };
        let name = format!("{} <= {limit} during {}", objective.name, objective.during);
        Case { name, result }
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
    fn checks_of_the_run_have_a_suite_of_their_own_and_deadlocks_are_the_banks() {
        let xml = junit(&fixture::faulted());
        let suite = |name: &str| {
            let (_, rest) = xml.split_once(&format!("<testsuite name=\"{name}\"")).expect("a suite");
            rest.split_once("</testsuite>").expect("its end").0
        };
        let validity = suite("validity");
        assert!(validity.contains("name=\"V2 ") && validity.contains("name=\"V3 ") && !validity.contains("V1"));
        assert!(validity.contains("tests=\"3\""), "{validity}");
        assert!(suite("guarantees").contains("name=\"V1 deadlock\"") && !suite("guarantees").contains("V2"));
        assert!(suite("objectives").contains("recovery.lag_normal &lt;= 3,000 ms during recovery"));
        assert!(suite("objectives").contains("measured nothing"), "{xml}");
        assert!(!junit(&fixture::unasked()).contains("<testsuite name=\"objectives\""), "no suite without a case");
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
