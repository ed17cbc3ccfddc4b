//! A batch as text for people.
//!
//! In: [`SimulateJson`], the folder where the plans of failing seeds lie. Out: lines on standard output. Elsewhere: how the verdict is reached (`simulate::document`).

use std::path::Path;

use bankstorm_record::simulate_json::{BatchVerdict, FailingSeed, SimulateJson};

use crate::commands::worlds::{figure, grouped, span};
use crate::output::say;

/// Everything but the verdict.
pub(super) fn all(document: &SimulateJson, folder: &Path) {
    say("");
    figures(document);
    faults(document);
    markers(document);
    counted(document);
    failing(document, folder);
    say("");
}

fn figures(document: &SimulateJson) {
    let speed = &document.speed;
    let asked = document.seeds.to - document.seeds.from;
    let row = |name: &str, value: String| say(&format!("{name:<22} {value}"));
    let range = format!("{}..{}", document.seeds.from, document.seeds.to);
    row("seeds", format!("{} of {} ({range})", grouped(document.seeds.done), grouped(asked)));
    if let Some(planted) = &document.planted {
        row("planted on purpose", planted.clone());
    }
    row("real time", format!("{} on {} threads, {} cores", span(speed.real_seconds), speed.jobs, speed.cores));
    row("seeds a second", figure(speed.seeds_per_second));
    row("operations a second", figure(speed.operations_per_second));
    let per_cpu = figure(speed.seeds_per_cpu_second);
    row("processor time", format!("{}; {per_cpu} seeds in a second of it", span(speed.cpu_seconds)));
    row("virtual time", span(speed.virtual_seconds));
    let per_core = figure(speed.virtual_per_real_per_core);
    let per_cpu = figure(speed.virtual_per_cpu);
    let by_real = figure(speed.virtual_per_real);
    row("virtual by real", format!("{by_real}, {per_core} on one core; {per_cpu} by processor time"));
    row("operations a seed", figure(document.operations_per_seed));
    let kinds = document.fault_kinds_per_seed;
    row("fault kinds a seed", format!("{} at least, {} on average", kinds.min, figure(kinds.mean)));
    let outcomes = document.operations.iter().map(|(word, count)| format!("{word} {}", grouped(*count)));
    row("outcomes", outcomes.collect::<Vec<_>>().join(", "));
    row("digest", document.digest.clone().unwrap_or_else(|| "none: not all seeds were run".to_owned()));
}

fn faults(document: &SimulateJson) {
    if document.faults.is_empty() {
        return;
    }
    say(&format!("\n{:<26} {:>12} {:>12}", "fault", "planned", "struck"));
    for (kind, count) in &document.faults {
        say(&format!("  {kind:<24} {:>12} {:>12}", grouped(count.planned), grouped(count.struck)));
    }
}

fn markers(document: &SimulateJson) {
    if document.markers.is_empty() {
        return;
    }
    let width = document.markers.keys().map(String::len).max().unwrap_or(0).max(24);
    say(&format!("\n{:<width$}   {:>12}", "marker", "fired"));
    for (name, count) in &document.markers {
        let mark = if *count == 0 { "  <- never" } else { "" };
        say(&format!("  {name:<width$} {:>12}{mark}", grouped(*count)));
    }
}

fn counted(document: &SimulateJson) {
    if document.figures.is_empty() {
        return;
    }
    say(&format!("\n{:<26} {:>12}", "counted, not judged", "in all"));
    for (name, count) in &document.figures {
        say(&format!("  {name:<24} {:>12}", grouped(*count)));
    }
}

fn failing(document: &SimulateJson, folder: &Path) {
    if document.failing == 0 {
        return;
    }
    say(&format!("\n{:<26} {:>12}", "violated first", "seeds"));
    for violation in &document.violations {
        let what = format!("{} {}", violation.check, violation.name);
        say(&format!("  {what:<24} {:>12}", grouped(violation.seeds)));
    }
    say("");
    for seed in &document.kept {
        one(seed, document.planted.as_deref(), folder);
    }
    let more = document.failing - document.kept.len() as u64;
    if more > 0 {
        say(&format!("and {} more failing seeds; --keep tells more of them", grouped(more)));
    }
}

fn one(failing: &FailingSeed, planted: Option<&str>, folder: &Path) {
    for violation in &failing.violations {
        let times = if violation.count == 1 { String::new() } else { format!(", {} times", grouped(violation.count)) };
        say(&format!("seed {}: {} {}{times}", failing.seed, violation.check, violation.name));
        say(&format!("    {}", violation.first));
    }
    let target = match &failing.file {
        // The plan names its planted bug.
        Some(file) => folder.join(file).display().to_string(),
        None => format!("{}{}", failing.seed, planted.map_or_else(String::new, |word| format!(" --planted {word}"))),
    };
    say(&format!("    bankstorm replay {target}\n    bankstorm shrink {target}"));
}

/// The last line.
pub(super) fn verdict(document: &SimulateJson) -> String {
    let code = document.exit_code;
    let asked = document.seeds.to - document.seeds.from;
    let done = grouped(document.seeds.done);
    if let (Some(planted), 0) = (&document.planted, document.violated) {
        return format!("NOT FOUND: {planted} was planted, and violated nothing in {done} worlds. Exit code {code}");
    }
    match document.verdict {
        BatchVerdict::Green => format!("GREEN: all {done} worlds held, every declared marker fired. Exit code {code}"),
        BatchVerdict::Violated => {
            let violated = grouped(document.violated);
            match document.failing - document.violated {
                0 if document.seeds.done < asked => format!(
                    "VIOLATED: {violated} of {done} worlds did not hold, interrupted before {} more. Exit code {code}",
                    grouped(asked - document.seeds.done)
                ),
                0 => format!("VIOLATED: {violated} of {done} worlds did not hold. Exit code {code}"),
                others => format!(
                    "VIOLATED: {violated} of {done} worlds did not hold, {} more could not be judged. Exit code {code}",
                    grouped(others)
                ),
            }
        }
        BatchVerdict::Inconclusive if document.seeds.done < asked => {
            let held = match document.failing {
                0 => "what was run held".to_owned(),
                failing => format!("{} of them could not be judged", grouped(failing)),
            };
            format!("INTERRUPTED after {done} of {} seeds; {held}. Exit code {code}", grouped(asked))
        }
        BatchVerdict::Inconclusive if document.failing > 0 => {
            let failing = grouped(document.failing);
            format!("NOT GREEN: {failing} of {done} worlds could not be judged, the others held. Exit code {code}")
        }
        BatchVerdict::Inconclusive => {
            let missing = document.never_fired.join(", ");
            format!("NOT GREEN: all {done} worlds held, but these markers never fired: {missing}. Exit code {code}")
        }
    }
}
