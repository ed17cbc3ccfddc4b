//! `ablate`: the bank with one protection off, over many simulated worlds, until the check that must see it missing does.
//!
//! In: a range of seeds. Out: a table on standard output, `ablate.json`, the plan of each row's first seed that counts, an exit code: 0 when
//! each was seen missing, 4 when one was not, or something was found with every protection on, or it was interrupted. Elsewhere: what counts
//! (`simulator::ablate`), the document (`ablate::document`).

mod document;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bankstorm_record::ablate_json::{AblateJson, AblateVerdict, RowVerdict};
use bankstorm_record::clock::{monotonic_ns, rfc3339, wall_us};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::write_machine;
use bankstorm_record::save::write_json;
use bankstorm_simulator::ablate::{Row, Setting, Tried, ablate, rows};

use self::document::Took;
use super::worlds::{STACK, THREADS, grouped, must_be_writable, on_a_thread, remove_plans, span, told, write_plan};
use crate::args::AblateArgs;
use crate::error::CliError;
use crate::output::say;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

/// The document's file.
const DOCUMENT: &str = "ablate.json";

/// A row at one setting.
type Case = (&'static Row, Setting);

/// What was asked for.
#[derive(Clone)]
struct Asked {
    /// Protections; none means all.
    only: Vec<String>,
    seeds: Range<u64>,
    /// Seeds that count, of each row.
    hits: u64,
    /// Threads.
    jobs: usize,
}

/// A row with what came of it.
struct Done {
    row: &'static Row,
    setting: Setting,
    tried: Tried,
    /// Whether it has as many hits as were asked for, or tried every seed.
    is_ended: bool,
    seconds: f64,
}

/// Tries every row, tells what came of each, stores it with the plans.
pub(crate) async fn run(args: AblateArgs) -> Result<u8, CliError> {
    // A folder that cannot be written to is told before the work, not after it.
    must_be_writable(&args.out)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let asked = Asked { only: args.only, seeds: args.seeds, hits: args.hits, jobs: args.jobs.unwrap_or(cores) };
    let interrupt = Interrupt::listen()?;
    let phase = Display::new(args.live).phase("taking protections off, one at a time");
    let (started_at, started_ns) = (rfc3339(wall_us()), monotonic_ns());
    let work = asked.clone();
    let done = on_a_thread(Some(&interrupt), move |stop| try_all(&work, &phase, stop)).await?;
    let seconds = (monotonic_ns() - started_ns) as f64 / 1e9;
    let document = document::of(&asked, &done, Took { started_at, seconds });
    tell(&done);
    let stored = store(&args.out, &document, &done);
    // What was found is told, also where it could not be stored.
    say(&verdict(&document, &done));
    stored?;
    Ok(u8::try_from(document.exit_code).expect("exit codes are small"))
}

/// The rows that were asked for in their order, on several threads.
fn try_all(asked: &Asked, phase: &Phase, stop: &AtomicBool) -> Vec<Done> {
    let is_asked = |row: &&Row| asked.only.is_empty() || asked.only.iter().any(|only| only == row.protection);
    let cases: Vec<Case> = rows().filter(is_asked).flat_map(|row| Setting::ALL.map(|setting| (row, setting))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((index, (row, setting))) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, *cases.get(at)?)))
        {
            let row_done = try_one(row, setting, asked, stop);
            let mut done = done.lock().expect("no panic while a row is handed in");
            done.insert(index, row_done);
            phase.update(&format!("{} of {} done", done.len(), rows_of(cases.len())));
        }
    };
    std::thread::scope(|scope| {
        for job in 0..asked.jobs.min(cases.len()) {
            let thread = std::thread::Builder::new().name(format!("{THREADS}{job}")).stack_size(STACK);
            thread.spawn_scoped(scope, work).expect("a thread can be made");
        }
    });
    done.into_inner().expect("no panic while a row is handed in").into_values().collect()
}

fn try_one(row: &'static Row, setting: Setting, asked: &Asked, stop: &AtomicBool) -> Done {
    let started_ns = monotonic_ns();
    let tried = ablate(row, setting, asked.seeds.clone(), asked.hits, stop);
    let is_ended = tried.hits >= asked.hits || tried.seeds == asked.seeds.end - asked.seeds.start;
    Done { row, setting, tried, is_ended, seconds: (monotonic_ns() - started_ns) as f64 / 1e9 }
}

