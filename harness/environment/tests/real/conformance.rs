//! What every environment must do, one trial a case. The cases of one kind share one environment, in the order of the list; the last but
//! one stops it with nodes frozen and killed.
//!
//! Where a kind cannot run on this machine its trials are listed as ignored, with the reason as their kind.

pub(crate) mod addresses;
pub(crate) mod brokers;
pub(crate) mod databases;
pub(crate) mod ends;
pub(crate) mod proxies;
pub(crate) mod rig;
pub(crate) mod services;

use std::sync::Arc;

use bankstorm_environment::EnvironmentKind;
use libtest_mimic::Trial;
use rig::Rig;

/// The whole list for one environment.
pub(crate) fn trials(rig: &Arc<Rig>) -> Vec<Trial> {
    let mut trials = vec![
        rig.case("everything_answers_the_harness", addresses::harness),
        rig.case("services_reach_everything_by_their_own_addresses", addresses::services),
        rig.case("what_services_write_to_the_exchange_is_read", addresses::exchange),
        rig.case("nodes_links_and_facts_are_complete", addresses::complete),
        rig.case("a_proxy_has_its_own_link_and_no_other", proxies::on_their_own_links),
        rig.case("a_killed_database_keeps_what_was_committed", databases::killed),
        rig.case("a_frozen_database_answers_nobody_until_it_goes_on", databases::frozen),
        rig.case("a_database_restarts_in_order", databases::restarted),
        rig.case("one_broker_of_three_may_be_killed", brokers::killed),
        rig.case("one_broker_of_three_may_freeze", brokers::frozen),
        rig.case("a_broker_restarts_in_order", brokers::restarted),
        rig.case("a_service_is_killed_and_restarted_with_one_log_of_both_lives", services::killed),
        rig.case("a_service_freezes_and_goes_on", services::frozen),
        rig.case("what_is_cut_short_can_be_healed", services::cut_short),
        rig.case("a_node_behind_a_proxy_dies_and_comes_back", proxies::before_a_dead_node),
        rig.case("redis_is_killed_and_restarted", services::redis_killed),
        signalling(rig, rig.case("an_end_that_nobody_planned_is_a_death", services::unplanned)),
        rig.case("what_cannot_be_done_is_said", services::refusals),
        rig.case("a_node_leaves_the_network_where_that_is_possible", services::disconnected),
    ];
    trials.push(rig.last_case("a_stop_leaves_nothing_of_frozen_and_killed_nodes", ends::stopped));
    trials.push(rig.own_case("two_environments_do_not_meet", ends::side_by_side));
    trials
}

/// A trial that sends a signal by hand: processes in containers belong to another user.
fn signalling(rig: &Rig, trial: Trial) -> Trial {
    if rig.kind == EnvironmentKind::Containers && !nix::unistd::geteuid().is_root() {
        return trial.with_kind("needs root to signal a process of a container").with_ignored_flag(true);
    }
    trial
}
