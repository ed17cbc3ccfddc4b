//! The summary that a run ends with on the terminal, verdict first.
//!
//! In: `run.json` and where the run folder is. Out: text of at most [`WIDTH`] columns, with ANSI colours when asked for. Elsewhere: whether
//! the terminal wants colours (`cli`), the live view.

pub(crate) mod sweep;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::run_json::{RunJson, ValidityVerdict};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::beside;
use crate::tables::{self, TextTable};
use crate::words::{self, Tone, clean};

/// The most columns a line takes; paths and commands, which must be copied whole, may be longer.
const WIDTH: usize = 100;
/// How far sections are indented.
const INDENT: &str = "  ";

/// The summary of `run`, whose reports lie in `folder`.
pub fn summary(run: &RunJson, folder: &RunFolder, colour: bool) -> String {
    let mut out = Out { text: String::new(), colour };
    out.verdict(run);
    out.reasons(run);
    out.violations(run);
    out.load(run);
    if run.validity.verdict == ValidityVerdict::Invalid && !run.latency_us.is_empty() {
        out.blank();
        out.wrapped("The run is invalid, for the reasons above. Do not quote the latencies below.", INDENT);
    }
    out.latency(run);
    out.table("Latency by part of the run (steady, fault in force, recovery)", &tables::during(run));
    out.wrapped(&tables::parts(run), INDENT);
    out.posting(run);
    out.following(run);
    out.table("Objectives", &tables::objectives(run));
    for note in tables::notes(run) {
        out.wrapped(&note, INDENT);
    }
    out.table("Guarantees", &tables::guarantees(run));
    out.table("Validity", &tables::validity(run));
    out.faults(run);
    out.table("Recovery (since the heal)", &tables::recovery(run));
    out.system(run);
    out.files(folder);
    out.text
}

/// How the summary of a run that ended as it should begins: verdicts, operations, latencies, core's posting. What may stand between them in
/// other runs, violations and parts of the run, is left out.
pub(crate) fn beginning(run: &RunJson) -> String {
    let mut out = Out { text: String::new(), colour: false };
    out.verdict(run);
    out.reasons(run);
    out.load(run);
    out.latency(run);
    out.posting(run);
    out.text
}

/// A run and its arms side by side, whose reports lie in `folder`.
pub fn side_by_side(run: &RunJson, folder: &RunFolder, colour: bool) -> String {
    let mut out = Out { text: String::new(), colour };
    let mut missing = Vec::new();
    let arms = beside::read(run, folder, &mut missing);
    out.table(&format!("{} and its arms, side by side", run.scenario), &beside::table(run, &arms));
    for beside in &arms {
        if let Some(problem) = &beside.arm.problem {
            out.item(&format!("{}: {problem}", beside.arm.name));
        }
    }
    for gap in missing {
        out.item(&gap);
    }
    out.files(folder);
    out.text
}

struct Out {
    text: String,
    colour: bool,
}

impl Out {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        if self.colour { format!("\u{1b}[1;{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        let text = if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
        self.line(&text);
    }

    fn wrapped(&mut self, text: &str, indent: &str) {
        for line in wrap(&clean(text), WIDTH - indent.len()) {
            self.line(&format!("{indent}{line}"));
        }
    }

    fn verdict(&mut self, run: &RunJson) {
        let words = words::verdicts(run).map(|(word, tone)| self.paint(tone, word)).join(" · ");
        self.line(&format!("{words}  {}  run {}", clean(&run.scenario), clean(&run.run_id)));
        let (headline, meaning, _) = words::headline(run);
        self.wrapped(&format!("{headline}. {meaning}"), INDENT);
        let ended = run.ended_at.as_deref().map_or("no end recorded".to_owned(), |at| format!("ended {at}"));
        let exit = run.exit_code.map(|code| format!(", exit code {code} ({})", words::exit_meaning(code)));
        let environment = &run.environment;
        let seed = run.seed;
        self.wrapped(
            &format!(
                "environment {environment}, seed {seed}, started {}, {ended}{}",
                run.started_at,
                exit.unwrap_or_default()
            ),
            INDENT,
        );
        if !run.r#unsafe.is_empty() {
            let line = format!("PROTECTIONS SWITCHED OFF: {}", run.r#unsafe.join(", "));
            self.wrapped(&line, INDENT);
        }
    }

