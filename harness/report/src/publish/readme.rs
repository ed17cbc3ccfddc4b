//! The README's blocks: the table of figures, with the newest published run of each scenario and environment, and where it has a place for it
//! a sample of a report.
//!
//! In: the lines of the index, the folder of published runs. Out: the text between two markers each, and a README with them. Elsewhere: the
//! lines (`publish::index`), the sample (`publish::sample`).
//!
//! Nothing is typed in between the markers by hand: a test holds what stands there against the index.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use bankstorm_record::published::{ArmLine, Figure, IndexLine, Kind, MachineBrief};
use bankstorm_record::save::write_atomically;

use super::{PublishError, io, sample};
use crate::words::{self, count};

/// Where the table stands; without it a README is refused.
const FIGURES: Place =
    Place { what: "the table of figures", begin: "<!-- figures: begin -->", end: "<!-- figures: end -->" };
/// Where the sample stands, in a README that has one.
const SAMPLE: Place =
    Place { what: "the sample of a report", begin: "<!-- sample: begin -->", end: "<!-- sample: end -->" };

/// A block of a README: whatever is between two markers, which stay.
struct Place {
    /// What stands there, for people.
    what: &'static str,
    /// The line above it.
    begin: &'static str,
    /// The line below it.
    end: &'static str,
}

impl Place {
    /// Whether a README has it, or one of its markers at least.
    fn is_in(&self, text: &str) -> bool {
        text.contains(self.begin) || text.contains(self.end)
    }

    /// What stands before the block, the block itself, and what follows it; the markers are no part of the block.
    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
        let begin = text.find(self.begin)? + self.begin.len();
        let end = begin + text[begin..].find(self.end)?;
        Some((&text[..begin], &text[begin..end], &text[end..]))
    }
}

/// A README with a place for the table.
pub(super) struct Readme {
    path: PathBuf,
    text: String,
    /// The published folders.
    results: PathBuf,
    /// The way to them in a link.
    link: String,
}

impl Readme {
    /// Finds the markers: those of the table, and those of the sample if there is any of them; and the way to `results`, which is below.
    pub(super) fn open(path: &Path, results: &Path) -> Result<Self, PublishError> {
        let text = std::fs::read_to_string(path).map_err(io(path))?;
        let away = || PublishError::Away { readme: path.to_owned(), results: results.to_owned() };
        let link = seen_from(path, results).ok_or_else(away)?;
        let readme = Self { path: path.to_owned(), text, results: results.to_owned(), link };
        readme.around(&readme.text, &FIGURES)?;
        if SAMPLE.is_in(&readme.text) {
            readme.around(&readme.text, &SAMPLE)?;
        }
        Ok(readme)
    }

    /// Its text with the blocks of `lines`.
    pub(super) fn rebuilt(&self, lines: &[IndexLine]) -> Result<String, PublishError> {
        let text = self.filled(&self.text, &FIGURES, &block(lines, &self.link))?;
        if !SAMPLE.is_in(&text) {
            return Ok(text);
        }
        self.filled(&text, &SAMPLE, &sample::block(lines, &self.results, &self.link)?)
    }

    /// Writes `text` in its place. Where that cannot be done the index is ahead of it.
    pub(super) fn write(&self, text: &str) -> Result<(), PublishError> {
        write_atomically(&self.path, text.as_bytes()).map_err(PublishError::Stale)
    }

    /// `text` with another block in `place`.
    fn filled(&self, text: &str, place: &Place, block: &str) -> Result<String, PublishError> {
        let (before, after) = self.around(text, place)?;
        Ok(format!("{before}{block}{after}"))
    }

    /// What stands before a block and after it, markers included.
    fn around<'a>(&self, text: &'a str, place: &Place) -> Result<(&'a str, &'a str), PublishError> {
        let Place { what, begin, end } = *place;
        let unmarked = || PublishError::Unmarked { path: self.path.clone(), what, begin, end };
        let (before, _, after) = place.split(text).ok_or_else(unmarked)?;
        Ok((before, after))
    }
}

