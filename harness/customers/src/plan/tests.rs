//! What a plan promises: counts, order, sameness, and digests that are pinned.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{
    Accounts, Arrivals, Banks, Behaviour, Deadline, Guard, HistorySource, Images, Load, Op, Phases, ReadSync, Retry,
    Scroll, Skew, Stopped, SyncMode, System, WorkerMode,
};
use proptest::prelude::*;

use super::{PageRead, Phase, Plan, PlannedOperation, Request};
use crate::behaviour::Follow;
use crate::users::user_of;

pub(crate) fn load(rate_per_s: f64, arrivals: Arrivals) -> Load {
    Load {
        op: Op::Deposit,
        rate_per_s,
        arrivals,
        window: None,
        timeout: Duration::from_secs(5),
        retry: Retry::None,
        connections: 4,
        lookup: 0.01,
        behaviour: Behaviour::default(),
        scroll: None,
    }
}

pub(crate) fn scenario(seed: u64) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        about: String::new(),
        seed,
        phases: Phases {
            warm_up: Duration::from_secs(5),
            measure: Duration::from_secs(20),
            heal: Duration::from_secs(30),
            resolve: Duration::from_secs(30),
        },
        system: System {
            partitions: 4,
            channel_instances: 2,
            workers: 100,
            worker_mode: WorkerMode::KeyedBatched,
            channel_databases: 1,
            sync: SyncMode::Events,
            history_source: HistorySource::Copy,
            read_sync: ReadSync::Pending,
            read_budget: Duration::from_millis(300),
            core_pulls: 8,
            manual_every: Duration::from_secs(1),
            dead_letter_attempts: 3,
            sweep_every: Duration::from_secs(1),
            sync_cost: Duration::ZERO,
            kafka_brokers: 1,
            guard: Guard::User,
            call_timeout: Duration::from_secs(3),
            validity: Duration::from_secs(5),
            deadline: Deadline::Relative,
            core_batch: 200,
            core_slots: 4,
            core_posting_cost: Duration::ZERO,
            core_admitted: 10_000,
            caller_max: 10_000,
            outbound_expiry: Duration::from_secs(60),
            protections: bankstorm_scenario::protections::Protections::default(),
        },
        banks: Banks::default(),
        accounts: Accounts {
            count: 1_000,
            users: 1_000,
            opening_balance_won: 1_000_000,
            history_depth: 10,
            skew: Skew::Uniform,
            stopped: Stopped::default(),
        },
        load: vec![load(300.0, Arrivals::Constant)],
        faults: Vec::new(),
        sweep: None,
        images: Images::default(),
        slo: Vec::new(),
        recovery_slo: Vec::new(),
        overload_slo: bankstorm_scenario::resolved::OverloadObjectives::default(),
        scroll_slo: bankstorm_scenario::resolved::ScrollObjectives::default(),
        drain_slo: bankstorm_scenario::resolved::DrainObjectives::default(),
        markers: Vec::new(),
        arms: Vec::new(),
    }
}

#[test]
fn constant_load_is_counted_exactly_and_evenly_spaced() {
    let plan = Plan::new(&scenario(1));
    let operations: Vec<_> = plan.operations().collect();
    let measured: Vec<_> = operations.iter().filter(|operation| operation.phase == Phase::Measure).collect();
    assert_eq!((operations.len(), measured.len()), (7_500, 6_000));
    assert_eq!((plan.counts().warm_up, plan.counts().measure), (1_500, 6_000));
    assert_eq!(measured[0].due, Duration::from_secs(5));
    assert_eq!(measured[300].due, Duration::from_secs(6));
    let lookups = operations.iter().filter(|operation| operation.lookup).count();
    assert!((40..120).contains(&lookups), "about one in a hundred: {lookups}");
}