    fn reasons(&mut self, run: &RunJson) {
        if run.validity.reasons.is_empty() {
            return;
        }
        self.heading("Why the run is not simply valid");
        for reason in &run.validity.reasons {
            self.item(reason);
        }
    }

    /// A text with a dash before it, its further lines under its first word.
    fn item(&mut self, text: &str) {
        for (i, line) in wrap(&clean(text), WIDTH - 4).iter().enumerate() {
            let lead = if i == 0 { "- " } else { "  " };
            self.line(&format!("{INDENT}{lead}{line}"));
        }
    }

    fn violations(&mut self, run: &RunJson) {
        let witnesses = tables::witnesses(run);
        if witnesses.is_empty() {
            return;
        }
        self.heading("First witness of each check that did not hold");
        for (check, witness) in witnesses {
            self.item(&format!("{} {}: {witness}", check.id, check.name));
        }
    }

    fn load(&mut self, run: &RunJson) {
        self.table("Deposits and other operations, measured phase", &tables::load(run));
    }

    /// Latencies, and how many of them are no measurements.
    fn latency(&mut self, run: &RunJson) {
        self.table("Latency", &tables::latency(run));
        for (what, bounds, all) in tables::upper_bounds(run) {
            let (bounds, all) = (words::count(bounds), words::count(all));
            self.wrapped(&format!("{what}: {bounds} of {all} values are upper bounds or cut-offs."), INDENT);
        }
    }

    fn posting(&mut self, run: &RunJson) {
        self.table("Core's posting, admission to commit", &tables::posting(run));
    }

    fn table(&mut self, heading: &str, table: &TextTable) {
        if table.rows.is_empty() {
            return;
        }
        self.heading(heading);
        let mut drawn = Table::new();
        drawn
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH as u16 - 1);
        drawn.set_header(table.head.iter().map(|column| clean(&column.name)));
        for row in &table.rows {
            drawn.add_row(row.cells.iter().map(|cell| Cell::new(clean(cell))));
        }
        for (column, head) in drawn.column_iter_mut().zip(&table.head) {
            if head.number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let drawn = drawn.to_string();
        // Verdict words stand in a column of their own, so that painting a finished line keeps its alignment.
        let tones: Vec<_> =
            table.rows.iter().filter_map(|row| row.tone.map(|(at, tone)| (row.cells[at].as_str(), tone))).collect();
        for line in drawn.lines() {
            let painted = tones
                .iter()
                .find(|(word, _)| line.trim_start().starts_with(word) || line.contains(&format!(" {word} ")));
            match painted {
                Some((word, tone)) => {
                    let line = line.replacen(word, &self.paint(*tone, word), 1);
                    self.line(&format!(" {line}"));
                }
                None => self.line(&format!(" {line}")),
            }
        }
    }

    /// How the channel followed core, where the run tells anything of it.
    fn following(&mut self, run: &RunJson) {
        self.table("Core, spared", &tables::spared(run));
        self.table("Backlog, worked off", &tables::drain(run));
        for told in tables::followed(run) {
            self.wrapped(&told, INDENT);
        }
    }

    /// What was broken, and on which links anything could be.
    fn faults(&mut self, run: &RunJson) {
        let heading = "Faults (seconds since measuring began)";
        let proxied = tables::proxied(run);
        if run.faults.is_empty() && !proxied.is_empty() {
            self.heading(heading);
        }
        self.table(heading, &tables::faults(&run.faults, tables::measured(run)));
        self.wrapped(&proxied, INDENT);
    }

    fn system(&mut self, run: &RunJson) {
        let processes = tables::processes(run);
        if processes.rows.is_empty() && run.system.lag_max_records.is_some() {
            self.heading("System");
        }
        self.table(words::PROCESSES, &processes);
        if let Some(lag) = run.system.lag_max_records {
            self.wrapped(&format!("highest lag in the measured phase: {} records", words::count(lag)), INDENT);
        }
    }

