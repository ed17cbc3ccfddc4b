//! `shrink SEED|FILE`: a smaller plan that fails the same way.
//!
//! In: a seed or a plan's file. Out: the smaller plan as a file, counts before and after on standard output; exit code 0, or 4 when it was
//! interrupted and the file is the smallest plan until then. A plan that holds is a mistake: exit code 2. Elsewhere: the search (`simulator::shrink`).

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bankstorm_record::clock::monotonic_ns;
use bankstorm_simulator::plan::Plan;
use bankstorm_simulator::shrink::{Ended, Limits, Progress, Shrunk, shrink};

use super::worlds::{grouped, on_a_thread, plan_of, span, told, write_plan};
use crate::args::{ShrinkArgs, Target};
use crate::error::{CliError, unusable};
use crate::output::say;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

/// Searches, prints, writes.
pub(crate) async fn run(args: ShrinkArgs) -> Result<u8, CliError> {
    let mut plan = plan_of(&args.target, args.planted)?;
    plan.chance = args.chance.unwrap_or(plan.chance);
    let out = args.out.unwrap_or_else(|| small(&args.target));
    must_be_writable(&out)?;
    let interrupt = Interrupt::listen()?;
    let display = Display::new(args.live);
    let phase = display.phase("shrinking");
    let started_ns = monotonic_ns();
    let large = plan.clone();
    let found = on_a_thread(Some(&interrupt), move |stop| {
        let next_ns = Mutex::new(0);
        shrink(&large, Limits::default(), &|progress| show(&phase, &next_ns, progress, stop))
    })
    .await?;
    let Some(found) = found else {
        return Err(CliError::Usage(format!("{} holds: there is nothing to shrink", name(&args.target))));
    };
    let seconds = (monotonic_ns() - started_ns) as f64 / 1e9;
    tell(&plan, &found, seconds);
    write_plan(&out, &found.plan)?;
    say(&format!("written to {0}\n    bankstorm replay {0}", out.display()));
    Ok(if found.ended == Ended::Stopped { 4 } else { 0 })
}

/// Told before the search, not after it.
fn must_be_writable(out: &Path) -> Result<(), CliError> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(unusable(out, "there is no such folder; make it, or name another file with --out"));
    }
    if out.is_dir() {
        return Err(unusable(out, "that is a folder; name a file in it with --out"));
    }
    Ok(())
}

fn show(phase: &Phase, next_ns: &Mutex<i64>, progress: &Progress, stop: &AtomicBool) -> bool {
    let now_ns = monotonic_ns();
    let mut next_ns = next_ns.lock().expect("no panic while progress is shown");
    if now_ns >= *next_ns {
        *next_ns = now_ns + i64::try_from(phase.pace().as_nanos()).expect("seconds at most");
        let Progress { doing, runs, faults, operations } = progress;
        phase.update(&format!("{doing}: {faults} faults and {operations} operations after {} runs", grouped(*runs)));
    }
    !stop.load(Ordering::Relaxed)
}

fn name(target: &Target) -> String {
    match target {
        Target::Seed(seed) => format!("seed {seed}"),
        Target::File(path) => path.display().to_string(),
    }
}

/// Where the smaller plan goes when nothing else is said.
fn small(target: &Target) -> PathBuf {
    match target {
        Target::Seed(seed) => PathBuf::from(format!("seed-{seed}.small.json")),
        Target::File(path) => path.with_extension("small.json"),
    }
}

fn tell(before: &Plan, found: &Shrunk, seconds: f64) {
    let after = &found.plan;
    say(&format!("{:<12} {:>8} {:>8}", "", "before", "after"));
    for (what, [from, to]) in [
        ("faults", [before, after].map(|plan| plan.faults.len() as u64)),
        ("operations", [before, after].map(|plan| plan.operations.len() as u64)),
        ("accounts", [before, after].map(|plan| u64::from(plan.topology.accounts))),
        ("channels", [before, after].map(|plan| u64::from(plan.topology.channels))),
        ("load, ms", [before, after].map(|plan| plan.topology.load_ms)),
    ] {
        say(&format!("{what:<12} {:>8} {:>8}", grouped(from), grouped(to)));
    }
    let why = match found.ended {
        Ended::NothingHelps => "nothing makes it smaller",
        Ended::Limits => "the search's limits were reached; shrinking its result goes on from there",
        Ended::Stopped => "interrupted; this is the smallest so far",
    };
    say(&format!("{} runs in {}: {why}", grouped(found.runs), span(seconds)));
    say(&format!("fails with {}", told(&found.violation)));
}

#[cfg(test)]
mod tests {
    use super::{Target, small};

    #[test]
    fn the_smaller_plan_lies_beside_the_larger_one() {
        assert_eq!(small(&Target::Seed(7)).to_str(), Some("seed-7.small.json"));
        assert_eq!(small(&Target::File("a/seed-7.json".into())).to_str(), Some("a/seed-7.small.json"));
    }
}