#[test]
fn ids_and_amounts_tell_operations_apart() {
    let operations: Vec<_> = Plan::new(&scenario(1)).operations().collect();
    let ids: BTreeSet<_> = operations.iter().map(|operation| operation.id()).collect();
    let amounts: BTreeSet<_> = operations.iter().map(|operation| operation.amount()).collect();
    assert_eq!((ids.len(), amounts.len()), (7_500, 7_500));
    for operation in &operations {
        assert_eq!(operation.id().0.get_version_num(), 7);
        let Request::Deposit(deposit) = &operation.request else { panic!("{operation:?}") };
        assert_eq!((deposit.validate(), operation.intent), (Ok(()), operation.op));
    }
}

#[test]
fn digests_are_pinned_so_that_a_seed_keeps_its_plan() {
    let mut poisson = scenario(7);
    poisson.load = vec![load(250.0, Arrivals::Poisson), load(3.0, Arrivals::Constant)];
    poisson.accounts.skew = Skew::Zipf(1.1);
    let mut hot = scenario(u64::MAX);
    hot.accounts.skew = Skew::Hot(0.2);
    let clicks = transfers(Behaviour { double_click: 0.2, reuse_key: 0.1, two_devices: 0.1, ..Behaviour::default() });
    let digests: Vec<_> =
        [scenario(1), poisson, hot, clicks, reads(7)].iter().map(|scenario| Plan::new(scenario).digest()).collect();
    assert_eq!(
        digests,
        [
            "bd0dbd435262efa072dd5da241d226c72235ad3026f582879018359d74de2adc",
            "eae76ecd858a3fe1bf66fd5bae3fb4c6478b0bf677c56d4bd9be5e8c6e4d538b",
            "4c03301366198e123422209e63c1ecce44e92710adab74d21a27aaf8c47ea612",
            "d03ff224c985b0e2bdff13d0cf19e8daad86cb3a39d43c8ea351c43f85597969",
            "5cfe177c2fe11e7b3799999947fcb668763b5b698ebec246a701263cd1dbdbf4",
        ]
    );
}

/// 50 transfers a second, some of them followed by another request of the same customer.
fn transfers(behaviour: Behaviour) -> Scenario {
    let mut scenario = scenario(3);
    scenario.accounts.users = 400;
    let op = Op::Transfer;
    scenario.load = vec![
        Load { op, behaviour, ..load(40.0, Arrivals::Constant) },
        Load { op: Op::Outbound, behaviour, ..load(10.0, Arrivals::Poisson) },
    ];
    scenario
}

fn transfer(operation: &PlannedOperation) -> &bankstorm_contracts::channel_api::SubmitTransfer {
    let Request::Transfer(transfer) = &operation.request else { panic!("{operation:?}") };
    transfer
}

