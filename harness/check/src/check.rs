//! What a check is, and how its findings become a result.
//!
//! In: a source of rows. Out: [`CheckResult`]. Elsewhere: the checks themselves (a file each), running all of them (`guarantees`).

use std::collections::BTreeMap;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};
use bankstorm_record::source::{ReadError, Source};
use serde::{Deserialize, Serialize};

use crate::following::Following;

/// What checks need besides the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The lowest balance that a customer's account may have, in won.
    pub floor_won: i64,
    /// Load was cut short (Ctrl-C, a lost database) before the copy had converged: what is not yet published or copied is then no
    /// counter-example, and whether it would have been is unknown.
    pub incomplete: bool,
    /// The load has transfers of customers: guarantees about them are judged, and need evidence to hold.
    pub transfers: bool,
    /// The load has transfers to other banks: the same for those. Goes with `transfers`.
    pub outbound: bool,
    /// Of whom a channel takes one transfer at a time; absent where nobody knows, and then it is not judged.
    pub guard: Option<Subject>,
    /// How long the channel says that core may post a transfer, in milliseconds; absent where nobody knows.
    pub validity_ms: Option<i64>,
    /// How the channel follows core; absent where nobody said: S6, S8, T3, T4, T5 and G1 are then not judged.
    pub following: Option<Following>,
    /// Core leaves no tombstone behind an answer `not received` (P6 is off): then nothing needs to stand in core beside a channel's `failed`.
    pub no_tombstones: bool,
    /// The topic got more partitions meanwhile: an account may have moved, and T2, which speaks of one partition, is not judged.
    pub topic_grew: bool,
    /// How often the clock by which pollers ask, that of the channel's database, was set forward, in any order. Whoever knows of none says none.
    pub leaps: Vec<Leap>,
}

/// Of whom a channel promises to have one transfer in progress at most, whatever sees to it (P7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Of each customer, whichever of his accounts pays.
    User,
    /// Of each account that pays.
    Account,
}

/// A clock was set forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// When, in nanoseconds since the run's origin.
    pub at_ns: i64,
    /// By how much, in nanoseconds.
    pub by_ns: i64,
}

/// One guarantee.
pub trait Check: Send + Sync {
    /// For example `L1`.
    fn id(&self) -> &'static str;
    /// For example `conserve`.
    fn name(&self) -> &'static str;
    /// What it says, with the names of its violations; for `bankstorm checks`.
    fn explains(&self) -> &'static str;

    /// Whether the load gave it anything to speak of. One that has nothing to say is left out of the results: an old run without transfers
    /// has no evidence of them, and lacks none.
    fn applies(&self, context: &Context) -> bool {
        let _ = context;
        true
    }

    /// Whether it speaks of a run that has come to rest, so that an incomplete one gives it nothing to judge.
    fn needs_rest(&self) -> bool {
        false
    }

    /// Goes over the rows and notes what it sees. An error means that it could not look to the end.
    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError>;

    /// The verdict: `violated` with a witness, `unknown` when rows could not be read or there were none, else `holds`.
    fn run(&self, source: &dyn Source, context: &Context) -> CheckResult {
        let mut tally = Tally::default();
        let end = self.fold(source, context, &mut tally);
        let result = tally.result(self.id(), self.name(), end);
        if context.incomplete && self.needs_rest() && result.verdict == GuaranteeVerdict::Violated {
            let seen = result.first.unwrap_or_default();
            let first = Some(format!("the run was cut short before the copy had converged; until then {seen}"));
            return CheckResult { verdict: GuaranteeVerdict::Unknown, first, ..result };
        }
        result
    }
}

