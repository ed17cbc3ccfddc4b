//! `report.html`: one file that needs no network and no script.
//!
//! In: [`ReportInput`]. Out: the page. Elsewhere: its text and look (`templates/report.html`, `templates/report.css`, and `page.css`, which all
//! pages have), the charts (`html::curves`, `html::chart`, `html::lanes`), the rows (`tables`).

mod chart;
mod curves;
mod facts;
mod lanes;
mod scale;

use askama::Template;
use bankstorm_record::run_json::{CheckResult, RunJson, ValidityVerdict};

use crate::html::chart::Drawn;
use crate::html::facts::{facts, system};
use crate::html::lanes::Lane;
use crate::stored::ReportInput;
use crate::tables::{self, TextTable};
use crate::words::{self, clean, count, ms, span};
use crate::{ReportError, explain};

/// The look that all pages have; each has a style sheet of its own after it.
pub(crate) const LOOK: &str = include_str!("../templates/page.css");
/// The most text of a scenario that is shown; the file itself is in the run folder.
const SCENARIO_CHARS: usize = 20_000;
/// The most machine facts that are shown.
const FACTS: usize = 80;
/// The most faults that are shown.
const FAULTS: usize = 200;

/// The page for `input`.
///
/// # Errors
/// When the template fails, which its tests rule out for any input they know.
pub fn html(input: &ReportInput) -> Result<String, ReportError> {
    Ok(Page::of(input).render()?)
}

/// One of the three verdicts.
struct Pill {
    question: &'static str,
    word: &'static str,
    tone: &'static str,
    meaning: &'static str,
}

/// A figure that stands out.
struct Figure {
    value: String,
    unit: &'static str,
    label: String,
}

/// A phase on the time line.
struct Span {
    name: String,
    left: String,
    width: String,
    length: String,
    measured: bool,
}

/// A check that did not hold.
struct Seen<'a> {
    title: String,
    word: &'static str,
    tone: &'static str,
    meaning: &'static str,
    witness: &'a str,
    counts: String,
}

/// A check with its meaning.
struct Check<'a> {
    word: &'static str,
    tone: &'static str,
    id: &'a str,
    name: &'a str,
    meaning: &'static str,
    examined: String,
    violations: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    look: &'static str,
    css: &'static str,
    run: &'a RunJson,
    missing: &'a [String],
    switched_off: String,
    headline: &'static str,
    meaning: &'static str,
    tone: &'static str,
    pills: [Pill; 3],
    exit: String,
    duration: String,
    invalid: bool,
    figures: Vec<Figure>,
    seen: Vec<Seen<'a>>,
    beside: TextTable,
    load: TextTable,
    latency: TextTable,
    during: TextTable,
    latencies: [(&'static str, &'static str, &'static str, &'static str); 5],
    bounds: Vec<(String, String, String)>,
    charts: Vec<Drawn>,
    lanes: Vec<Lane>,
    checks: Vec<Check<'a>>,
    validity: Vec<Check<'a>>,
    spared: TextTable,
    drain: TextTable,
    followed: Vec<String>,
    objectives: TextTable,
    faults: TextTable,
    faults_left_out: usize,
    proxied: String,
    recovery: TextTable,
    parts: String,
    system: Vec<(&'static str, String)>,
    processes: TextTable,
    machine: Vec<(String, String)>,
    machine_left_out: usize,
    stand_ins: Option<&'static str>,
    spans: Vec<Span>,
    clocks: [(&'static str, &'static str); 4],
    scenario: Option<String>,
    scenario_cut: bool,
    repeat: String,
}

impl<'a> Page<'a> {
    fn of(input: &'a ReportInput) -> Self {
        let run = &input.run;
        let (headline, meaning, tone) = words::headline(run);
        let shown = &run.faults[..run.faults.len().min(FAULTS)];
        let faults = tables::faults(shown, tables::measured(run));
        let mut machine = Vec::new();
        facts(&mut machine, "", &input.machine);
        let machine_left_out = machine.len().saturating_sub(FACTS);
        machine.truncate(FACTS);
        let (charts, lanes) = curves::draw_all(input);
        let bounds = tables::upper_bounds(run).into_iter().map(|(what, bounds, all)| (what, count(bounds), count(all)));
        Self {
            look: LOOK,
            css: include_str!("../templates/report.css"),
            run,
            missing: &input.missing,
            switched_off: run.r#unsafe.join(", "),
            headline,
            meaning,
            tone: tone.class(),
            pills: pills(run),
            exit: run.exit_code.map_or_else(
                || "no exit code recorded".to_owned(),
                |code| format!("exit code {code}: {}", words::exit_meaning(code)),
            ),
            duration: run.phases.last().map_or_else(|| "unknown".to_owned(), |last| span(last.end_ms)),
            invalid: run.validity.verdict == ValidityVerdict::Invalid,
            figures: figures(run),
            seen: seen(run),
            beside: crate::beside::table(run, &input.arms),
            load: tables::load(run),
            latency: tables::latency(run),
            during: tables::during(run),
            latencies: words::LATENCIES,
            bounds: bounds.collect(),
            charts,
            lanes,
            checks: checks(tables::guarantee_checks(run)),
            validity: checks(tables::validity_checks(run)),
            spared: tables::spared(run),
            drain: tables::drain(run),
            followed: tables::followed(run),
            objectives: tables::objectives(run),
            faults,
            faults_left_out: run.faults.len() - shown.len(),
            proxied: tables::proxied(run),
            recovery: tables::recovery(run),
            parts: tables::parts(run),
            system: system(run),
            processes: tables::processes(run),
            machine,
            machine_left_out,
            stand_ins: tables::stand_ins(&input.machine),
            spans: spans(run),
            clocks: explain::CLOCKS,
            scenario: input.scenario.as_ref().map(|text| text.chars().take(SCENARIO_CHARS).collect()),
            scenario_cut: input.scenario.as_ref().is_some_and(|text| text.chars().nth(SCENARIO_CHARS).is_some()),
            repeat: format!("bankstorm run scenario.toml --env {} --seed {}", clean(&run.environment), run.seed),
        }
    }
}

