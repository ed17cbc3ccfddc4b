//! Faults on links and of databases: rules that are put and taken, beside each other, and healed first.

use super::{Conductor, FakeNodes, HEAL_LIMIT, Kind, Trigger, UNMARKED, conduct_for, load, ms, plan};

fn at(kind: Kind, place: &str, at: u64, lasts_ms: Option<u64>) -> (Kind, &str, Trigger, Option<u64>) {
    (kind, place, Trigger::At(ms(at)), lasts_ms)
}

#[tokio::test(start_paused = true)]
async fn a_rule_goes_on_from_its_first_hit_and_is_taken_away() {
    let conductor = Conductor::new(&plan(&[at(Kind::RespDrop, "channel-0->core", 0, Some(2_000))]), UNMARKED);
    let put = "put fault-0 (answers never come back) on channel-0->core";
    let nodes = FakeNodes::new().tell(put, &[(ms(20_000), Ok(()))]);
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls(), [format!("5000 {put}"), "27000 take fault-0 from channel-0->core".to_owned()]);
    let state = &conductor.states()[0];
    assert_eq!((state.kind, state.place.as_str()), ("resp.drop", "channel-0->core"));
    assert_eq!(state.heal_witness.as_deref(), Some("saw take fault-0 from channel-0->core"));
    assert_eq!(state.problem, None);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_nothing_meets_in_half_a_minute_is_a_strike_that_failed() {
    let conductor = Conductor::new(&plan(&[at(Kind::NetCut, "core->kafka-1", 0, None)]), UNMARKED);
    let put = "put fault-0 (bytes vanish on the way there) on core->kafka-1";
    let nodes = FakeNodes::new().tell(put, &[(ms(3_600_000), Ok(()))]);
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls()[1..], ["35000 take fault-0 from core->kafka-1"]);
    let said = conductor.states()[0].problem.clone();
    assert_eq!(said.as_deref(), Some("the strike failed: its effect was not seen within the limit of 30s"));
}

#[tokio::test(start_paused = true)]
async fn on_a_link_kinds_go_beside_each_other_and_one_kind_after_the_other() {
    let link = "channel-0->core";
    let faults = [
        at(Kind::ReqDrop, link, 0, Some(5_000)),
        at(Kind::RespDrop, link, 1_000, Some(1_000)),
        at(Kind::ReqDrop, link, 2_000, Some(1_000)),
        at(Kind::ReqDrop, "channel-1->core", 2_000, Some(1_000)),
        at(Kind::NodeKill, "core", 3_000, Some(500)),
        at(Kind::ReqDrop, link, 6_000, Some(500)),
    ];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    let states = conductor.states();
    let fired: Vec<bool> = states.iter().map(|state| state.fired).collect();
    assert_eq!(fired, [true, true, false, true, true, true]);
    let said = states[2].problem.as_deref();
    assert_eq!(said, Some("did not strike: fault-0 still had its hands on channel-0->core"));
    let healed = |index: usize| states[index].healed_ns.is_some();
    assert!([0, 1, 3, 4, 5].into_iter().all(healed), "{states:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_lasts_until_the_heal_phase_is_healed_from_the_ground_up() {
    let faults = [
        at(Kind::NodeKill, "core", 0, None),
        at(Kind::PgLock, "postgres-core", 0, None),
        at(Kind::NetBlackhole, "core->postgres-core", 0, None),
        at(Kind::PgCommitStall, "postgres-channel", 0, None),
    ];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    let expected = [
        "5010 take fault-2 from core->postgres-core",
        "5020 free postgres-core",
        "5020 release postgres-channel",
        "5030 restart core",
    ];
    assert_eq!(nodes.calls()[4..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_cut_while_it_waited_for_its_first_hit_is_taken_away() {
    let conductor = Conductor::new(&plan(&[at(Kind::ReqHold, "harness->core", 0, Some(1_000))]), UNMARKED);
    let put = "put fault-0 (requests arrive 0ns later) on harness->core";
    let nodes = FakeNodes::new().tell(put, &[(ms(25_000), Ok(()))]);
    conduct_for(6_000, &conductor, &nodes).await;
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls()[1..], ["6000 take fault-0 from harness->core"]);
    let state = &conductor.states()[0];
    assert!(state.witnessed.is_none() && state.healed_ns.is_some(), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn what_ended_before_its_heal_is_healed_and_told_of() {
    let faults = [
        at(Kind::PgLock, "postgres-core", 0, Some(2_000)),
        at(Kind::RespDrop, "channel-0->core", 0, None),
        at(Kind::PgLock, "postgres-channel", 0, Some(2_000)),
    ];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new().ends_early("free postgres-core").ends_early("take fault-1 from channel-0->core");
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new(), "nothing is left of any");
    let states = conductor.states();
    assert!(states.iter().all(|state| state.witnessed.is_some() && state.heal_witness.is_some()), "{states:#?}");
    let told: Vec<_> = states.iter().map(|state| state.problem.as_deref()).collect();
    assert_eq!(told, [Some("it ended early: nothing was there"), Some("it ended early: nothing was there"), None]);
    let heals = nodes.calls().split_off(3);
    assert_eq!(heals.len(), 3, "each is healed once: {heals:?}");
}