/// What a check has seen so far. Counts saturate.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    examined: u64,
    violations: u64,
    first: Option<String>,
    figures: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// One row was examined.
    pub fn look(&mut self) {
        self.examined = self.examined.saturating_add(1);
    }

    /// A counter-example of the kind `name`; the witness is asked for the first one only.
    pub fn violated(&mut self, name: &str, witness: impl FnOnce() -> String) {
        self.violations = self.violations.saturating_add(1);
        if self.first.is_none() {
            self.first = Some(format!("{name}: {}", witness()));
        }
    }

    /// Counts under `name` what is told and not judged; with 0 it is told that there was none.
    pub fn count(&mut self, name: &'static str, more: u64) {
        let figure = self.figures.entry(name).or_default();
        *figure = figure.saturating_add(more);
    }

    /// How many rows were examined so far.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// An error unless something was found: the load has it, so that evidence without any is no evidence.
    pub fn needs(found: u64, file: &str, what: &str) -> Result<(), ReadError> {
        if found > 0 {
            return Ok(());
        }
        let problem = format!("vacuous: the load has {what}, and there is none to examine");
        Err(ReadError { file: file.to_owned(), problem })
    }

    /// How many counter-examples were found.
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// The result, given how the fold ended. What was found before rows became unreadable may be an artefact of what is missing, so it
    /// is told but does not decide.
    pub fn result(self, id: &str, name: &str, end: Result<(), ReadError>) -> CheckResult {
        let Self { examined, violations, first, figures } = self;
        let figures = figures.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let (verdict, first) = match (end, first) {
            (Err(problem), None) => (GuaranteeVerdict::Unknown, Some(problem.to_string())),
            (Err(problem), Some(seen)) => {
                let text = format!("{problem}; until then {violations} counter-examples, the first is {seen}");
                (GuaranteeVerdict::Unknown, Some(text))
            }
            (Ok(()), Some(seen)) => (GuaranteeVerdict::Violated, Some(seen)),
            (Ok(()), None) if examined == 0 => {
                (GuaranteeVerdict::Unknown, Some("vacuous: there was no row to examine".to_owned()))
            }
            (Ok(()), None) => (GuaranteeVerdict::Holds, None),
        };
        CheckResult { id: id.to_owned(), name: name.to_owned(), verdict, examined, violations, first, figures }
    }
}

/// A transfer's id as people write it.
pub(crate) fn uuid(id: u128) -> String {
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A number that may be absent, for witnesses.
pub(crate) fn shown(value: Option<i64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;
    use bankstorm_record::source::ReadError;

    use super::{Tally, uuid};

    fn broken() -> Result<(), ReadError> {
        Err(ReadError { file: "core_entry".to_owned(), problem: "row 3 is torn".to_owned() })
    }

    #[test]
    fn nothing_examined_is_unknown_not_holds() {
        let result = Tally::default().result("L1", "conserve", Ok(()));
        assert_eq!(result.verdict, GuaranteeVerdict::Unknown);
        assert!(result.first.expect("a reason").starts_with("vacuous"));
    }

    #[test]
    fn a_read_error_is_unknown_and_told_with_what_was_seen() {
        let mut tally = Tally::default();
        tally.look();
        assert_eq!(
            tally.clone().result("L1", "conserve", broken()).first.as_deref(),
            Some("core_entry: row 3 is torn")
        );
        tally.violated("wrong-total", || "sum 5".to_owned());
        let result = tally.result("L1", "conserve", broken());
        assert_eq!(result.verdict, GuaranteeVerdict::Unknown);
        assert_eq!(
            result.first.as_deref(),
            Some("core_entry: row 3 is torn; until then 1 counter-examples, the first is wrong-total: sum 5")
        );
    }

    #[test]
    fn the_first_witness_is_kept_and_all_are_counted() {
        let mut tally = Tally::default();
        tally.violated("torn", || "a".to_owned());
        tally.violated("torn", || unreachable!("only the first witness is built"));
        let result = tally.result("L4", "atomic", Ok(()));
        assert_eq!((result.verdict, result.violations), (GuaranteeVerdict::Violated, 2));
        assert_eq!(result.first.as_deref(), Some("torn: a"));
    }

    #[test]
    fn ids_are_written_as_uuids() {
        assert_eq!(uuid(0x0192_0000_0000_7000_8000_0000_0000_002a), "01920000-0000-7000-8000-00000000002a");
    }
}