/// The folder of published runs as a link in a README: from its own folder. Nothing where it does not lie below that: the link would be
/// good on this machine alone.
fn seen_from(readme: &Path, results: &Path) -> Option<String> {
    let home = whole(std::path::absolute(readme).ok()?.parent()?)?;
    let results = whole(results)?;
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    let parts: Vec<String> = results.strip_prefix(&home).ok()?.components().map(part).collect::<Option<_>>()?;
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A path from the root and without links, as far as it is there.
fn whole(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let found = |there: &Path| Some((there.canonicalize().ok()?, path.strip_prefix(there).ok()?.to_owned()));
    let (there, rest) = path.ancestors().find_map(found)?;
    Some(if rest.as_os_str().is_empty() { there } else { there.join(rest) })
}

/// The text between the markers, line ends around it included. `results` is the way to the published folders.
fn block(lines: &[IndexLine], results: &str) -> String {
    let newest = newest(lines);
    if newest.is_empty() {
        return "\nNothing is published yet: `bankstorm publish RUN` fills this table.\n".to_owned();
    }
    let mut text =
        "\n| what | environment | when | commit, build | machine | verdicts | figures |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for line in newest {
        text.push_str(&row(line, results));
    }
    text
}

/// Of each kind, scenario and environment the line that began last, in this order. A changed scenario is another one.
fn newest(lines: &[IndexLine]) -> Vec<&IndexLine> {
    let mut newest: BTreeMap<(Kind, &str, bool, &str), &IndexLine> = BTreeMap::new();
    for line in lines {
        let IndexLine { kind, scenario, changed, environment, .. } = line;
        let best = newest.entry((*kind, scenario.as_str(), *changed, environment.as_str())).or_insert(line);
        if line.started_at >= best.started_at {
            *best = line;
        }
    }
    newest.into_values().collect()
}

fn row(line: &IndexLine, results: &str) -> String {
    let IndexLine { run_id, environment, commit, profile, started_at, .. } = line;
    let built = profile.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let commit = format!("`{commit}` {built}");
    let day = started_at.split('T').next().unwrap_or(started_at);
    format!(
        "| [{}]({results}/{run_id}/) | {} | {day} | {} | {} | {} | {} |\n",
        cell(&named(line)),
        cell(environment),
        commit.trim_end(),
        cell(&machine(&line.machine)),
        cell(&verdicts(line)),
        told(line)
    )
}

/// A run is called by its scenario alone, and says where that is not the shipped one.
fn named(line: &IndexLine) -> String {
    let IndexLine { kind, scenario, changed, .. } = line;
    let word = kind.as_str();
    let changed = if *changed { ", changed" } else { "" };
    if *kind == Kind::Run || scenario == word {
        format!("{scenario}{changed}")
    } else {
        format!("{word} {scenario}{changed}")
    }
}