fn pills(run: &RunJson) -> [Pill; 3] {
    let questions = ["Can the figures be believed?", "Did the bank keep its guarantees?", "Was it fast enough?"];
    let meanings = words::meanings(run);
    let verdicts = words::verdicts(run);
    [0, 1, 2].map(|i| Pill {
        question: questions[i],
        word: verdicts[i].0,
        tone: verdicts[i].1.class(),
        meaning: meanings[i],
    })
}

/// Counts, and the two latencies that customers feel; no latency where the run is not valid.
fn figures(run: &RunJson) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (op, counts) in &run.load {
        let mut add = |value: u64, label: &str| {
            figures.push(Figure { value: count(value), unit: "", label: format!("{op}s {label}") });
        };
        add(counts.planned, "planned");
        add(counts.ok, "answered ok");
        for (value, label) in [
            (counts.rejected, "rejected"),
            (counts.failed, "failed"),
            (counts.unknown, "in doubt at first"),
            (counts.unresolved, "never settled"),
            (counts.missed, "never sent"),
        ] {
            if value > 0 {
                add(value, label);
            }
        }
    }
    if run.validity.verdict == ValidityVerdict::Valid {
        for (op, kinds) in &run.latency_us {
            for (kind, label) in [("response", "response p99"), ("visible", "visible p99")] {
                if let Some(found) = kinds.get(kind).filter(|figures| figures.count > 0) {
                    figures.push(Figure { value: ms(found.p99), unit: "ms", label: format!("{op} {label}") });
                }
            }
        }
    }
    figures
}

fn seen(run: &RunJson) -> Vec<Seen<'_>> {
    let of = |(check, witness): (&'_ CheckResult, _)| {
        let (word, tone) = words::guarantee(check.verdict);
        Seen {
            title: format!("{} {}", check.id, check.name),
            word,
            tone: tone.class(),
            meaning: explain::check(&check.id).unwrap_or_default(),
            witness,
            counts: format!("{} violations in {} examined", count(check.violations), count(check.examined)),
        }
    };
    tables::witnesses(run).into_iter().map(of).collect()
}

fn checks<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> Vec<Check<'a>> {
    let all = checks.map(|check| {
        let (word, tone) = words::guarantee(check.verdict);
        Check {
            word,
            tone: tone.class(),
            id: &check.id,
            name: &check.name,
            meaning: explain::check(&check.id).unwrap_or_default(),
            examined: count(check.examined),
            violations: count(check.violations),
        }
    });
    all.collect()
}

fn spans(run: &RunJson) -> Vec<Span> {
    let from = run.phases.iter().map(|phase| phase.start_ms).min().unwrap_or(0);
    let to = run.phases.iter().map(|phase| phase.end_ms).max().unwrap_or(0);
    let percent = |ms: i64| format!("{:.2}", 100.0 * ms as f64 / (to - from).max(1) as f64);
    let phases = run.phases.iter().map(|phase| Span {
        name: phase.name.replace('_', " "),
        left: percent(phase.start_ms - from),
        width: percent(phase.end_ms - phase.start_ms),
        length: span(phase.end_ms - phase.start_ms),
        measured: phase.name == "measure",
    });
    phases.collect()
}

#[cfg(test)]
mod tests {
    use bankstorm_record::marks::SampleRow;

    use super::*;
    use crate::fixture;

    fn page(run: RunJson) -> String {
        html(&fixture::input(run)).expect("a page")
    }

    #[test]
    fn it_asks_nothing_of_the_network_and_runs_no_script() {
        for run in
            [fixture::held(), fixture::invalid(), fixture::violated(), fixture::faulted(), fixture::inconclusive()]
        {
            let page = page(run);
            for sign in
                ["http://", "https://", "src=", "href=", "<link", "<script", "<iframe", "@import", "url(", "//cdn"]
            {
                assert!(!page.contains(sign), "{sign}");
            }
            assert!(page.contains(LOOK) && page.contains(".lanes{"), "the look of all pages, and a run's own");
            assert!(page.contains("default-src 'none'"), "the browser is told to refuse requests as well");
        }
    }

