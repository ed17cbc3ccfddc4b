//! What the conductor promises, on nodes that only write down what is done to them, and on virtual time.

mod links;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Conductor, FaultState, HEAL_LIMIT, Load};
use crate::catalogue::Settings;
use crate::nodes::{Healed, Nodes, Witness};
use crate::plan::{Fault, Kind, Trigger};
use crate::rule::{Picks, Rule};

/// Nanoseconds of the fake clock at the start of a test: not zero, as on any host.
const BOOT_NS: i64 = 1_000_000_000_000;

/// A load whose plan starts at once, whose measured phase begins after `warm_up`, and that sends `rate_per_s`.
struct FakeLoad {
    start: Instant,
    warm_up: Duration,
    rate_per_s: u64,
}

impl Load for FakeLoad {
    fn now_ns(&self) -> i64 {
        BOOT_NS + self.start.elapsed().as_nanos() as i64
    }

    fn measure_ns(&self) -> Option<i64> {
        Some(BOOT_NS + self.warm_up.as_nanos() as i64)
    }

    fn sent(&self) -> u64 {
        (self.start.elapsed().as_millis() as u64) * self.rate_per_s / 1_000
    }
}

/// A load whose plan never starts.
struct NoLoad;

impl Load for NoLoad {
    fn now_ns(&self) -> i64 {
        BOOT_NS
    }

    fn measure_ns(&self) -> Option<i64> {
        None
    }

    fn sent(&self) -> u64 {
        0
    }
}

