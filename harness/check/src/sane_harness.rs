//! V3 sane harness: the harness itself was well, and sent what was planned when it was due. A reason of validity, not a guarantee.
//!
//! In: figures of the generator, the host's clocks, log scans. Out: reasons named `harness-fault`, each with its figure and limit.
//! Elsewhere: reasons that are not the harness's (`validity`), what the machine was short of (`validity::Machine`).

use crate::validity::{Facts, Reason, STEAL_SHARE_MAX};

/// For lists and reports.
pub const ID: &str = "V3";
/// For lists and reports.
pub const NAME: &str = "sane_harness";
/// For `bankstorm checks`.
pub const EXPLAINS: &str = "No process panicked, clocks and scheduling stayed within limits, and the planned load was sent when it was due \
                            (harness-fault).";

/// Send lag p99 as a share of the tightest response objective: above, latencies are the harness's own.
pub const SEND_LAG_SHARE_MAX: f64 = 0.05;
/// The limit of send lag p99 where no response objective gives one: 5 % of 200 ms.
pub const SEND_LAG_WITHOUT_OBJECTIVE_US_MAX: u64 = 10_000;
/// CPU of the busiest generator thread, as a share of one core: above, it queues.
pub const GENERATOR_CPU_SHARE_MAX: f64 = 0.80;
/// Planned operations that were never sent, as a share. Misses enter the percentiles at the cut-off, but a plan that is not met is another
/// load than asked for; 0.2 % is what a generator may leave out and still claim a rate.
pub const MISSED_SHARE_MAX: f64 = 0.002;
/// Jump of the wall clock against the monotonic one between two samples. Figures use the monotonic clock; stamps of databases do not.
pub const WALL_STEP_US_MAX: u64 = 50_000;
/// Drift of the wall clock against the monotonic one over the whole run: a slewing clock moves 0.5 ms a second at most.
pub const WALL_DRIFT_US_MAX: u64 = 1_000_000;
/// The longest time in which the harness's own watchdog was not scheduled.
pub const STALL_US_MAX: u64 = 500_000;

/// Said of figures that leave [`Facts::disturbed`] out.
const DISTURBED: &str = ", leaving out what was due while a planned fault was in force or recovered from";

/// What was wrong with the harness.
pub fn reasons(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for hit in &facts.log_hits {
        reasons.push(fault(format!(
            "{} has {} lines that tell of a panic or a fatal error, the first: {}",
            hit.log, hit.lines, hit.first
        )));
    }
    send_lag(facts, &mut reasons);
    if let Some(share) = facts.generator_cpu_share
        && share > GENERATOR_CPU_SHARE_MAX
    {
        reasons.push(fault(format!(
            "the busiest generator thread used {} of a core, limit {}; {}",
            percent(share),
            percent(GENERATOR_CPU_SHARE_MAX),
            facts.bound_resource()
        )));
    }
    steal(facts, &mut reasons);
    load_achieved(facts, &mut reasons);
    clocks(facts, &mut reasons);
    reasons
}

/// How many figures were judged.
pub fn examined(facts: &Facts) -> u64 {
    let figures = [
        facts.send_lag_p99_us.is_some(),
        facts.generator_cpu_share.is_some(),
        facts.planned > 0,
        facts.wall_step_us.is_some(),
        facts.wall_drift_us.is_some(),
        facts.stall_max_us.is_some(),
    ];
    figures.into_iter().map(u64::from).sum::<u64>().saturating_add(facts.logs_scanned)
}

fn send_lag(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Some(lag_us) = facts.send_lag_p99_us else {
        if !facts.was_cut_short() {
            reasons.push(Reason::inconclusive("harness-fault: the send lag was not measured".to_owned()));
        }
        return;
    };
    let (limit_us, from) = facts.tightest_response_limit_us.map_or_else(
        || (SEND_LAG_WITHOUT_OBJECTIVE_US_MAX, "no response objective".to_owned()),
        |objective_us| {
            let limit_us = (objective_us as f64 * SEND_LAG_SHARE_MAX) as u64;
            (limit_us, format!("{} of the response objective of {objective_us} us", percent(SEND_LAG_SHARE_MAX)))
        },
    );
    if lag_us > limit_us {
        let aside = facts.disturbed.send_lag_p99_us;
        let aside = aside.map_or_else(String::new, |us| format!("{DISTURBED}: there it is {us} us"));
        reasons.push(fault(format!(
            "send lag p99 is {lag_us} us, limit {limit_us} us ({from}){aside}{}; {}",
            no_connection_free(facts),
            facts.bound_resource()
        )));
    }
}

/// An open plan waits for a connection only when the bank holds all of them: the usual cause of send lag that is not the generator's.
fn no_connection_free(facts: &Facts) -> String {
    match (facts.in_flight_max, facts.connections) {
        (Some(used), Some(all)) if used >= all => format!("; no connection was free, all {all} were in use at once"),
        _ => String::new(),
    }
}

/// Noise of the machine: what others took of it, the bank did not have.
fn steal(facts: &Facts, reasons: &mut Vec<Reason>) {
    let Some(machine) = facts.machine.as_ref().filter(|machine| machine.steal_share > STEAL_SHARE_MAX) else { return };
    let (taken, limit) = (percent(machine.steal_share), percent(STEAL_SHARE_MAX));
    reasons.push(fault(format!("the host took {taken} of the CPU, limit {limit}; {}", facts.bound_resource())));
}

