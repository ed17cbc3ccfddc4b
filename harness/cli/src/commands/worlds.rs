//! What `simulate`, `ablate`, `replay` and `shrink` share: finding a plan, running worlds off the command's own runtime, telling what was violated,
//! folders of plans.
//!
//! In: a seed or a file. Out: plans, results, lines of text. Elsewhere: the worlds (`simulator`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use bankstorm_report::count as grouped;
use bankstorm_simulator::draw::draw;
use bankstorm_simulator::plan::{self, Plan};
use bankstorm_simulator::planted::Planted;
use bankstorm_simulator::world::Violation;

use crate::args::Target;
use crate::error::{CliError, unusable};
use crate::output::note;
use crate::stop::Interrupt;

/// Threads in which worlds run begin so; a panic there is a violation of the world, and is told as one.
pub(super) const THREADS: &str = "seeds-";
/// A thread's stack, in bytes: that of a program's first thread.
pub(super) const STACK: usize = 8 << 20;

/// The plan of a seed or of a file, with a bug planted where one is asked for.
pub(super) fn plan_of(target: &Target, planted: Option<Planted>) -> Result<Plan, CliError> {
    let mut plan = match target {
        Target::Seed(seed) => draw(*seed),
        Target::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unusable(path, error))?;
            plan::read(&text).map_err(|error| unusable(path, error))?
        }
    };
    plan.planted = planted.or(plan.planted);
    Ok(plan)
}

/// Runs something that runs worlds, on a thread of its own: a world has a runtime of its own. An interrupt raises the cell that is handed
/// to it; without one, Ctrl-C ends the process as it ends any other.
pub(super) async fn on_a_thread<T: Send + 'static>(
    interrupt: Option<&Interrupt>,
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> Result<T, CliError> {
    panics_are_violations();
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let (done, mut result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("{THREADS}main")).stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Nobody waits any more only when the process is about to end.
        let _ = done.send(work(&raised));
    });
    spawned.map_err(|error| CliError::Environment(format!("thread {THREADS}main: {error}")))?;
    let interrupted = async {
        match interrupt {
            Some(interrupt) => interrupt.asked().await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        biased;
        result = &mut result => result,
        () = interrupted => {
            stop.store(true, Ordering::Relaxed);
            result.await
        }
    };
    result.map_err(|_| {
        CliError::Bug("a simulation panicked outside of its worlds; RUST_BACKTRACE=1 tells where".to_owned())
    })
}

/// Panics in worlds say nothing on standard error, unless a backtrace is asked for.
fn panics_are_violations() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let in_a_world = std::thread::current().name().is_some_and(|name| name.starts_with(THREADS));
        if !in_a_world || std::env::var_os("RUST_BACKTRACE").is_some() {
            before(panic);
        }
    }));
}

/// A violation in two lines.
pub(super) fn told(violation: &Violation) -> String {
    let Violation { check, name, count, first } = violation;
    let times = if *count == 1 { "once".to_owned() } else { format!("{} times", grouped(*count)) };
    format!("{check} {name}, {times}\n    {first}")
}

/// A figure with as many digits as it deserves: `12,345`, `123`, `12.3`, `1.23`.
pub(super) fn figure(value: f64) -> String {
    match value {
        99.95.. => grouped(value.round() as u64),
        9.995.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A span of real or virtual time: `12.3 s`, `4 min 05 s`, `7 h 30 min`, `12 days`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{seconds:.1} s"),
        120..7_200 => format!("{} min {:02} s", whole / 60, whole % 60),
        7_200..172_800 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} days", grouped(whole / 86_400)),
    }
}

/// Makes the folder, and a file in it for a moment.
pub(super) fn must_be_writable(folder: &Path) -> Result<(), CliError> {
    let probe = folder.join(".writable");
    let tried = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&probe, ""));
    tried.and_then(|()| std::fs::remove_file(&probe)).map_err(|error| unusable(folder, error))
}

/// Removes the plans of an earlier call: a folder shows one call only. One without the command's document is none of its folders, and
/// nothing is removed from it.
pub(super) fn remove_plans(folder: &Path, document: &str, is_plan: impl Fn(&str) -> bool) -> Result<(), CliError> {
    if !folder.join(document).is_file() {
        return Ok(());
    }
    let remove = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(&is_plan) && entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(|error| unusable(folder, error))
}

/// Writes a plan's file.
pub(super) fn write_plan(path: &Path, plan: &Plan) -> Result<(), CliError> {
    bankstorm_record::save::write_atomically(path, plan::write(plan).as_bytes())
        .map_err(|error| CliError::Usage(error.to_string()))
}

/// Says that a number of things was left out of what is printed.
pub(super) fn left_out(count: u64, what: &str) {
    if count > 0 {
        note(&format!("{} {what}", grouped(count)));
    }
}

#[cfg(test)]
mod tests {
    use super::{figure, grouped, span};

    #[test]
    fn figures_are_short_and_spans_have_a_unit_that_suits() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 1.234, 12.34, 123.4, 12_345.6].map(figure), ["0.00", "1.23", "12.3", "123", "12,346"]);
        assert_eq!(
            [0.04, 119.4, 125.0, 27_000.0, 864_000.0].map(span),
            ["0.0 s", "119.4 s", "2 min 05 s", "7 h 30 min", "10 days"]
        );
    }
}