/// What an act on a node comes to.
type Answer = (Duration, Result<(), &'static str>);

/// Nodes that write down what is done to them, at which millisecond. Unless told otherwise a kill, pause or resume takes 10 ms, and a
/// restart a second.
struct FakeNodes {
    start: Instant,
    calls: Mutex<Vec<String>>,
    told: Mutex<BTreeMap<String, Vec<Answer>>>,
    /// Heals that find nothing.
    ended_early: Vec<&'static str>,
}

impl FakeNodes {
    fn new() -> Self {
        Self { start: Instant::now(), calls: Mutex::default(), told: Mutex::default(), ended_early: Vec::new() }
    }

    /// What the next such acts come to, in order.
    fn tell(self, act: &str, answers: &[Answer]) -> Self {
        self.told.lock().unwrap().insert(act.to_owned(), answers.to_vec());
        self
    }

    /// What this heal is to undo ends by itself before.
    fn ends_early(mut self, act: &'static str) -> Self {
        self.ended_early.push(act);
        self
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn act(&self, act: &str, place: &str, takes_ms: u64) -> Result<Witness, String> {
        let act = format!("{act} {place}");
        self.calls.lock().unwrap().push(format!("{} {act}", self.start.elapsed().as_millis()));
        let told = self.told.lock().unwrap().get_mut(&act).filter(|answers| !answers.is_empty()).map(|it| it.remove(0));
        let (takes, result) = told.unwrap_or((ms(takes_ms), Ok(())));
        tokio::time::sleep(takes).await;
        result.map_err(str::to_owned)?;
        Ok(Witness { what: format!("saw {act}"), at_ns: BOOT_NS + self.start.elapsed().as_nanos() as i64 })
    }

    async fn undo(&self, act: &str, place: &str) -> Result<Healed, String> {
        let witness = self.act(act, place, 10).await?;
        let is_early = self.ended_early.contains(&format!("{act} {place}").as_str());
        Ok(Healed { witness, ended_early: is_early.then(|| "nothing was there".to_owned()) })
    }
}

impl Nodes for FakeNodes {
    async fn kill(&self, place: &str) -> Result<Witness, String> {
        self.act("kill", place, 10).await
    }

    async fn pause(&self, place: &str) -> Result<Witness, String> {
        self.act("pause", place, 10).await
    }

    async fn resume(&self, place: &str) -> Result<Witness, String> {
        self.act("resume", place, 10).await
    }

    async fn restart(&self, place: &str) -> Result<Witness, String> {
        self.act("restart", place, 1_000).await
    }

    async fn poison(&self, place: &str) -> Result<Witness, String> {
        self.act("poison", place, 10).await
    }

    async fn cure(&self, place: &str) -> Result<Witness, String> {
        self.act("cure", place, 10).await
    }

    async fn grow(&self, place: &str) -> Result<Witness, String> {
        self.act("grow", place, 10).await
    }

    async fn stall_commits(&self, place: &str) -> Result<Witness, String> {
        self.act("stall", place, 10).await
    }

    async fn release_commits(&self, place: &str) -> Result<Witness, String> {
        self.act("release", place, 10).await
    }

    async fn hold_locks(&self, place: &str) -> Result<Witness, String> {
        self.act("lock", place, 10).await
    }

    async fn free_locks(&self, place: &str) -> Result<Healed, String> {
        self.undo("free", place).await
    }

    async fn put_rule(&self, link: &str, id: &str, rule: &Rule) -> Result<Witness, String> {
        self.act(&format!("put {id} ({rule}) on"), link, 10).await
    }

    async fn take_rule(&self, link: &str, id: &str) -> Result<Healed, String> {
        self.undo(&format!("take {id} from"), link).await
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at_ms(at_ms: i64) -> Option<i64> {
    Some(BOOT_NS + at_ms * 1_000_000)
}

fn plan(faults: &[(Kind, &str, Trigger, Option<u64>)]) -> Vec<Fault> {
    let faults = faults.iter().enumerate();
    let fault = |(index, (kind, place, trigger, lasts_ms)): (usize, &(Kind, &str, Trigger, Option<u64>))| Fault {
        id: format!("fault-{index}"),
        kind: *kind,
        place: (*place).to_owned(),
        trigger: *trigger,
        lasts: lasts_ms.map(ms),
        rule: kind.effect(&Settings::default()).map(|effect| Rule { effect, picks: Picks::default() }),
    };
    faults.map(fault).collect()
}

fn kill(place: &str, at: u64, lasts_ms: Option<u64>) -> (Kind, &str, Trigger, Option<u64>) {
    (Kind::NodeKill, place, Trigger::At(ms(at)), lasts_ms)
}

fn pause(place: &str, at: u64, lasts_ms: u64) -> (Kind, &str, Trigger, Option<u64>) {
    (Kind::NodePause, place, Trigger::At(ms(at)), Some(lasts_ms))
}

fn load() -> FakeLoad {
    FakeLoad { start: Instant::now(), warm_up: ms(5_000), rate_per_s: 100 }
}

const UNMARKED: &(dyn Fn(&FaultState) + Sync) = &|_| {};

/// Conducts until nothing is left to do, or for `for_ms`, as when the load ends then.
async fn conduct_for(for_ms: u64, conductor: &Conductor<'_>, nodes: &FakeNodes) {
    let _ = timeout(ms(for_ms), conductor.conduct(nodes, &load())).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_strikes_on_time_lasts_and_heals_and_each_step_is_marked() {
    let marks = Mutex::new(Vec::new());
    let mark = |state: &FaultState| marks.lock().unwrap().push(state.clone());
    let conductor = Conductor::new(&plan(&[kill("channel-1", 5_000, Some(4_000))]), &mark);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls(), ["10000 kill channel-1", "14010 restart channel-1"]);
    let healed = FaultState {
        id: "fault-0".to_owned(),
        kind: "node.kill",
        place: "channel-1".to_owned(),
        fired: true,
        started_ns: at_ms(10_000),
        witnessed: Some("saw kill channel-1".to_owned()),
        healed_ns: at_ms(15_010),
        heal_witness: Some("saw restart channel-1".to_owned()),
        problem: None,
    };
    let struck = FaultState { healed_ns: None, heal_witness: None, ..healed.clone() };
    let begun = FaultState { witnessed: None, ..struck.clone() };
    assert_eq!(conductor.states(), std::slice::from_ref(&healed));
    assert_eq!(*marks.lock().unwrap(), [begun, struck, healed]);
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls().len(), 2, "what is healed is left alone");
}

#[tokio::test(start_paused = true)]
async fn faults_on_two_places_run_beside_each_other() {
    let conductor =
        Conductor::new(&plan(&[pause("postgres-channel", 0, 5_000), kill("core", 1_000, Some(1_000))]), UNMARKED);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    let expected =
        ["5000 pause postgres-channel", "6000 kill core", "7010 restart core", "10010 resume postgres-channel"];
    assert_eq!(nodes.calls(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_nth_fault_strikes_once_so_many_operations_were_sent() {
    let conductor = Conductor::new(&plan(&[(Kind::NodePause, "core", Trigger::Nth(150), Some(100))]), UNMARKED);
    conductor.conduct(&FakeNodes::new(), &load()).await;
    let state = &conductor.states()[0];
    let started_ns = state.started_ns.expect("it fired");
    assert!((at_ms(1_500)..=at_ms(1_503)).contains(&Some(started_ns)), "{started_ns}");
    assert!(state.healed_ns.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_fault_whose_trigger_never_came_has_not_fired() {
    let faults = [kill("core", 0, None), (Kind::NodeKill, "channel-0", Trigger::Nth(1), None)];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new();
    timeout(ms(60_000), conductor.conduct(&nodes, &NoLoad)).await.expect_err("nothing to wait for");
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert!(conductor.states().iter().all(|state| !state.fired && state.started_ns.is_none()));
    assert!(nodes.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_by_itself() {
    let faults = [(Kind::NodeRestart, "kafka-2", Trigger::At(ms(0)), None)];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new().tell("restart kafka-2", &[(ms(40_000), Ok(()))]);
    conductor.conduct(&nodes, &load()).await;
    let state = &conductor.states()[0];
    assert_eq!((state.started_ns, state.healed_ns), (at_ms(5_000), at_ms(45_000)));
    assert_eq!((state.witnessed.as_deref(), state.problem.as_deref()), (Some("saw restart kafka-2"), None));
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls(), ["5000 restart kafka-2"]);
}

#[tokio::test(start_paused = true)]
async fn without_lasts_a_fault_waits_for_the_end_and_stores_come_back_first() {
    let faults = [kill("core", 0, None), kill("postgres-core", 10, None), kill("kafka-1", 20, None)];
    let conductor = Conductor::new(&plan(&faults), UNMARKED);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    assert!(conductor.holds("core") && !conductor.holds("channel-0"));
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert!(!conductor.holds("core"));
    let expected = ["5030 restart postgres-core", "5030 restart kafka-1", "6030 restart core"];
    assert_eq!(nodes.calls()[3..], expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_in_the_middle_of_its_strike_is_healed_without_a_witness() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, Some(3_000))]), UNMARKED);
    let nodes = FakeNodes::new().tell("kill core", &[(ms(10_000), Ok(()))]);
    conduct_for(6_000, &conductor, &nodes).await;
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls(), ["5000 kill core", "6000 restart core"]);
    let state = &conductor.states()[0];
    assert!(state.fired && state.witnessed.is_none());
    assert_eq!(state.healed_ns, at_ms(7_000));
    assert_eq!(state.problem.as_deref(), Some("the end came while it struck, so it is not known whether it did"));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_in_the_middle_of_its_heal_is_healed_again() {
    let conductor = Conductor::new(&plan(&[pause("core", 0, 1_000)]), UNMARKED);
    let nodes = FakeNodes::new().tell("resume core", &[(ms(30_000), Ok(())), (ms(30_000), Ok(()))]);
    conduct_for(7_000, &conductor, &nodes).await;
    timeout(ms(1_000), conductor.heal_all(&nodes, HEAL_LIMIT)).await.expect_err("cut once more");
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls(), ["5000 pause core", "6010 resume core", "7000 resume core", "8000 resume core"]);
    assert_eq!(conductor.states()[0].healed_ns, at_ms(8_010));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_while_it_lasted_is_healed_early() {
    let conductor = Conductor::new(&plan(&[pause("core", 0, 60_000)]), UNMARKED);
    let nodes = FakeNodes::new();
    conduct_for(20_000, &conductor, &nodes).await;
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    assert_eq!(nodes.calls(), ["5000 pause core", "20000 resume core"]);
    assert_eq!(conductor.states()[0].problem, None);
}

#[tokio::test(start_paused = true)]
async fn a_strike_that_fails_leaves_no_witness_and_is_healed_at_once() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, Some(9_000))]), UNMARKED);
    let nodes = FakeNodes::new().tell("kill core", &[(ms(50), Err("no such process"))]);
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls(), ["5000 kill core", "5050 restart core"]);
    let state = &conductor.states()[0];
    assert!(state.fired && state.witnessed.is_none() && state.healed_ns.is_some());
    assert_eq!(state.problem.as_deref(), Some("the strike failed: no such process"));
}

