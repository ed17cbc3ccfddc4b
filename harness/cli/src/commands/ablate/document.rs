//! What came of the rows as `ablate.json`.
//!
//! In: what was asked for, rows with what was tried of each. Out: [`AblateJson`] with verdict and exit code, names of the plans' files.
//! Elsewhere: its form (`record::ablate_json`).

use bankstorm_record::ablate_json::{
    AblateJson, AblateVerdict, AblatedRow, FalseAlarm, Finding, FirstHit, Repair, RowVerdict, SCHEMA, SeedRange,
};
use bankstorm_record::simulate_json::{Violated, ViolatedSeeds};
use bankstorm_simulator::ablate::{Hit, Row, Setting, rows};
use bankstorm_simulator::world::Violation;

use super::{Asked, Done};
use crate::run::open::build;

/// When it began, and what it cost.
pub(super) struct Took {
    /// RFC 3339, UTC.
    pub(super) started_at: String,
    /// Real time.
    pub(super) seconds: f64,
}

/// The document.
pub(super) fn of(asked: &Asked, done: &[Done], took: Took) -> AblateJson {
    let rows: Vec<AblatedRow> = done.iter().map(row).collect();
    let verdict = verdict(&rows);
    AblateJson {
        schema: SCHEMA,
        bankstorm: build(),
        started_at: took.started_at,
        verdict,
        exit_code: exit_code(verdict),
        seeds: SeedRange { from: asked.seeds.start, to: asked.seeds.end },
        hits: asked.hits,
        only: asked.only.clone(),
        jobs: asked.jobs as u64,
        seconds: took.seconds,
        rows,
    }
}

/// What was not shown is told also where others were cut short: more seeds would not change it.
fn verdict(rows: &[AblatedRow]) -> AblateVerdict {
    let any = |verdict: RowVerdict| rows.iter().any(|row| row.verdict == verdict);
    if any(RowVerdict::NotShown) || any(RowVerdict::FalseAlarm) {
        AblateVerdict::NotShown
    } else if any(RowVerdict::CutShort) {
        AblateVerdict::Interrupted
    } else {
        AblateVerdict::Shown
    }
}

const fn exit_code(verdict: AblateVerdict) -> i32 {
    match verdict {
        AblateVerdict::Shown => 0,
        AblateVerdict::NotShown | AblateVerdict::Interrupted => 4,
    }
}

fn row(done: &Done) -> AblatedRow {
    let Done { row, setting, tried, seconds, .. } = done;
    AblatedRow {
        protection: row.protection.to_owned(),
        arm: row.arm.to_owned(),
        about: row.about.to_owned(),
        repair: repair(*setting),
        expects: row.fires.iter().map(|(check, name)| finding(check, name)).collect(),
        verdict: row_verdict(done),
        tried: tried.seeds,
        hits: tried.hits,
        first: tried.first.as_ref().map(|hit| first(done, hit)),
        found_with_it: tried.found_with_it,
        found: tried
            .found
            .iter()
            .map(|((check, name), seeds)| ViolatedSeeds { check: check.clone(), name: name.clone(), seeds: *seeds })
            .collect(),
        false_alarms: false_alarms(done),
        seconds: *seconds,
    }
}

fn row_verdict(done: &Done) -> RowVerdict {
    if !done.tried.false_alarms.is_empty() {
        RowVerdict::FalseAlarm
    } else if !done.is_ended {
        RowVerdict::CutShort
    } else if done.tried.is_killed() {
        RowVerdict::Shown
    } else {
        RowVerdict::NotShown
    }
}

const fn repair(setting: Setting) -> Repair {
    match setting {
        Setting::Repaired => Repair::Repaired,
        Setting::Bare => Repair::Bare,
    }
}

fn first(done: &Done, hit: &Hit) -> FirstHit {
    FirstHit {
        seed: hit.seed,
        violated: violated(&hit.violation),
        also: hit.also.iter().map(|(check, name)| finding(check, name)).collect(),
        plan: file_of(done.row, done.setting),
    }
}

fn false_alarms(done: &Done) -> Vec<FalseAlarm> {
    let alarms = done.tried.false_alarms.iter().enumerate();
    let alarm = |(nth, (seed, violation)): (usize, &(u64, Violation))| FalseAlarm {
        seed: *seed,
        violated: violated(violation),
        plan: (nth == 0).then(|| file_with_it(done.row, done.setting)),
    };
    alarms.map(alarm).collect()
}

fn finding(check: &str, name: &str) -> Finding {
    Finding { check: check.to_owned(), name: name.to_owned() }
}

