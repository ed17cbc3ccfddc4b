//! `replay SEED|FILE`: one simulated bank again, with who did what when.
//!
//! In: a seed or a plan's file. Out: the plan in brief, the trace, the verdict on standard output; exit code 0, 4 or 6. Elsewhere: the world
//! (`simulator::world`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_record::save::hex;
use bankstorm_simulator::plan::{Action, Plan, Trigger};
use bankstorm_simulator::trace::Line;
use bankstorm_simulator::world::{self, Options, Outcome, Violation};

use super::worlds::{left_out, on_a_thread, plan_of, told};
use crate::args::ReplayArgs;
use crate::error::CliError;
use crate::output::{note, say};

/// Runs, prints, says how it ended.
pub(crate) async fn run(args: ReplayArgs) -> Result<u8, CliError> {
    let mut plan = plan_of(&args.target, args.planted)?;
    plan.chance = args.chance.unwrap_or(plan.chance);
    let options = Options { trace: !args.quiet, ..Options::default() };
    let world = plan.clone();
    let outcome = on_a_thread(None, move |_| world::run(&world, &options)).await?;
    if !args.quiet {
        brief(&plan, &outcome).iter().for_each(|line| say(line));
        trace(&args, &outcome.trace);
    }
    verdict(&outcome);
    Ok(exit_code(&outcome))
}

/// 6 when a guarantee was violated, 4 when it could not be judged whether one was.
fn exit_code(outcome: &Outcome) -> u8 {
    match outcome.violations.as_slice() {
        [] => 0,
        violations if violations.iter().any(Violation::is_broken_guarantee) => 6,
        _ => 4,
    }
}

/// What the plan is, in a few lines.
fn brief(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let topology = &plan.topology;
    let planted = plan.planted.map_or_else(String::new, |planted| format!(", planted on purpose: {}", planted.word()));
    let scrolls = plan.operations.iter().filter(|operation| matches!(operation.action, Action::Scroll { .. })).count();
    let transfers = plan.operations.iter().filter(|operation| operation.action.payment().is_some()).count();
    let deposits = plan.operations.len() - scrolls - transfers;
    let mut lines = vec![
        format!("seed {}, chance {}{planted}", plan.seed, plan.chance),
        format!(
            "{} accounts of {} won, {} channels, {} partitions; {deposits} deposits, {transfers} transfers and {scrolls} scrolls in {} ms, each way of a call up to {} ms",
            topology.accounts,
            topology.opening_won,
            topology.channels,
            topology.partitions,
            topology.load_ms,
            topology.pace_ms
        ),
        format!(
            "core: {} connections, {} posting slots, batches of {}; relay: every {} ms, {} rows",
            topology.connections,
            topology.posting_slots,
            topology.batch_max,
            topology.relay_poll_ms,
            topology.relay_rows
        ),
        format!(
            "channel: {:?}, {} workers, {} transactions, {} accounts in each; span {}, offsets every {} ms, sync cost {} ms",
            topology.worker_mode,
            topology.workers,
            topology.transactions,
            topology.batch_accounts,
            topology.span,
            topology.commit_every_ms,
            topology.sync_cost_ms
        ),
    ];
    let struck = outcome.struck.iter().copied().chain(std::iter::repeat(None));
    for (index, (fault, struck)) in plan.faults.iter().zip(struck).enumerate() {
        let when = match fault.trigger {
            Trigger::AtMs(at) => format!("at {at} ms"),
            Trigger::Nth(nth) => format!("nth {nth}"),
        };
        let lasts = if fault.lasts_ms == 0 { String::new() } else { format!(" for {} ms", fault.lasts_ms) };
        let meaning = fault.kind.needs().amount;
        let amount = if meaning.is_empty() { String::new() } else { format!(", amount {} ({meaning})", fault.amount) };
        let came = struck.map_or_else(|| "never came".to_owned(), |at| format!("struck at {}", seconds(at)));
        lines.push(format!("fault {index}: {} {} {when}{lasts}{amount}: {came}", fault.kind.word(), fault.place));
    }
    lines.push(String::new());
    lines
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// The lines that were asked for.
fn trace(args: &ReplayArgs, lines: &[Line]) {
    let wanted = |line: &&Line| args.trace_only.as_deref().is_none_or(|who| is(line.who, who));
    let chosen: Vec<_> = lines.iter().filter(wanted).collect();
    if let Some(who) = args.trace_only.as_deref().filter(|_| chosen.is_empty()) {
        let mut known: BTreeMap<&str, u64> = BTreeMap::new();
        lines.iter().for_each(|line| *known.entry(line.who).or_default() += 1);
        let known: Vec<_> = known.iter().map(|(who, lines)| format!("{who} ({lines} lines)")).collect();
        note(&format!("no line is of {who:?}; there are {}", known.join(", ")));
    }
    let skipped = args.tail.map_or(0, |tail| chosen.len().saturating_sub(tail));
    left_out(skipped as u64, "earlier lines are left out");
    chosen[skipped..].iter().for_each(|line| say(&line.to_string()));
    say("");
}

/// Whether `who` is meant by `asked`: the very name, or what stands before its number.
fn is(who: &str, asked: &str) -> bool {
    who == asked || who.strip_prefix(asked).is_some_and(|rest| rest.starts_with('-'))
}

fn verdict(outcome: &Outcome) {
    let operations: Vec<_> = outcome.operations.iter().map(|(word, count)| format!("{word} {count}")).collect();
    say(&format!("outcomes: {}; {} of virtual time", operations.join(", "), seconds(outcome.virtual_time)));
    say(&format!("digest {}", hex(&outcome.digest)));
    if outcome.holds() {
        say("HOLDS");
    }
    for violation in &outcome.violations {
        let word = if violation.is_broken_guarantee() { "VIOLATED" } else { "NOT JUDGED" };
        say(&format!("{word}: {}", told(violation)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_simulator::world::{Outcome, Violation, Watched};

    #[test]
    fn a_violation_is_6_and_what_could_not_be_judged_4() {
        let code = |found: &[(&str, &str)]| {
            let violation = |(check, name): &(&str, &str)| Violation {
                check: (*check).to_owned(),
                name: (*name).to_owned(),
                count: 1,
                first: String::new(),
            };
            super::exit_code(&Outcome {
                digest: [0; 32],
                virtual_time: Duration::ZERO,
                operations: std::collections::BTreeMap::new(),
                markers: std::collections::BTreeMap::new(),
                figures: std::collections::BTreeMap::new(),
                struck: Vec::new(),
                violations: found.iter().map(violation).collect(),
                watched: Watched::default(),
                trace: Vec::new(),
            })
        };
        assert_eq!([code(&[]), code(&[("S5", "lost-copy")]), code(&[("V1", "no-liveness")])], [0, 6, 6]);
        assert_eq!([code(&[("V3", "harness-fault")]), code(&[("S5", "unknown"), ("V3", "harness-fault")])], [4, 4]);
        assert_eq!(code(&[("V3", "harness-fault"), ("S5", "lost-copy")]), 6);
    }

    #[test]
    fn a_name_means_itself_and_its_numbered_ones() {
        assert!(super::is("channel-0", "channel") && super::is("channel-0", "channel-0") && super::is("core", "core"));
        assert!(!super::is("channel-10", "channel-1") && !super::is("core", "co"));
    }
}