#[tokio::test(start_paused = true)]
async fn a_heal_that_fails_is_tried_once_more_at_the_end() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, Some(1_000))]), UNMARKED);
    let nodes = FakeNodes::new().tell("restart core", &[(ms(20), Err("port taken"))]);
    conductor.conduct(&nodes, &load()).await;
    assert!(conductor.holds("core"));
    assert_eq!(conductor.heal_all(&nodes, HEAL_LIMIT).await, Vec::<String>::new());
    let state = &conductor.states()[0];
    assert!(state.witnessed.is_some() && state.healed_ns.is_some());
    assert_eq!(state.problem.as_deref(), Some("the heal failed: port taken"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_healed_is_told_in_a_sentence() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, None), pause("kafka-1", 0, 1_000)]), UNMARKED);
    let refused = [(ms(20), Err("port taken"))];
    let nodes = FakeNodes::new().tell("restart core", &refused).tell("resume kafka-1", &[(ms(90_000), Ok(())); 2]);
    conductor.conduct(&nodes, &load()).await;
    let problems = conductor.heal_all(&nodes, ms(2_000)).await;
    let expected = [
        "fault-1 (node.pause of kafka-1) could not be healed: its effect was not seen within the limit of 2s",
        "fault-0 (node.kill of core) could not be healed: port taken",
    ];
    assert_eq!(problems, expected);
    assert!(conductor.states().iter().all(|state| state.healed_ns.is_none()));
}

