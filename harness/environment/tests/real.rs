//! The environment on real processes: it comes up, its parts answer, and nothing is left however it ends.
//!
//! The test binary is executed again in three roles: as the reaper (`hook`), as a small harness that is killed, and as a service.

mod real {
    pub(crate) mod ends;
    pub(crate) mod roles;
    pub(crate) mod services;
    pub(crate) mod starts;
    pub(crate) mod support;
}

use libtest_mimic::{Arguments, Trial};

fn main() {
    bankstorm_environment::reaper::hook();
    real::roles::play();
    let mut arguments = Arguments::from_args();
    // Some look at everything that killed runs left behind, so no two may run at once.
    arguments.test_threads = Some(1);
    let trials = vec![
        Trial::test("databases_and_broker_come_up_and_go_away", real::starts::databases_and_broker),
        Trial::test("a_missing_program_is_named_with_its_command", real::starts::missing_program),
        Trial::test("a_taken_port_is_tried_again_with_another", real::starts::taken_port),
        Trial::test("a_store_that_dies_is_reported", real::starts::store_death),
        Trial::test("a_killed_harness_leaves_nothing", real::ends::killed_harness),
        Trial::test("a_run_killed_whole_is_cleaned_up_after", real::ends::killed_whole),
        Trial::test("a_killed_reaper_is_cleaned_up_after", real::ends::killed_reaper),
        Trial::test("a_dropped_environment_leaves_nothing", real::ends::dropped),
        Trial::test("services_start_die_and_stop", real::services::life),
        Trial::test("a_service_that_exits_shows_its_last_lines", real::services::exits_at_once),
        Trial::test("a_service_that_ignores_sigterm_is_killed_and_named", real::services::stubborn),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}