/// `2 cores, A CPU, 25 GB`, as far as it is known.
pub(super) fn machine(machine: &MachineBrief) -> String {
    let cores = if machine.cores == 1 { "1 core".to_owned() } else { format!("{} cores", machine.cores) };
    let parts = [
        Some(cores),
        machine.cpu_model.clone(),
        machine.memory_bytes.map(|bytes| format!("{} GB", bytes / 1_000_000_000)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn verdicts(line: &IndexLine) -> String {
    match (&line.verdicts, line.exit_code) {
        (Some(of), _) => {
            let words = [words::validity(of.validity), words::guarantee(of.guarantees), words::slo(of.objectives)];
            words.map(|(word, _)| word).join(" · ")
        }
        (None, Some(code)) => words::exit_meaning(code).to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// Figures, what was switched off, why it should not be here, and the arms: a line each.
fn told(line: &IndexLine) -> String {
    let mut lines = Vec::new();
    lines.extend(line.anyway.as_ref().map(|why| format!("**published anyway: {}**", cell(why))));
    if !line.r#unsafe.is_empty() {
        lines.push(format!("switched off: {}", cell(&line.r#unsafe.join(", "))));
    }
    lines.push(if line.figures.is_empty() { "-".to_owned() } else { figures(&line.figures) });
    lines.extend(line.arms.iter().map(arm));
    lines.join("<br>")
}

fn arm(arm: &ArmLine) -> String {
    let shown = if arm.shown { "" } else { " NOT shown" };
    let violated = if arm.violated.is_empty() { String::new() } else { format!(" by {}", arm.violated.join(", ")) };
    let figures = if arm.figures.is_empty() { String::new() } else { format!("; {}", figures(&arm.figures)) };
    format!("*{}*: {}{}{shown}{figures}", cell(&arm.name), cell(&arm.expect), cell(&violated))
}

fn figures(figures: &[Figure]) -> String {
    let one = |Figure { name, value, unit }: &Figure| {
        let space = if unit.is_empty() || unit.starts_with('/') || unit == "x" { "" } else { " " };
        cell(&format!("{} {}{space}{unit}", name.replace(['.', '_'], " "), number(*value)))
    };
    figures.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Three meaningful digits; whole numbers as they are.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 || (value.fract() == 0.0 && value >= 0.0) => count(value.max(0.0).round() as u64),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Text that ends no cell and is no markup.
pub(super) fn cell(text: &str) -> String {
    words::clean(text).replace('|', "\\|").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FIGURES, Readme, SAMPLE, number, seen_from};
    use crate::publish::read_index;

    /// Figures come from published runs and from nowhere else.
    #[test]
    fn the_readme_says_what_the_index_and_the_published_runs_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let results = root.join("results");
        let readme = Readme::open(&root.join("README.md"), &results).expect("a README with markers");
        let lines = read_index(&results).expect("an index, or none");
        let rebuilt = readme.rebuilt(&lines).expect("whatever the sample needs");
        for place in [FIGURES, SAMPLE] {
            let stands = |text: &str| place.split(text).expect("two markers").1.to_owned();
            assert_eq!(stands(&readme.text), stands(&rebuilt), "`bankstorm publish --rebuild` writes {}", place.what);
        }
    }

    #[test]
    fn markers_need_an_order_and_stay() {
        let (before, table, after) = ("a<!-- figures: begin -->", "b", "<!-- figures: end -->c");
        assert_eq!(FIGURES.split(&format!("{before}{table}{after}")), Some((before, table, after)));
        for text in ["", "<!-- figures: begin -->", "<!-- figures: end --><!-- figures: begin -->"] {
            assert_eq!(FIGURES.split(text), None, "{text}");
        }
    }

    #[test]
    fn links_are_seen_from_the_readme() {
        let seen_from = |readme: &str, results: &str| seen_from(Path::new(readme), Path::new(results));
        for (readme, results, link) in [
            ("README.md", "results", Some("results")),
            ("./README.md", "./a/results", Some("a/results")),
            ("src/../README.md", "results", Some("results")),
            ("README.md", "src/../results", Some("results")),
            ("README.md", "absent/../results", None),
            ("README.md", ".", Some(".")),
            ("src/README.md", "results", None),
            ("README.md", "../results", None),
            ("README.md", "/results", None),
        ] {
            assert_eq!(seen_from(readme, results).as_deref(), link, "{results} from {readme}");
        }
    }

    #[test]
    fn numbers_have_three_meaningful_digits() {
        let told = [0.0, 0.0441, 1.714, 43.12, 611.4, 9_069.53, 1_000_000.0, 300.0].map(number);
        assert_eq!(told, ["0", "0.044", "1.71", "43.1", "611", "9,070", "1,000,000", "300"]);
    }
}