#[tokio::test(start_paused = true)]
async fn strikes_and_heals_have_limits_that_are_named() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, None), pause("kafka-1", 0, 1_000)]), UNMARKED);
    let nodes = FakeNodes::new()
        .tell("kill core", &[(ms(3_600_000), Ok(()))])
        .tell("resume kafka-1", &[(ms(3_600_000), Ok(()))]);
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls(), ["5000 kill core", "5000 pause kafka-1", "6010 resume kafka-1", "20000 restart core"]);
    let problems: Vec<_> = conductor.states().into_iter().map(|state| state.problem.unwrap_or_default()).collect();
    let expected = [
        "the strike failed: its effect was not seen within the limit of 15s",
        "the heal failed: its effect was not seen within the limit of 60s",
    ];
    assert_eq!(problems, expected);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_in_the_hands_of_one_fault_at_a_time() {
    let conductor = Conductor::new(&plan(&[kill("core", 0, Some(5_000)), pause("core", 1_000, 1_000)]), UNMARKED);
    let nodes = FakeNodes::new();
    conductor.conduct(&nodes, &load()).await;
    assert_eq!(nodes.calls(), ["5000 kill core", "10010 restart core"]);
    let state = &conductor.states()[1];
    assert!(!state.fired);
    assert_eq!(state.problem.as_deref(), Some("did not strike: fault-0 still had its hands on core"));
}

#[tokio::test(start_paused = true)]
async fn once_load_has_ended_nothing_begins_and_what_is_under_way_comes_to_its_end() {
    let mark = |_: &FaultState| {};
    // When load ends at 7000 ms: one is being healed, one is striking, one lasts, and the moment of one has not come.
    let faults = plan(&[
        kill("core", 0, Some(1_500)),
        (Kind::NodeRestart, "channel-0", Trigger::At(ms(1_500)), None),
        pause("postgres-core", 1_000, 60_000),
        kill("channel-1", 2_500, Some(1_000)),
    ]);
    let (conductor, nodes) = (Conductor::new(&faults, &mark), FakeNodes::new());
    let load = load();
    let conduct = conductor.conduct(&nodes, &load);
    let end = async {
        tokio::time::sleep(ms(7_000)).await;
        conductor.load_ended();
    };
    tokio::join!(conduct, end);
    assert_eq!(conductor.heal_all(&nodes, ms(5_000)).await, Vec::<String>::new());
    let states = conductor.states();
    assert!(states[..3].iter().all(|state| state.witnessed.is_some() && state.healed_ns.is_some()), "{states:#?}");
    assert!(states.iter().all(|state| state.problem.is_none()), "{states:#?}");
    assert!(!states[3].fired, "{states:#?}");
    let restarts = nodes.calls().into_iter().filter(|call| call.contains("restart core")).count();
    assert_eq!(restarts, 1, "a heal under way is not begun again: {:?}", nodes.calls());
    assert!(nodes.calls().iter().any(|call| call.ends_with("resume postgres-core")), "{:?}", nodes.calls());
}

#[tokio::test(start_paused = true)]
async fn bad_data_is_cured_and_partitions_stay() {
    let plan = plan(&[
        (Kind::RowPoison, "postgres-channel", Trigger::At(ms(1_000)), Some(2_000)),
        (Kind::TopicGrow, "kafka-1", Trigger::At(ms(2_000)), None),
    ]);
    let nodes = FakeNodes::new();
    let conductor = Conductor::new(&plan, &|_| {});
    conductor.conduct(&nodes, &load()).await;
    let calls = nodes.calls();
    assert!(calls[0].ends_with("poison postgres-channel") && calls[1].ends_with("grow kafka-1"), "{calls:?}");
    assert!(calls[2].ends_with("cure postgres-channel") && calls.len() == 3, "{calls:?}");
    assert!(conductor.states().iter().all(|state| state.healed_ns.is_some()), "{:?}", conductor.states());
}
