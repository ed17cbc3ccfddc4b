//! Protections taken off, one at a time: the check that docs/protections.md names sees each missing, and sees nothing where it is not.
//!
//! In: the table (`ablate::rows`). Out: a trial a row and setting, and the table. Elsewhere: what provokes each, and what counts (`ablate`); as many
//! seeds as one likes (`bankstorm ablate`).
//!
//! Seeds are tried from 0 on, and the first few that count are enough.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bankstorm_simulator::ablate::{Row, Setting, Tried, ablate, rows};
use bankstorm_simulator::plan::{Action, Plan};
use bankstorm_simulator::world::{Options, run};
use libtest_mimic::{Failed, Trial};
use tokio::time::Instant;

use crate::{SEEDS_VARIABLE, seeds};

/// Within so many seeds; others may be asked for.
const SEEDS: u64 = 200;
/// How many seeds must count.
const HITS: u64 = 3;
/// Seeds of P6 in which something was found with the protection on: a `resolve` that got no slot had said `processing` of an id that core had
/// told as completed. The trial takes from 0 on only as many as it needs, and would not come as far.
const FALSE_ALARMS: [u64; 2] = [16, 46];

pub(crate) fn trials() -> Vec<Trial> {
    let each = rows().flat_map(|row| Setting::ALL.map(|setting| (row, setting))).map(|(row, setting)| {
        let name = format!("ablation::{}_{}_{}", row.protection.to_lowercase(), row.arm, setting.as_str());
        Trial::test(name, move || judge(row, setting))
    });
    let once = Trial::test("ablation::p6_seeds_that_once_gave_a_false_alarm_hold_with_every_protection", || {
        let row = rows().find(|row| row.protection == "P6").ok_or("there is no row P6")?;
        FALSE_ALARMS.iter().try_for_each(|seed| {
            let outcome = run(&row.with(*seed, Setting::Repaired), &Options::default());
            outcome.violations.first().map_or(Ok(()), |violation| Err(format!("seed {seed}: {violation:?}").into()))
        })
    });
    let arrivals = Trial::test("ablation::p7_two_intents_of_one_customer_are_seen_too", two_intents);
    each.chain([once, arrivals, Trial::test("ablation::table", table)]).collect()
}

/// Without second devices and payments sent anew, only payments that have nothing to do with each other are left to overlap.
fn two_intents() -> Result<(), Failed> {
    for row in rows().filter(|row| row.protection == "P7") {
        let found = |mut plan: Plan| {
            for operation in &mut plan.operations {
                if let Action::Transfer { pay, .. } | Action::Outbound { pay } = &mut operation.action {
                    (pay.again, pay.resubmit) = (None, false);
                }
            }
            run(&plan, &Options::default()).violations
        };
        let without = found(row.without(0, Setting::Repaired));
        if !matches!(&without[..], [only] if only.check == "O1" && only.name == "dup-open") {
            return Err(format!("{}: {without:?}", row.arm).into());
        }
        if let [violation, ..] = &found(row.with(0, Setting::Repaired))[..] {
            return Err(format!("with the guard: {violation:?}").into());
        }
    }
    Ok(())
}

/// Each row is tried once at each setting, whichever trial asks first; others wait.
fn tried(row: &Row, setting: Setting) -> Arc<(Tried, Duration)> {
    type Once = Arc<OnceLock<Arc<(Tried, Duration)>>>;
    static TRIED: Mutex<BTreeMap<(&'static str, &'static str, Setting), Once>> = Mutex::new(BTreeMap::new());
    let once = {
        let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tried.entry((row.protection, row.arm, setting)).or_default())
    };
    Arc::clone(once.get_or_init(|| {
        let begun = Instant::now();
        let range = if std::env::var_os(SEEDS_VARIABLE).is_some() { seeds() } else { 0..SEEDS };
        Arc::new((ablate(row, setting, range, HITS, &AtomicBool::new(false)), begun.elapsed()))
    }))
}

fn judge(row: &Row, setting: Setting) -> Result<(), Failed> {
    let (tried, _) = &*tried(row, setting);
    if let Some((seed, violation)) = tried.false_alarms.first() {
        return Err(format!("seed {seed} does not hold with every protection: {violation:?}").into());
    }
    if tried.hits < HITS {
        let Tried { seeds, found, found_with_it, .. } = tried;
        let fires = row.fires;
        return Err(format!(
            "{fires:?} not in {HITS} of {seeds} seeds; found were {found:?}, {found_with_it} times with it too"
        )
        .into());
    }
    Ok(())
}

/// The table, for people: on the screen only.
fn table() -> Result<(), Failed> {
    println!("protection, arm, copies: found by, first seed, after, what else was found");
    for (row, setting) in rows().flat_map(|row| Setting::ALL.map(|setting| (row, setting))) {
        let (tried, took) = &*tried(row, setting);
        let told = tried.first.as_ref().map_or("nothing".to_owned(), |hit| {
            let also: Vec<_> = hit.also.iter().map(|(check, name)| format!("{check} {name}")).collect();
            let (check, name) = (&hit.violation.check, &hit.violation.name);
            format!("{check} {name}, seed {}, {:.1} s, {}", hit.seed, took.as_secs_f64(), also.join(", "))
        });
        println!("{}, {}, {}: {told}", row.protection, row.arm, setting.as_str());
    }
    Ok(())
}