    #[test]
    fn it_stays_small_for_an_hour_of_load() {
        let mut input = fixture::input(fixture::violated());
        let point = input.series[10].clone();
        input.series = (0..3600).map(|second| crate::SecondPoint { second, ..point.clone() }).collect();
        let sample = input.samples[0].clone();
        input.samples = (0..3600).map(|i| SampleRow { at_ms: 8_000 + i * 1000, ..sample.clone() }).collect();
        let size = html(&input).expect("a page").len();
        assert!(size <= 300_000, "{size} bytes");
    }

    #[test]
    fn text_from_outside_cannot_become_markup() {
        let mut run = fixture::violated();
        let hostile = "</title><script>alert(1)</script><img onerror=x>";
        run.scenario = hostile.to_owned();
        run.guarantees.checks[6].first = Some(hostile.to_owned());
        run.faults[0].kind = hostile.to_owned();
        let mut input = fixture::input(run);
        input.machine = serde_json::json!({ hostile: hostile });
        input.samples[3].process_cpu_percent.insert(hostile.to_owned(), 3.0);
        let page = html(&input).expect("a page");
        assert!(!page.contains("<script") && !page.contains("<img"));
    }

    #[test]
    fn an_invalid_run_leads_with_its_reasons_and_without_latencies() {
        let page = page(fixture::invalid());
        let head = page.split("id=\"latency\"").next().expect("the part before the table");
        assert!(head.contains("may not be used") && head.contains("send lag p99 was 41.2 ms"));
        assert!(!head.contains("response p99</"));
        assert!(page.contains("Do not quote these figures"));
    }

    #[test]
    fn checks_of_the_run_have_a_heading_of_their_own() {
        let page = page(fixture::invalid());
        let (guarantees, rest) = page
            .split_once("<h2>Guarantees</h2>")
            .expect("a heading")
            .1
            .split_once("<h2>Validity</h2>")
            .expect("another");
        assert!(guarantees.contains("<b>L1</b>") && !guarantees.contains("<b>V3</b>") && rest.contains("<b>V3</b>"));
        assert!(!page.contains("What was found"), "its only finding is among the reasons");
    }

    #[test]
    fn without_objectives_none_is_said_to_be_met() {
        let page = page(fixture::unasked());
        assert!(!page.contains("objective was met") && page.contains("No objective was set"));
        assert!(!page.contains("objective of the scenario was met"));
    }

    #[test]
    fn a_run_with_faults_shows_their_lanes_under_every_chart_and_what_they_did() {
        let page = page(fixture::faulted());
        assert_eq!(page.matches("<div class=\"lanes\">").count(), 6);
        // The lane's box and the shade in the plot are at the same place: percents here, thousandths there.
        let number = |before: &str, after: &str| -> f64 {
            let (_, rest) = page.split_once(before).expect(before);
            rest.split_once(after).expect(after).0.parse().expect("a number")
        };
        let shade = number("<rect class=\"fault\" x=\"", "\"") / 10.0;
        assert!((number("<i class=\"fault\" style=\"left:", "%") - shade).abs() < 0.01, "{shade}");
        let recovering = number("<rect class=\"fault recovering\" x=\"", "\"") / 10.0;
        assert!((number("<i class=\"recovering\" style=\"left:", "%") - recovering).abs() < 0.01, "{recovering}");
        assert!(page.contains("unplanned: node.death channel-1"));
        assert!(page.contains("<h3>By part of the run</h3>") && page.contains("<h3>Recovery</h3>"));
        assert!(page.contains("not reached") && page.contains("moment never came") && page.contains("were steady"));
        assert!(!page.contains("Through a proxy"));
        let without = self::page(fixture::held());
        assert!(!without.contains("<div class=\"lanes\">") && !without.contains("By part of the run"));
    }

    #[test]
    fn links_with_a_proxy_stand_below_the_faults() {
        let mut run = fixture::faulted();
        run.links.insert("core->kafka-1".to_owned(), "proxied".to_owned());
        let page = page(run);
        let (_, faults) = page.split_once("<h2>Faults</h2>").expect("a heading");
        let (faults, _) = faults.split_once("<h3>Recovery</h3>").expect("what comes after");
        let named = ["Through a proxy each: core-", "kafka-1. All other links were direct."];
        assert!(named.iter().all(|part| faults.contains(part)), "{faults}");
    }

    #[test]
    fn stand_ins_are_called_so_in_words() {
        let mut input = fixture::input(fixture::faulted());
        let said = "Images marked stand-in were built from distribution packages, not pulled.";
        assert!(html(&input).expect("a page").contains(said));
        input.machine["environment"]["image postgres"] = "postgres:15-bookworm sha256:5f3c".into();
        assert!(!html(&input).expect("a page").contains(said));
    }

    #[test]
    fn every_chart_can_be_read_out() {
        let page = page(fixture::held());
        let charts = page.matches("<svg ").count();
        assert_eq!(charts, 6);
        assert_eq!(page.matches("role=\"img\" aria-labelledby=").count(), charts);
        assert_eq!(page.matches("<desc ").count(), charts);
    }
}
