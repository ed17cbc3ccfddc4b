//! The report for pull-request comments: verdict first, tables after, details folded.
//!
//! In: [`ReportInput`]. Out: Markdown (`report.md`). Elsewhere: posting it anywhere.

use std::fmt::Write as _;

use bankstorm_record::run_json::{RunJson, ValidityVerdict};

use crate::beside;
use crate::stored::ReportInput;
use crate::tables::{self, TextTable};
use crate::words::{self, clean};

/// The report of a run as Markdown.
pub fn markdown(input: &ReportInput) -> String {
    let run = &input.run;
    let mut out = String::new();
    let (headline, meaning, _) = words::headline(run);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "## {} — {}\n", words::verdict_line(run), cell(&run.scenario));
    let _ = writeln!(out, "**{headline}.** {meaning}\n");
    let _ = writeln!(
        out,
        "Run `{}`, environment `{}`, seed `{}`, Bankstorm {} (`{}`, {}).",
        code(&run.run_id),
        code(&run.environment),
        run.seed,
        cell(&run.bankstorm.version),
        code(&run.bankstorm.commit),
        cell(&run.bankstorm.profile),
    );
    environment(&mut out, input);
    if !run.r#unsafe.is_empty() {
        let _ = writeln!(out, "\n**Protections switched off:** {}", cell(&run.r#unsafe.join(", ")));
    }
    list(&mut out, "Why the run is not simply valid", run.validity.reasons.iter().map(|reason| cell(reason)));
    list(
        &mut out,
        "First witness of each check that did not hold",
        tables::witnesses(run)
            .into_iter()
            .map(|(check, seen)| format!("**{} {}** {}", cell(&check.id), cell(&check.name), cell(seen))),
    );
    list(&mut out, "Not in the run folder", input.missing.iter().map(|gap| cell(gap)));
    table(&mut out, "Side by side with its arms", &beside::table(run, &input.arms));
    table(&mut out, "Operations, measured phase", &tables::load(run));
    if run.validity.verdict == ValidityVerdict::Invalid {
        out.push_str("\n> The run is invalid, for the reasons above. Do not quote its latencies.\n");
    }
    table(&mut out, "Latency", &tables::latency(run));
    for (what, bounds, all) in tables::upper_bounds(run) {
        let _ = writeln!(
            out,
            "\n{}: {} of {} values are upper bounds or cut-offs.",
            cell(&what),
            words::count(bounds),
            words::count(all)
        );
    }
    table(&mut out, "Latency by part of the run", &tables::during(run));
    let parts = tables::parts(run);
    if !parts.is_empty() {
        let _ = writeln!(out, "\n{}", cell(&parts));
    }
    table(&mut out, "Core's posting, admission to commit", &tables::posting(run));
    following(&mut out, run);
    table(&mut out, "Objectives", &tables::objectives(run));
    for note in tables::notes(run) {
        let _ = writeln!(out, "\n{}", cell(&note));
    }
    faults(&mut out, run);
    table(&mut out, words::PROCESSES, &tables::processes(run));
    folded(&mut out, "Guarantees", &tables::guarantees(run));
    folded(&mut out, "Validity", &tables::validity(run));
    let _ = writeln!(
        out,
        "\nPlan digest `{}`, faults digest `{}`, history digest `{}`.",
        digest(&run.digests.plan),
        digest(&run.digests.faults),
        digest(&run.digests.history)
    );
    out
}

/// How the channel followed core, where the run tells anything of it.
fn following(out: &mut String, run: &RunJson) {
    table(out, "Core, spared", &tables::spared(run));
    table(out, "Backlog, worked off", &tables::drain(run));
    for told in tables::followed(run) {
        let _ = writeln!(out, "\n{}", cell(&told));
    }
}

/// What was broken, on which links anything could be, and how the bank came back from it.
fn faults(out: &mut String, run: &RunJson) {
    table(out, "Faults (seconds since measuring began)", &tables::faults(&run.faults, tables::measured(run)));
    let proxied = tables::proxied(run);
    if !proxied.is_empty() {
        let _ = writeln!(out, "\n{}", cell(&proxied));
    }
    table(out, "Recovery (since the heal)", &tables::recovery(run));
}

