//! `simulate`: many whole banks on virtual time, one a seed.
//!
//! In: a range of seeds. Out: what all came to on standard output, `simulate.json` and the plans of failing seeds, an exit code.
//! Elsewhere: the batch (`simulator::batch`), the text (`simulate::tell`), the document (`simulate::document`).

mod document;
mod tell;

use std::path::Path;
use std::sync::Mutex;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::write_machine;
use bankstorm_record::save::write_json;
use bankstorm_record::simulate_json::SimulateJson;
use bankstorm_simulator::batch::{self, Batch, Progress, Summary};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use self::document::Took;
use super::worlds::{figure, grouped, must_be_writable, on_a_thread, remove_plans, span, write_plan};
use crate::args::SimulateArgs;
use crate::error::CliError;
use crate::output::say;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

/// The document's file.
const DOCUMENT: &str = "simulate.json";

/// Runs the batch, tells what it came to, stores it.
pub(crate) async fn run(args: SimulateArgs) -> Result<u8, CliError> {
    // A folder that cannot be written to is told before the work, not after it.
    must_be_writable(&args.out)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.unwrap_or(cores);
    let batch = Batch { seeds: args.seeds.clone(), jobs, planted: args.planted, keep: args.keep };
    let interrupt = Interrupt::listen()?;
    let display = Display::new(args.live);
    let shown = Shown::new(display.phase("simulating"), args.seeds.end - args.seeds.start);
    let (started_ns, cpu_before) = (monotonic_ns(), cpu_seconds());
    let work = batch.clone();
    let summary =
        on_a_thread(Some(&interrupt), move |stop| batch::run(&work, &|progress| shown.show(progress), stop)).await?;
    let real = (monotonic_ns() - started_ns) as f64 / 1e9;
    let document = document::of(&batch, &summary, Took { real, cpu: cpu_seconds() - cpu_before }, cores);
    tell::all(&document, &args.out);
    let stored = store(&args.out, &document, &summary);
    // What was found is told, also where it could not be stored.
    say(&tell::verdict(&document));
    stored?;
    Ok(u8::try_from(document.exit_code).expect("exit codes are small"))
}

/// Processor time of this process so far, all threads, in seconds.
fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the usage of this very process");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

fn store(folder: &Path, document: &SimulateJson, summary: &Summary) -> Result<(), CliError> {
    remove_plans(folder, DOCUMENT, document::is_plan)?;
    let cannot = |error: bankstorm_record::parquet::RecordError| CliError::Usage(error.to_string());
    for failing in &summary.tally.kept {
        if let Some(plan) = &failing.plan {
            write_plan(&folder.join(document::file_of(failing.seed)), plan)?;
        }
    }
    write_machine(&RunFolder::new(folder)).map_err(cannot)?;
    write_json(folder.join(DOCUMENT), document).map_err(cannot)?;
    say(&format!("stored in {}: {DOCUMENT}, machine.json{}", folder.display(), plans(summary)));
    Ok(())
}

fn plans(summary: &Summary) -> String {
    let plans = summary.tally.kept.iter().filter(|failing| failing.plan.is_some()).count();
    if plans == 0 { String::new() } else { format!(", the plans of {plans} failing seeds") }
}

/// Progress on the display, as often as suits it.
struct Shown {
    phase: Phase,
    seeds: u64,
    started_ns: i64,
    next_ns: Mutex<i64>,
}

impl Shown {
    fn new(phase: Phase, seeds: u64) -> Self {
        let started_ns = monotonic_ns();
        Self { phase, seeds, started_ns, next_ns: Mutex::new(started_ns) }
    }

    fn show(&self, progress: &Progress) {
        let now_ns = monotonic_ns();
        let mut next_ns = self.next_ns.lock().expect("no panic while progress is shown");
        if now_ns >= *next_ns {
            let pace_ns = i64::try_from(self.phase.pace().as_nanos()).expect("seconds at most");
            *next_ns = now_ns + pace_ns;
            self.phase.update(&line(progress, self.seeds, (now_ns - self.started_ns) as f64 / 1e9));
        }
    }
}

/// `1,200 of 100,000 seeds, 190 a second, 8 min 40 s left, 0 failing`.
fn line(progress: &Progress, seeds: u64, real_seconds: f64) -> String {
    let Progress { done, failing } = *progress;
    let rate = done as f64 / real_seconds.max(1e-9);
    let left = (seeds - done) as f64 / rate.max(1e-9);
    let of = format!("{} of {} seeds", grouped(done), grouped(seeds));
    format!("{of}, {} a second, {} left, {} failing", figure(rate), span(left), grouped(failing))
}

#[cfg(test)]
mod tests {
    use bankstorm_simulator::batch::Progress;

    #[test]
    fn progress_says_how_far_how_fast_how_long_and_what_fails() {
        let line = super::line(&Progress { done: 1_900, failing: 2 }, 100_000, 10.0);
        assert_eq!(line, "1,900 of 100,000 seeds, 190 a second, 8 min 36 s left, 2 failing");
    }
}