#[test]
fn transfers_are_sent_by_the_customer_whose_account_pays_to_somebody_else() {
    let scenario = transfers(Behaviour::default());
    let operations: Vec<_> = Plan::new(&scenario).operations().collect();
    assert!(operations.iter().filter(|operation| operation.kind == Op::Transfer).count() == 1_000);
    for operation in &operations {
        let transfer = transfer(operation);
        assert_eq!(transfer.user, user_of(&scenario.accounts, transfer.from));
        let destination = transfer.validate().unwrap_or_else(|problem| panic!("{problem:?}"));
        let is_own = matches!(destination, bankstorm_contracts::core_api::Destination::Own(_));
        assert_eq!(is_own, operation.kind == Op::Transfer);
        assert_eq!((operation.intent, operation.follows), (operation.op, None));
    }
    let ids: BTreeSet<_> = operations.iter().map(PlannedOperation::id).collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn a_double_click_is_the_same_intent_under_another_id_within_moments() {
    let plan = Plan::new(&transfers(Behaviour { double_click: 1.0, ..Behaviour::default() }));
    let operations: Vec<_> = plan.operations().collect();
    assert_eq!(operations.len() as u64, plan.counts().total());
    let second: Vec<_> = operations.iter().filter(|operation| operation.follows.is_some()).collect();
    // What would be due after the end is not there.
    assert!(second.len() * 2 >= operations.len() - 20 && second.len() * 2 <= operations.len());
    for click in second {
        let first = &operations[usize::try_from(click.intent).expect("small")];
        assert_eq!((click.follows, first.follows), (Some(Follow::DoubleClick), None));
        assert_ne!(click.id(), first.id());
        assert_eq!((click.params_hash(), click.user()), (first.params_hash(), first.user()));
        let gap = click.due - first.due;
        assert!(gap >= Duration::from_millis(1) && gap < Duration::from_millis(100), "{gap:?}");
    }
}

#[test]
fn a_used_id_has_other_parameters_and_a_second_device_is_the_same_customer() {
    let behaviour = Behaviour { reuse_key: 0.3, two_devices: 0.3, ..Behaviour::default() };
    let plan = Plan::new(&transfers(behaviour));
    let operations: Vec<_> = plan.operations().collect();
    assert_eq!(operations.len() as u64, plan.counts().total());
    let follows = |wanted| operations.iter().filter(move |operation| operation.follows == Some(wanted));
    assert!(follows(Follow::ReuseKey).count() > 100 && follows(Follow::TwoDevices).count() > 100);
    for again in follows(Follow::ReuseKey) {
        let same: Vec<_> = operations.iter().filter(|first| first.id() == again.id()).collect();
        assert_eq!(same.len(), 2, "{again:?}");
        assert_ne!(same[0].params_hash(), same[1].params_hash());
    }
    for device in follows(Follow::TwoDevices) {
        assert_eq!(transfer(device).user, user_of(&plan.scenario().accounts, transfer(device).from));
        assert!(transfer(device).validate().is_ok(), "{device:?}");
        assert_eq!(device.intent, device.op);
    }
}

/// 40 pages and 5 presses of the button a second, beside transfers after half of which the customer looks.
fn reads(seed: u64) -> Scenario {
    let mut scenario = scenario(seed);
    let scroll = Some(Scroll { readers: 6, pages: 9, page_size: 20 });
    let behaviour = Behaviour { read_own: 0.5, ..Behaviour::default() };
    let plain = || Load { lookup: 0.0, ..load(40.0, Arrivals::Poisson) };
    scenario.load = vec![
        Load { op: Op::Scroll, scroll, ..plain() },
        Load { op: Op::Sync, rate_per_s: 5.0, ..plain() },
        Load { op: Op::Transfer, behaviour, ..plain() },
    ];
    scenario
}

fn page(operation: &PlannedOperation) -> Option<PageRead> {
    if let Request::Page(page) = operation.request { Some(page) } else { None }
}

#[test]
fn a1_sessions_are_planned_in_due_order_whatever_else_is_due_between() {
    let plan = Plan::new(&reads(5));
    let operations: Vec<_> = plan.operations().collect();
    assert_eq!(operations.len() as u64, plan.counts().total());
    let pages: Vec<_> = operations.iter().filter_map(|operation| Some((operation, page(operation)?))).collect();
    assert!(pages.iter().all(|(operation, _)| operation.kind == Op::Scroll && operation.load == 0));
    for (operation, PageRead { turn, .. }) in &pages {
        let first = &operations[usize::try_from(turn.session).expect("small")];
        let first_turn = page(first).expect("a session begins with a page").turn;
        assert_eq!((first_turn.page_no, first_turn.account, first_turn.scroller), (0, turn.account, turn.scroller));
        assert!(
            first.due <= operation.due && turn.page_no < 9 && (turn.page_no == 0) == (turn.session == operation.op)
        );
        assert_eq!((operation.account(), operation.amount().get(), operation.lookup), (turn.account, 0, false));
    }
    let in_turn: Vec<_> = pages.iter().map(|(_, page)| page.turn.scroller).collect();
    assert!(in_turn.iter().zip(0..).all(|(scroller, number)| *scroller == number % 6));
    let ids: BTreeSet<_> = operations.iter().map(PlannedOperation::id).collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn a12_a_share_of_the_customers_read_what_they_sent_and_the_plan_says_who() {
    let operations: Vec<_> = Plan::new(&reads(5)).operations().collect();
    let of = |kind| operations.iter().filter(move |operation| operation.kind == kind);
    let own = of(Op::Transfer).filter(|operation| operation.read_own).count();
    assert!((400..600).contains(&own), "half of about 1,000: {own}");
    assert!(of(Op::Scroll).chain(of(Op::Sync)).all(|operation| !operation.read_own));
    let mut patient = reads(5);
    patient.load[2].behaviour.read_own = 0.0;
    let without: Vec<_> = Plan::new(&patient).operations().collect();
    assert!(without.iter().all(|operation| !operation.read_own));
    // Who looks changes nothing else.
    let but_looks = |operation: &PlannedOperation| PlannedOperation { read_own: false, ..operation.clone() };
    assert!(operations.iter().map(but_looks).eq(without));
    assert_ne!(Plan::new(&reads(5)).digest(), Plan::new(&patient).digest());
}

#[test]
fn a_window_is_a_part_of_the_measured_phase() {
    let mut scenario = scenario(1);
    let window = Some((Duration::from_secs(3), Duration::from_secs(7)));
    scenario.load = vec![
        load(100.0, Arrivals::Constant),
        Load { window, ..load(500.0, Arrivals::Constant) },
        Load { window, ..load(500.0, Arrivals::Poisson) },
    ];
    let plan = Plan::new(&scenario);
    let operations: Vec<_> = plan.operations().collect();
    assert_eq!(operations.len() as u64, plan.counts().total());
    assert_eq!(operations.iter().filter(|operation| operation.load == 1).count(), 2_000);
    let span = Duration::from_secs(8)..Duration::from_secs(12);
    for operation in operations.iter().filter(|operation| operation.load > 0) {
        assert!(span.contains(&operation.due) && operation.phase == Phase::Measure, "{operation:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn loads_are_merged_in_due_order_and_repeat(seed: u64, rates in prop::collection::vec((1_u32..400, any::<bool>()), 1..4)) {
        let mut scenario = scenario(seed);
        scenario.phases.warm_up = Duration::from_millis(700);
        scenario.phases.measure = Duration::from_secs(2);
        scenario.load = rates
            .iter()
            .map(|(rate, even)| load(f64::from(*rate), if *even { Arrivals::Constant } else { Arrivals::Poisson }))
            .collect();
        let plan = Plan::new(&scenario);
        let operations: Vec<_> = plan.operations().collect();
        prop_assert_eq!(operations.len() as u64, plan.counts().total());
        prop_assert!(operations.iter().zip(0..).all(|(operation, op)| operation.op == op));
        prop_assert!(operations.windows(2).all(|pair| pair[0].due <= pair[1].due));
        for operation in &operations {
            prop_assert_eq!(operation.phase == Phase::Measure, operation.due >= plan.measure_from());
            prop_assert!(operation.due < plan.end());
        }
        for (index, (rate, even)) in (0..).zip(&rates) {
            let measured = operations.iter().filter(|o| o.load == index && o.phase == Phase::Measure).count();
            prop_assert!(!even || measured == 2 * *rate as usize);
        }
        prop_assert_eq!(&operations, &plan.operations().collect::<Vec<_>>());
        scenario.seed ^= 1;
        prop_assert_ne!(plan.digest(), Plan::new(&scenario).digest());
    }

    #[test]
    fn poisson_counts_stay_near_rate_times_time(seed: u64) {
        let mut scenario = scenario(seed);
        scenario.load = vec![load(500.0, Arrivals::Poisson)];
        let measured = Plan::new(&scenario).counts().measure as f64;
        // 10,000 expected, standard deviation 100: eight of them are never left.
        prop_assert!((measured - 10_000.0).abs() < 800.0);
    }
}