fn violated(violation: &Violation) -> Violated {
    let Violation { check, name, count, first } = violation;
    Violated { check: check.clone(), name: name.clone(), count: *count, first: first.clone() }
}

/// The file of the plan without the protection.
pub(super) fn file_of(row: &Row, setting: Setting) -> String {
    format!("{}-{}-{}.json", row.protection.to_lowercase(), row.arm, setting.as_str())
}

/// The file of the plan with every protection, where something was found in it.
pub(super) fn file_with_it(row: &Row, setting: Setting) -> String {
    format!("{}-{}-{}.with-it.json", row.protection.to_lowercase(), row.arm, setting.as_str())
}

/// Whether a file of this name is the plan of a row: exactly as [`file_of`] and [`file_with_it`] name them.
pub(super) fn is_plan(name: &str) -> bool {
    let is_of = |row: &Row, setting| name == file_of(row, setting) || name == file_with_it(row, setting);
    rows().any(|row| Setting::ALL.into_iter().any(|setting| is_of(row, setting)))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::ablate_json::{AblateJson, AblateVerdict, RowVerdict};
    use bankstorm_simulator::ablate::{Hit, Setting, Tried, rows};
    use bankstorm_simulator::world::Violation;

    use super::{Asked, Done, Took, is_plan};

    fn violation() -> Violation {
        Violation { check: "O1".to_owned(), name: "dup-key".to_owned(), count: 2, first: "twice".to_owned() }
    }

    fn done(hits: u64, is_ended: bool) -> Done {
        let hit = Hit { seed: 3, violation: violation(), also: vec![("L2".to_owned(), "overdraft".to_owned())] };
        let tried = Tried { seeds: 4, hits, first: (hits > 0).then_some(hit), ..Tried::default() };
        Done { row: rows().next().expect("a row"), setting: Setting::Bare, tried, is_ended, seconds: 0.5 }
    }

    fn alarmed() -> Done {
        let mut done = done(1, false);
        done.tried.false_alarms = vec![(3, violation()), (4, violation())];
        done
    }

    fn document(done: &[Done]) -> AblateJson {
        let asked = Asked { only: Vec::new(), seeds: 0..4, hits: 2, jobs: 1 };
        super::of(&asked, done, Took { started_at: "2026-11-22T06:00:36Z".to_owned(), seconds: 1.0 })
    }

    #[test]
    fn all_is_shown_when_each_row_is_and_what_is_not_wins_over_what_was_cut_short() {
        let (shown, not_shown, cut_short) = (|| done(2, true), || done(0, true), || done(1, false));
        for (rows, verdict, exit_code) in [
            (vec![shown(), done(1, true)], AblateVerdict::Shown, 0),
            (vec![shown(), not_shown()], AblateVerdict::NotShown, 4),
            (vec![shown(), cut_short()], AblateVerdict::Interrupted, 4),
            (vec![not_shown(), cut_short()], AblateVerdict::NotShown, 4),
            (vec![shown(), alarmed()], AblateVerdict::NotShown, 4),
        ] {
            let document = document(&rows);
            assert_eq!((document.verdict, document.exit_code), (verdict, exit_code), "{document:#?}");
        }
        let verdicts =
            document(&[shown(), not_shown(), cut_short(), alarmed()]).rows.into_iter().map(|row| row.verdict);
        let expected = [RowVerdict::Shown, RowVerdict::NotShown, RowVerdict::CutShort, RowVerdict::FalseAlarm];
        assert_eq!(verdicts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_row_names_the_plans_that_are_stored_of_it() {
        let document = document(&[alarmed(), done(0, true)]);
        let [alarmed, nothing] = &document.rows[..] else { panic!("two rows") };
        let first = alarmed.first.as_ref().expect("a seed that counts");
        assert_eq!((first.seed, first.plan.as_str(), first.also.len()), (3, "p1-none-bare.json", 1));
        let plans: Vec<_> = alarmed.false_alarms.iter().map(|alarm| alarm.plan.as_deref()).collect();
        assert_eq!(plans, [Some("p1-none-bare.with-it.json"), None]);
        assert_eq!((&nothing.first, nothing.tried), (&None, 4));
        assert!(is_plan(&first.plan) && is_plan("p1-none-bare.with-it.json"));
        for other in ["ablate.json", "machine.json", "p1-none-bare.small.json", "p1-none.json", "p99-none-bare.json"] {
            assert!(!is_plan(other), "{other}");
        }
    }
}