fn load_achieved(facts: &Facts, reasons: &mut Vec<Reason>) {
    if facts.was_cut_short() {
        return;
    }
    if facts.planned == 0 {
        reasons.push(Reason::inconclusive("harness-fault: nothing was planned".to_owned()));
        return;
    }
    let disturbed = &facts.disturbed;
    let planned = facts.planned.saturating_sub(disturbed.planned);
    let sent = facts.sent.saturating_sub(disturbed.sent);
    let not_sent = facts.missed.saturating_sub(disturbed.missed).max(planned.saturating_sub(sent));
    let share = not_sent as f64 / planned.max(1) as f64;
    if share > MISSED_SHARE_MAX {
        let aside = match disturbed.planned {
            0 => String::new(),
            all => format!("{DISTURBED}: there it was {} of {all}", all.saturating_sub(disturbed.sent)),
        };
        reasons.push(fault(format!(
            "the plan was not met: {not_sent} of {planned} operations were not sent ({}, limit {}){aside}{}; {}",
            percent(share),
            percent(MISSED_SHARE_MAX),
            no_connection_free(facts),
            facts.bound_resource()
        )));
    }
}

fn clocks(facts: &Facts, reasons: &mut Vec<Reason>) {
    let figures = [
        ("the wall clock stepped by", facts.wall_step_us, WALL_STEP_US_MAX),
        ("the wall clock drifted from the monotonic one by", facts.wall_drift_us, WALL_DRIFT_US_MAX),
        ("the harness was not scheduled for", facts.stall_max_us, STALL_US_MAX),
    ];
    for (told, figure, limit) in figures {
        if let Some(figure) = figure.filter(|figure| *figure > limit) {
            reasons.push(fault(format!("{told} {figure} us, limit {limit} us")));
        }
    }
}

fn fault(text: String) -> Reason {
    Reason::invalid(format!("harness-fault: {text}"))
}

/// A share as per cent, with one decimal below 10.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 && percent.fract() != 0.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::reasons;
    use crate::validity::{Disturbed, Facts, LogHits};

    fn only(facts: &Facts) -> String {
        let reasons = reasons(facts);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons[0].text.clone()
    }

    #[test]
    fn send_lag_is_held_against_the_tightest_response_objective() {
        let at =
            |lag| Facts { send_lag_p99_us: Some(lag), tightest_response_limit_us: Some(200_000), ..Facts::sound() };
        assert_eq!(reasons(&at(10_000)), []);
        assert!(only(&at(10_001)).starts_with(
            "harness-fault: send lag p99 is 10001 us, limit 10000 us (5 % of the response objective of 200000 us); "
        ));
    }

    #[test]
    fn a_plan_that_was_not_met_names_what_was_short() {
        let facts = Facts { missed: 600, sent: 5_400, ..Facts::sound() };
        let told = only(&facts);
        assert!(told.contains("600 of 6000 operations were not sent (10 %, limit 0.2 %)"), "{told}");
        assert!(told.ends_with(&facts.bound_resource()), "{told}");
        assert_eq!(reasons(&Facts { missed: 12, sent: 5_988, ..Facts::sound() }), [], "0.2 % are the limit itself");
    }

    #[test]
    fn what_was_due_while_a_fault_was_in_force_does_not_speak_of_the_generator_and_is_told_beside() {
        let disturbed = Disturbed { planned: 1_000, sent: 400, missed: 550, send_lag_p99_us: Some(4_000_000) };
        let facts = Facts { sent: 5_400, missed: 550, disturbed, ..Facts::sound() };
        assert_eq!(reasons(&facts), []);
        let told = only(&Facts { sent: 5_300, missed: 650, ..facts.clone() });
        assert!(told.contains("100 of 5000 operations were not sent (2 %, limit 0.2 %), leaving out"), "{told}");
        assert!(told.contains("recovered from: there it was 600 of 1000; "), "{told}");
        let told = only(&Facts { send_lag_p99_us: Some(10_001), ..facts });
        assert!(told.contains("recovered from: there it is 4000000 us; "), "{told}");
    }

    #[test]
    fn a_late_plan_whose_connections_were_all_in_use_says_so() {
        let late = Facts { send_lag_p99_us: Some(10_001), connections: Some(64), ..Facts::sound() };
        assert!(!only(&Facts { in_flight_max: Some(63), ..late.clone() }).contains("no connection was free"));
        let told = only(&Facts { in_flight_max: Some(64), ..late });
        assert!(told.contains("; no connection was free, all 64 were in use at once; "), "{told}");
    }

    #[test]
    fn operations_that_vanished_without_being_counted_as_missed_are_not_sent_either() {
        assert!(only(&Facts { sent: 5_000, missed: 0, ..Facts::sound() }).contains("1000 of 6000"));
    }

    #[test]
    fn each_other_figure_names_its_limit() {
        let cases = [
            (Facts { generator_cpu_share: Some(0.9), ..Facts::sound() }, "90 % of a core, limit 80 %"),
            (Facts { wall_step_us: Some(60_000), ..Facts::sound() }, "stepped by 60000 us, limit 50000 us"),
            (Facts { wall_drift_us: Some(2_000_000), ..Facts::sound() }, "2000000 us, limit 1000000 us"),
            (Facts { stall_max_us: Some(700_000), ..Facts::sound() }, "not scheduled for 700000 us, limit 500000 us"),
            (Facts { planned: 0, sent: 0, ..Facts::sound() }, "nothing was planned"),
            (Facts { send_lag_p99_us: None, ..Facts::sound() }, "send lag was not measured"),
        ];
        for (facts, told) in cases {
            let text = only(&facts);
            assert!(text.contains(told), "{text}");
        }
        let hit = LogHits { log: "core.log".to_owned(), lines: 2, first: "thread 'main' panicked".to_owned() };
        assert!(only(&Facts { log_hits: vec![hit], ..Facts::sound() }).contains("core.log has 2 lines"));
    }
}
