//! The README's table of figures: the newest published run of each scenario and environment.
//!
//! In: the lines of the index. Out: the text between two markers, and a README with it. Elsewhere: the lines (`publish::index`).
//!
//! Nothing is typed in between the markers by hand: a test holds what stands there against the index.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use bankstorm_record::published::{ArmLine, Figure, IndexLine, Kind, MachineBrief};
use bankstorm_record::save::write_atomically;

use super::{PublishError, io};
use crate::words::{self, count};

/// The line above the table.
pub const BEGIN: &str = "<!-- figures: begin -->";
/// The line below it.
pub const END: &str = "<!-- figures: end -->";

/// A README with a place for the table.
pub(super) struct Readme {
    path: PathBuf,
    /// Up to the first marker, and from the second one on.
    around: (String, String),
}

impl Readme {
    /// Finds the two markers.
    pub(super) fn open(path: &Path) -> Result<Self, PublishError> {
        let text = std::fs::read_to_string(path).map_err(io(path))?;
        let around = split(&text).ok_or_else(|| PublishError::Unmarked { path: path.to_owned() })?;
        let around = (around.0.to_owned(), around.2.to_owned());
        Ok(Self { path: path.to_owned(), around })
    }

    /// Writes the table of `lines`, whose folders lie in `results`.
    pub(super) fn rebuild(&self, lines: &[IndexLine], results: &Path) -> Result<(), PublishError> {
        let (before, after) = &self.around;
        let text = format!("{before}{}{after}", block(lines, &seen_from(&self.path, results)));
        Ok(write_atomically(&self.path, text.as_bytes())?)
    }
}

/// What stands before the table, the table itself, and what follows it; the markers stay outside of the table.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some((&text[..begin], &text[begin..end], &text[end..]))
}

/// The folder of published runs as a link in a README: from its own folder, where it lies below that.
fn seen_from(readme: &Path, results: &Path) -> String {
    let home = std::path::absolute(readme).ok().and_then(|path| path.parent().map(Path::to_owned));
    let (home, results) =
        (home.unwrap_or_default(), std::path::absolute(results).unwrap_or_else(|_| results.to_owned()));
    let below = results.strip_prefix(&home).unwrap_or(&results);
    let parts = below.components().filter(|part| *part != Component::CurDir);
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// The text between the markers, line ends around it included. `results` is the way to the published folders.
pub fn block(lines: &[IndexLine], results: &str) -> String {
    let newest = newest(lines);
    if newest.is_empty() {
        return "\nNothing is published yet: `bankstorm publish RUN` fills this table.\n".to_owned();
    }
    let mut text =
        "\n| what | environment | when | commit | machine | verdicts | figures |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for line in newest {
        text.push_str(&row(line, results));
    }
    text
}

/// Of each kind, scenario and environment the line that began last, in this order.
fn newest(lines: &[IndexLine]) -> Vec<&IndexLine> {
    let mut newest: BTreeMap<(Kind, &str, &str), &IndexLine> = BTreeMap::new();
    for line in lines {
        let best = newest.entry((line.kind, line.scenario.as_str(), line.environment.as_str())).or_insert(line);
        if line.started_at >= best.started_at {
            *best = line;
        }
    }
    newest.into_values().collect()
}

fn row(line: &IndexLine, results: &str) -> String {
    let IndexLine { run_id, scenario, environment, commit, started_at, .. } = line;
    let day = started_at.split('T').next().unwrap_or(started_at);
    format!(
        "| [{}]({results}/{run_id}/) | {} | {day} | `{commit}` | {} | {} | {} |\n",
        cell(&named(line.kind, scenario)),
        cell(environment),
        cell(&machine(&line.machine)),
        cell(&verdicts(line)),
        told(line)
    )
}

/// A run is called by its scenario alone.
fn named(kind: Kind, scenario: &str) -> String {
    let word = kind.as_str();
    if kind == Kind::Run || scenario == word { scenario.to_owned() } else { format!("{word} {scenario}") }
}

fn machine(machine: &MachineBrief) -> String {
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
fn cell(text: &str) -> String {
    words::clean(text).replace('|', "\\|").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{block, number, seen_from, split};
    use crate::publish::read_index;

    /// Figures come from published runs and from nowhere else.
    #[test]
    fn the_readme_says_what_the_index_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = std::fs::read_to_string(root.join("README.md")).expect("a README");
        let (_, stands, _) = split(&text).expect("two markers");
        let lines = read_index(&root.join("results")).expect("an index, or none");
        assert_eq!(stands, block(&lines, "results"), "`bankstorm publish` writes the table");
    }

    #[test]
    fn markers_need_an_order_and_stay() {
        assert_eq!(split("a<!-- figures: begin -->b<!-- figures: end -->c").map(|(_, table, _)| table), Some("b"));
        for text in ["", "<!-- figures: begin -->", "<!-- figures: end --><!-- figures: begin -->"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn links_are_seen_from_the_readme() {
        assert_eq!(seen_from(Path::new("README.md"), Path::new("results")), "results");
        assert_eq!(seen_from(Path::new("./README.md"), Path::new("./a/results")), "a/results");
    }

    #[test]
    fn numbers_have_three_meaningful_digits() {
        let told = [0.0, 0.0441, 1.714, 43.12, 611.4, 9_069.53, 1_000_000.0, 300.0].map(number);
        assert_eq!(told, ["0", "0.044", "1.71", "43.1", "611", "9,070", "1,000,000", "300"]);
    }
}