/// What the services ran in, where they were no plain processes.
fn environment(out: &mut String, input: &ReportInput) {
    let facts: Vec<_> = tables::environment(&input.machine)
        .into_iter()
        .map(|(name, value)| format!("{} `{}`", cell(name), code(value)))
        .collect();
    if !facts.is_empty() {
        let _ = writeln!(out, "Ran in: {}.", facts.join(", "));
    }
    if let Some(text) = tables::stand_ins(&input.machine) {
        let _ = writeln!(out, "**{text}**");
    }
}

/// A digest, or a word where there is none.
fn digest(hex: &str) -> String {
    if hex.is_empty() { "none".to_owned() } else { code(hex) }
}

fn list(out: &mut String, heading: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() == 0 {
        return;
    }
    let _ = writeln!(out, "\n### {heading}\n");
    for item in items {
        let _ = writeln!(out, "- {item}");
    }
}

fn table(out: &mut String, heading: &str, table: &TextTable) {
    if table.rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### {heading}");
    pipes(out, table);
}

/// A table of checks behind its heading.
fn folded(out: &mut String, heading: &str, checks: &TextTable) {
    if checks.rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>{heading} ({} checks)</summary>", checks.rows.len());
    pipes(out, checks);
    out.push_str("\n</details>\n");
}

fn pipes(out: &mut String, table: &TextTable) {
    let head: Vec<_> = table.head.iter().map(|column| cell(&column.name)).collect();
    let rule: Vec<_> = table.head.iter().map(|column| if column.number { "---:" } else { "---" }).collect();
    let _ = writeln!(out, "\n| {} |\n| {} |", head.join(" | "), rule.join(" | "));
    for row in &table.rows {
        let cells: Vec<_> = row.cells.iter().map(|text| cell(text)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// Text that cannot become markup, a mention or a link, nor end a table's cell.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).trim().chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '|' | '`' | '*' | '[' | ']' | '\\' | '_' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// Text between backticks.
fn code(text: &str) -> String {
    clean(text).replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn held() {
        insta::assert_snapshot!(markdown(&fixture::input(fixture::held())));
    }

    #[test]
    fn without_objectives() {
        let text = markdown(&fixture::input(fixture::unasked()));
        assert!(!text.contains("objective was met") && text.contains("No objective was set"), "{text}");
    }

    #[test]
    fn invalid() {
        insta::assert_snapshot!(markdown(&fixture::input(fixture::invalid())));
    }

    #[test]
    fn violated() {
        insta::assert_snapshot!(markdown(&fixture::input(fixture::violated())));
    }

    #[test]
    fn inconclusive() {
        let mut input = fixture::input(fixture::inconclusive());
        input.missing = vec!["samples.ndjson is not there: no lag and CPU curves.".to_owned()];
        insta::assert_snapshot!(markdown(&input));
    }

    #[test]
    fn faulted() {
        insta::assert_snapshot!(markdown(&fixture::input(fixture::faulted())));
    }

    #[test]
    fn links_with_a_proxy_stand_below_the_faults() {
        let mut run = fixture::faulted();
        run.links.insert("core->kafka-1".to_owned(), "proxied".to_owned());
        let text = markdown(&fixture::input(run));
        let (_, faults) = text.split_once("\n### Faults (seconds since measuring began)\n").expect("a heading");
        let (faults, _) = faults.split_once("\n### Recovery").expect("what comes after");
        let line = "Through a proxy each: core-&gt;kafka-1. All other links were direct.";
        assert!(faults.ends_with(&format!("\n\n{line}\n")), "{faults}");
    }

    #[test]
    fn outside_text_stays_text() {
        assert_eq!(cell("a|b <img> @team `x` [l](u)"), "a\\|b &lt;img&gt; &#64;team \\`x\\` \\[l\\](u)");
    }
}
