//! The environments on real processes and containers: they keep one interface, and nothing is left however a run ends.
//!
//! The test binary is executed again in other roles: as the reaper (`hook`), as a small harness that is killed, and as a service, which
//! may be in a container. `conformance` is the list that every environment must pass; the others are about `local` alone.

mod real {
    pub(crate) mod conformance;
    pub(crate) mod containers;
    pub(crate) mod ends;
    pub(crate) mod probe;
    pub(crate) mod roles;
    pub(crate) mod services;
    pub(crate) mod starts;
    pub(crate) mod support;
}

use bankstorm_environment::EnvironmentKind;
use libtest_mimic::{Arguments, Trial};
use real::conformance::rig::Rig;
use real::{ends, services, starts};

fn main() {
    bankstorm_environment::reaper::hook();
    real::roles::play();
    let mut arguments = Arguments::from_args();
    // Some look at everything that killed runs left behind, so no two may run at once; and the machine is small.
    arguments.test_threads = Some(1);
    let mut trials = vec![
        Trial::test("a_missing_program_is_named_with_its_command", starts::missing_program),
        Trial::test("a_taken_port_is_tried_again_with_another", starts::taken_port),
        Trial::test("logs_stay_in_the_run_folder", starts::kept_logs),
        Trial::test("a_killed_harness_leaves_nothing", ends::killed_harness),
        Trial::test("a_killed_harness_with_frozen_nodes_leaves_nothing", ends::killed_harness_with_frozen_nodes),
        Trial::test("a_run_killed_whole_is_cleaned_up_after", ends::killed_whole),
        Trial::test("a_killed_reaper_is_cleaned_up_after", ends::killed_reaper),
        Trial::test("a_dropped_environment_leaves_nothing", ends::dropped),
        Trial::test("services_are_named_beforehand_and_once", services::names),
        Trial::test("a_service_that_exits_shows_its_last_lines", services::exits_at_once),
        Trial::test("a_service_whose_port_was_taken_says_so", services::taken_port),
        Trial::test("a_service_that_ignores_sigterm_is_killed_and_named", services::stubborn),
    ];
    trials.extend(real::containers::trials());
    let rigs = EnvironmentKind::ALL.map(Rig::new);
    for rig in &rigs {
        trials.extend(real::conformance::trials(rig));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // A filter may have left out the trial that stops it.
    let stopped = rigs.iter().all(|rig| rig.stop_if_up());
    if !stopped {
        std::process::exit(101);
    }
    conclusion.exit();
}