    fn files(&mut self, folder: &RunFolder) {
        self.blank();
        let html = folder.report_html();
        let html = html.display().to_string();
        let open = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        self.line(&format!("report  {html}"));
        self.line(&format!("open    {open} {}   (or any browser; it needs no network)", quoted(&html)));
    }
}

/// For a POSIX shell.
fn quoted(path: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if path.chars().all(harmless) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Words of `text` in lines of at most `width` characters; a longer word is broken.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + letters.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        while letters.len() > width {
            let rest = letters.split_off(width);
            lines.push(letters.into_iter().collect());
            letters = rest;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        length += letters.len();
        line.extend(letters);
    }
    if length > 0 {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::PostingSpan;

    use super::*;
    use crate::fixture;

    fn shown(run: &RunJson) -> String {
        summary(run, &RunFolder::new("runs/20261122-0600-smoke"), false)
    }

    #[test]
    fn held() {
        insta::assert_snapshot!(shown(&fixture::held()));
    }

    #[test]
    fn without_objectives() {
        let shown = shown(&fixture::unasked());
        assert!(!shown.contains("objective was met") && shown.contains("No objective was set"), "{shown}");
    }

    #[test]
    fn invalid() {
        insta::assert_snapshot!(shown(&fixture::invalid()));
    }

    #[test]
    fn violated() {
        insta::assert_snapshot!(shown(&fixture::violated()));
    }

    #[test]
    fn faulted() {
        insta::assert_snapshot!(shown(&fixture::faulted()));
    }

    #[test]
    fn inconclusive() {
        insta::assert_snapshot!(shown(&fixture::inconclusive()));
    }

    #[test]
    fn links_with_a_proxy_stand_below_the_faults() {
        for (mut run, next) in [(fixture::faulted(), "\nRecovery "), (fixture::held(), "\nProcesses: ")] {
            run.links.insert("core->kafka-1".to_owned(), "proxied".to_owned());
            let shown = shown(&run);
            let (_, faults) = shown.split_once("\nFaults (seconds since measuring began)\n").expect("a heading");
            let (faults, _) = faults.split_once(next).expect("what comes after");
            let line = "  Through a proxy each: core->kafka-1. All other links were direct.";
            assert_eq!(faults.lines().last(), Some(line), "{shown}");
        }
        assert!(!shown(&fixture::faulted()).contains("Through a proxy"));
    }

    #[test]
    fn a_sample_is_how_the_summary_begins() {
        let mut run = fixture::held();
        run.posting = vec![PostingSpan {
            from_ms: 8_000,
            to_ms: 28_000,
            offered_per_s: 300.0,
            admitted: 6_000,
            p50_us: Some(3_450),
            p99_us: Some(22_000),
        }];
        let (summary, beginning) = (shown(&run), beginning(&run));
        let rest = summary.strip_prefix(&beginning).expect("the same text");
        assert!(rest.starts_with("\nObjectives\n"), "{rest}");
        let posting = " 0.0 to 20.0        300   6,000     3.45     22.0          1.0x\n";
        assert!(beginning.ends_with(posting), "{beginning}");
    }

    #[test]
    fn colours_only_when_asked_and_without_moving_a_column() {
        for run in
            [fixture::held(), fixture::invalid(), fixture::violated(), fixture::faulted(), fixture::inconclusive()]
        {
            let folder = RunFolder::new("runs/x");
            let coloured = summary(&run, &folder, true);
            let plain = summary(&run, &folder, false);
            assert!(coloured.contains('\u{1b}') && !plain.contains('\u{1b}'));
            let mut stripped = coloured;
            for code in ["\u{1b}[1;31m", "\u{1b}[1;32m", "\u{1b}[1;33m", "\u{1b}[1m", "\u{1b}[0m"] {
                stripped = stripped.replace(code, "");
            }
            assert_eq!(stripped, plain);
        }
    }

    #[test]
    fn no_line_but_paths_is_wider_than_promised_and_no_terminal_code_gets_through() {
        let mut run = fixture::violated();
        run.guarantees.checks[0].first = Some(format!("\u{1b}[2J {}", "long words without an end ".repeat(30)));
        run.validity.reasons = vec!["x".repeat(500)];
        run.faults = fixture::faulted().faults;
        run.faults[0].witnessed = Some("a log line that says a good deal ".repeat(8));
        run.faults[1].problem = Some("not ready within 30 s; ".repeat(8));
        for line in shown(&run).lines().filter(|line| !line.starts_with("open") && !line.starts_with("report")) {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(!line.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_path_with_a_space_can_be_pasted() {
        assert_eq!(quoted("/tmp/my run/it's.html"), "'/tmp/my run/it'\\''s.html'");
    }
}