/// The last line: whether all was shown, and what was not.
fn verdict(document: &AblateJson, done: &[Done]) -> String {
    let of = |wanted: &[RowVerdict]| -> Vec<String> {
        let rows = done.iter().zip(&document.rows).filter(|(_, row)| wanted.contains(&row.verdict));
        rows.map(|(done, _)| name(done)).collect()
    };
    let told = match document.verdict {
        AblateVerdict::Shown => "each protection was seen missing, and nothing where it was not".to_owned(),
        AblateVerdict::NotShown => {
            format!("NOT SHOWN: {}", of(&[RowVerdict::NotShown, RowVerdict::FalseAlarm]).join(", "))
        }
        AblateVerdict::Interrupted => {
            format!("INTERRUPTED; until then shown: {}", rows_of(of(&[RowVerdict::Shown]).len()))
        }
    };
    format!("{told} ({} in {})", rows_of(done.len()), span(document.seconds))
}

fn rows_of(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn name(done: &Done) -> String {
    format!("{} {} {}", done.row.protection, done.row.arm, done.setting.as_str())
}

fn tell(done: &[Done]) {
    say(&format!(
        "{:<34} {:<22} {:>7} {:>7} {:>6}  also found",
        "protection, arm, copies", "seen by", "seed", "tried", "hits"
    ));
    for done in done {
        let (first, tried) = (done.tried.first.as_ref(), &done.tried);
        let seen = first.map_or("nothing".to_owned(), |hit| format!("{} {}", hit.violation.check, hit.violation.name));
        let seed = first.map_or("-".to_owned(), |hit| grouped(hit.seed));
        let also: Vec<_> =
            first.iter().flat_map(|hit| &hit.also).map(|(check, name)| format!("{check} {name}")).collect();
        let (tries, hits) = (grouped(tried.seeds), grouped(tried.hits));
        let line = format!("{:<34} {seen:<22} {seed:>7} {tries:>7} {hits:>6}  {}", name(done), also.join(", "));
        say(&format!("{}  ({})", line.trim_end(), span(done.seconds)));
    }
    for done in done {
        tell_what_is_wrong(done);
    }
}

/// A row that shows nothing, and what was found with every protection on.
fn tell_what_is_wrong(done: &Done) {
    let Done { row, tried, .. } = done;
    if tried.hits == 0 && done.is_ended {
        let expected: Vec<_> = row.fires.iter().map(|(check, name)| format!("{check} {name}")).collect();
        say(&format!("\n{}: {}\n    expected: {}", name(done), row.about, expected.join(" or ")));
        let found: Vec<_> =
            tried.found.iter().map(|((check, name), seeds)| format!("{check} {name} in {seeds}")).collect();
        say(&format!("    found: {}", if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }));
        say(&format!("    with it too: {} seeds", grouped(tried.found_with_it)));
    }
    for (seed, violation) in &tried.false_alarms {
        say(&format!("\n{}: seed {seed} does not hold with every protection: {}", name(done), told(violation)));
    }
}

/// The plan of each row's first seed that counts, and of what was found with every protection on; the document.
fn store(folder: &Path, document: &AblateJson, done: &[Done]) -> Result<(), CliError> {
    remove_plans(folder, DOCUMENT, document::is_plan)?;
    let cannot = |error: bankstorm_record::parquet::RecordError| CliError::Usage(error.to_string());
    let mut plans = 0;
    for Done { row, setting, tried, .. } in done {
        if let Some(hit) = &tried.first {
            write_plan(&folder.join(document::file_of(row, *setting)), &row.without(hit.seed, *setting))?;
            plans += 1;
        }
        if let Some((seed, _)) = tried.false_alarms.first() {
            write_plan(&folder.join(document::file_with_it(row, *setting)), &row.with(*seed, *setting))?;
            plans += 1;
        }
    }
    write_machine(&RunFolder::new(folder)).map_err(cannot)?;
    write_json(folder.join(DOCUMENT), document).map_err(cannot)?;
    say(&format!(
        "\nstored in {0}: {DOCUMENT}, machine.json, {plans} plans\n    bankstorm replay {0}/FILE",
        folder.display()
    ));
    Ok(())
}
