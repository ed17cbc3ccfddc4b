//! When faults are in force, as far as that is known before the run.
//!
//! In: a plan. Out: the first two that overlap where they may not. Elsewhere: which exclude each other ([`Fault::excludes`]), what the
//! conductor does when they meet all the same (`bankstorm_faults::conductor`).

use std::time::Duration;

use bankstorm_faults::catalogue::Lasts;
use bankstorm_faults::plan::{Fault, Trigger};
use bankstorm_faults::rule::{Effect, Rule};

use crate::resolve::Refusal;
use crate::units::duration_text;

/// What may not be in force at the same time is one after the other; `indices` are the faults' places in the file. Only what is known
/// before the run can be refused: when an `nth` fires is not.
pub(super) fn apart(faults: &[Fault], indices: &[usize]) -> Result<(), Refusal> {
    for (index, later) in faults.iter().enumerate() {
        for (before, earlier) in faults[..index].iter().enumerate().filter(|(_, earlier)| earlier.excludes(later)) {
            let (Trigger::At(a), Trigger::At(b)) = (earlier.trigger, later.trigger) else { continue };
            let apart = if a < b { end(earlier, a) <= b } else { b < a && end(later, b) <= a };
            if !apart {
                let [index, before] = [indices[index], indices[before]];
                let message = format!(
                    "({}) overlaps fault.{before} ({}) on {}; accepted is one after the other",
                    window(later, b),
                    window(earlier, a),
                    later.place
                );
                return Err(Refusal::new(format!("fault.{index}"), message));
            }
        }
    }
    Ok(())
}

/// How long after its end what a fault holds still comes; its heal waits for that.
pub(super) fn held(fault: &Fault) -> Duration {
    match fault.rule {
        Some(Rule { effect: Effect::RequestHold(delay) | Effect::ResponseHold(delay), .. }) => delay,
        _ => Duration::ZERO,
    }
}

/// When a fault that strikes at `at` is over, as far as is known: a restart takes what it takes.
fn end(fault: &Fault, at: Duration) -> Duration {
    match (fault.lasts, fault.kind.entry().lasts) {
        (Some(lasts), _) => at + lasts + held(fault),
        (None, Lasts::Refused) => at,
        (None, _) => Duration::MAX,
    }
}

fn window(fault: &Fault, at: Duration) -> String {
    let (word, end) = (fault.kind.word(), end(fault, at));
    let at_text = duration_text(at);
    match end {
        Duration::MAX => format!("{word} from {at_text} to the heal phase"),
        end if end == at => format!("{word} at {at_text}"),
        end if held(fault).is_zero() => format!("{word} from {at_text} to {}", duration_text(end)),
        end => format!("{word} from {at_text} to {} with what it holds", duration_text(end)),
    }
}
