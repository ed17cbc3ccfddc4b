//! The ledger of a plan: where each fault stands, and what each step makes of it. No clock and no await in here.
//!
//! In: steps that begin, and what came of them. Out: the new [`FaultState`], and what is to follow. Elsewhere: the steps themselves
//! (`conductor`).
//!
//! A place is in the hands of one fault at a time, until that fault is healed: two heals would undo each other's work. On a link that
//! goes for each kind ([`Fault::excludes`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::FaultState;
use crate::catalogue::Lasts;
use crate::nodes::{Healed, Witness};
use crate::plan::Fault;

pub(super) struct Ledger {
    parts: Mutex<Vec<Part>>,
}

struct Part {
    fault: Fault,
    stage: Stage,
    state: FaultState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its trigger has not come.
    Waiting,
    /// Its strike is under way, or was when the future was dropped.
    Striking,
    /// It may have its hands on the place, and must be healed.
    Struck,
    /// Its heal is under way, or was when the future was dropped.
    Healing,
    /// Nothing is left to be done.
    Over,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The strike, or as long as the fault lasts.
    Last,
    /// The heal, at once.
    Heal,
    /// Nothing.
    Over,
}

/// What a step made of a fault.
pub(super) struct Stepped {
    pub(super) state: FaultState,
    pub(super) next: Step,
}

impl Ledger {
    pub(super) fn new(plan: &[Fault]) -> Self {
        let parts = plan
            .iter()
            .map(|fault| Part {
                fault: fault.clone(),
                stage: Stage::Waiting,
                state: FaultState {
                    id: fault.id.clone(),
                    kind: fault.kind.word(),
                    place: fault.place.clone(),
                    fired: false,
                    started_ns: None,
                    witnessed: None,
                    healed_ns: None,
                    heal_witness: None,
                    problem: None,
                },
            })
            .collect();
        Self { parts: Mutex::new(parts) }
    }

    /// Steps are plain assignments, so what a panic elsewhere leaves is whole.
    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plan(&self) -> Vec<Fault> {
        self.parts().iter().map(|part| part.fault.clone()).collect()
    }

    pub(super) fn states(&self) -> Vec<FaultState> {
        self.parts().iter().map(|part| part.state.clone()).collect()
    }

    /// The id of the fault that has its hands on `place`.
    #[cfg(test)]
    pub(super) fn holder(&self, place: &str) -> Option<String> {
        let parts = self.parts();
        parts.iter().find(|part| part.fault.place == place && part.holds()).map(|part| part.fault.id.clone())
    }

    /// Those of matching places that fired and are not healed.
    pub(super) fn unhealed(&self, matches: impl Fn(&str) -> bool) -> Vec<usize> {
        let parts = self.parts();
        let open = parts.iter().enumerate().filter(|(_, part)| part.holds() && matches(&part.fault.place));
        open.map(|(index, _)| index).collect()
    }

    /// Takes the place, before anything is done to it.
    pub(super) fn begin_strike(&self, index: usize, now_ns: i64) -> Stepped {
        let mut parts = self.parts();
        let taken = holder(&parts, &parts[index].fault);
        let part = &mut parts[index];
        let Some(holder) = taken else {
            part.stage = Stage::Striking;
            part.state.fired = true;
            part.state.started_ns = Some(now_ns);
            return part.stepped(Step::Last);
        };
        let message = format!("did not strike: {holder} still had its hands on {}", part.fault.place);
        part.problem(&message);
        part.stage = Stage::Over;
        part.stepped(Step::Over)
    }

    pub(super) fn end_strike(&self, index: usize, struck: Result<Witness, String>) -> Stepped {
        let mut parts = self.parts();
        let part = &mut parts[index];
        part.stage = Stage::Struck;
        match struck {
            // What takes no `lasts` ends by itself, and its witness has seen the end.
            Ok(witness) if part.fault.kind.entry().lasts == Lasts::Refused => {
                part.state.witnessed = Some(witness.what.clone());
                part.healed(witness);
                part.stepped(Step::Over)
            }
            Ok(witness) => {
                part.state.witnessed = Some(witness.what);
                part.stepped(Step::Last)
            }
            // Without a witness the run shows nothing any more; half a strike is not left in the way of the rest.
            Err(reason) => {
                part.problem(&format!("the strike failed: {reason}"));
                part.stepped(Step::Heal)
            }
        }
    }

    pub(super) fn begin_heal(&self, index: usize) -> Fault {
        let mut parts = self.parts();
        let part = &mut parts[index];
        part.stage = Stage::Healing;
        part.fault.clone()
    }

    pub(super) fn end_heal(&self, index: usize, healed: Result<Healed, String>) -> (FaultState, Result<(), String>) {
        let mut parts = self.parts();
        let part = &mut parts[index];
        let outcome = match healed {
            Ok(Healed { witness, ended_early }) => {
                // Nothing is left to be healed, but it did not last as planned.
                if let Some(reason) = ended_early {
                    part.problem(&format!("it ended early: {reason}"));
                }
                part.healed(witness);
                Ok(())
            }
            Err(reason) => {
                part.stage = Stage::Struck;
                part.problem(&format!("the heal failed: {reason}"));
                let Fault { id, kind, place, .. } = &part.fault;
                Err(format!("{id} ({} of {place}) could not be healed: {reason}", kind.word()))
            }
        };
        (part.state.clone(), outcome)
    }

    /// What was under way when the future was dropped is entered as such, and returned.
    pub(super) fn cut_short(&self) -> Vec<FaultState> {
        let mut cut = Vec::new();
        for part in self.parts().iter_mut() {
            let message = match part.stage {
                Stage::Striking => "the end came while it struck, so it is not known whether it did",
                Stage::Healing => "the end came while it was healed, so the heal begins again",
                Stage::Waiting | Stage::Struck | Stage::Over => continue,
            };
            part.stage = Stage::Struck;
            part.problem(message);
            cut.push(part.state.clone());
        }
        cut
    }
}

/// The id of the fault that has its hands on what `fault` is to strike.
fn holder(parts: &[Part], fault: &Fault) -> Option<String> {
    parts.iter().find(|part| part.holds() && part.fault.excludes(fault)).map(|part| part.fault.id.clone())
}

impl Part {
    fn holds(&self) -> bool {
        matches!(self.stage, Stage::Striking | Stage::Struck | Stage::Healing)
    }

    fn healed(&mut self, witness: Witness) {
        self.stage = Stage::Over;
        self.state.healed_ns = Some(witness.at_ns);
        self.state.heal_witness = Some(witness.what);
    }

    fn problem(&mut self, message: &str) {
        let problem = self.state.problem.get_or_insert_default();
        if !problem.is_empty() {
            problem.push_str("; ");
        }
        problem.push_str(message);
    }

    fn stepped(&self, next: Step) -> Stepped {
        Stepped { state: self.state.clone(), next }
    }
}
