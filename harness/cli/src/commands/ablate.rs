//! `ablate`: the bank with one protection off, over many simulated worlds, until the check that must see it missing does.
//!
//! In: a range of seeds. Out: a table on standard output, the plan of each row's first seed that counts, an exit code: 0 when each was seen
//! missing, 4 when one was not, or something was found with every protection on. Elsewhere: what counts (`simulator::ablate`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bankstorm_record::clock::monotonic_ns;
use bankstorm_simulator::ablate::{Row, Setting, Tried, ablate, rows};

use super::worlds::{STACK, THREADS, grouped, on_a_thread, span, told, write_plan};
use crate::args::AblateArgs;
use crate::error::{CliError, unusable};
use crate::output::say;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

/// A row at one setting.
type Case = (&'static Row, Setting);

/// A row with what came of it.
struct Done {
    row: &'static Row,
    setting: Setting,
    tried: Tried,
    seconds: f64,
}

/// Tries every row, tells what came of each, stores the plans.
pub(crate) async fn run(args: AblateArgs) -> Result<u8, CliError> {
    std::fs::create_dir_all(&args.out).map_err(|error| unusable(&args.out, error))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (jobs, seeds, hits) = (args.jobs.unwrap_or(cores), args.seeds.clone(), args.hits);
    let is_asked = |row: &&Row| args.only.is_empty() || args.only.iter().any(|asked| asked == row.protection);
    let cases: Vec<Case> = rows().filter(is_asked).flat_map(|row| Setting::ALL.map(|setting| (row, setting))).collect();
    let interrupt = Interrupt::listen()?;
    let phase = Display::new(args.live).phase("taking protections off, one at a time");
    let started_ns = monotonic_ns();
    let done = on_a_thread(Some(&interrupt), move |stop| try_all(&cases, &seeds, (hits, jobs), &phase, stop)).await?;
    let seconds = (monotonic_ns() - started_ns) as f64 / 1e9;
    tell(&done);
    store(&args.out, &done)?;
    let missed: Vec<_> = done.iter().filter(|done| !done.tried.is_killed()).map(name).collect();
    let verdict = match (missed.is_empty(), interrupt.is_asked()) {
        (true, false) => "each protection was seen missing, and nothing where it was not".to_owned(),
        (true, true) => "interrupted; what was tried until then was seen".to_owned(),
        (false, _) => format!("NOT SHOWN: {}", missed.join(", ")),
    };
    say(&format!("{verdict} ({} in {})", rows_of(done.len()), span(seconds)));
    Ok(if missed.is_empty() && !interrupt.is_asked() { 0 } else { 4 })
}

/// The rows in their order, on several threads.
fn try_all(
    cases: &[Case],
    seeds: &Range<u64>,
    (hits, jobs): (u64, usize),
    phase: &Phase,
    stop: &AtomicBool,
) -> Vec<Done> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((index, (row, setting))) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, *cases.get(at)?)))
        {
            let started_ns = monotonic_ns();
            let tried = ablate(row, setting, seeds.clone(), hits, stop);
            let done_now = Done { row, setting, tried, seconds: (monotonic_ns() - started_ns) as f64 / 1e9 };
            let mut done = done.lock().expect("no panic while a row is handed in");
            done.insert(index, done_now);
            phase.update(&format!("{} of {} done", done.len(), rows_of(cases.len())));
        }
    };
    std::thread::scope(|scope| {
        for job in 0..jobs.min(cases.len()) {
            let thread = std::thread::Builder::new().name(format!("{THREADS}{job}")).stack_size(STACK);
            thread.spawn_scoped(scope, work).expect("a thread can be made");
        }
    });
    done.into_inner().expect("no panic while a row is handed in").into_values().collect()
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
    if tried.hits == 0 {
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

/// The plan of each row's first seed that counts, and of what was found with every protection on.
fn store(folder: &Path, done: &[Done]) -> Result<(), CliError> {
    let mut plans = 0;
    for Done { row, setting, tried, .. } in done {
        let of = format!("{}-{}-{}", row.protection.to_lowercase(), row.arm, setting.as_str());
        if let Some(hit) = &tried.first {
            write_plan(&folder.join(format!("{of}.json")), &row.without(hit.seed, *setting))?;
            plans += 1;
        }
        if let Some((seed, _)) = tried.false_alarms.first() {
            write_plan(&folder.join(format!("{of}.with-it.json")), &row.with(*seed, *setting))?;
            plans += 1;
        }
    }
    say(&format!("\n{plans} plans are stored in {0}\n    bankstorm replay {0}/FILE", folder.display()));
    Ok(())
}
