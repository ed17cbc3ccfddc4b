//! What a plan promises: counts, order, sameness, and digests that are pinned.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{Accounts, Arrivals, Images, Load, Op, Phases, Retry, Skew, System, WorkerMode};
use proptest::prelude::*;

use super::{Phase, Plan};

pub(crate) fn load(rate_per_s: f64, arrivals: Arrivals) -> Load {
    Load {
        op: Op::Deposit,
        rate_per_s,
        arrivals,
        timeout: Duration::from_secs(5),
        retry: Retry::None,
        connections: 4,
        lookup: 0.01,
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
            sync_cost: Duration::ZERO,
            kafka_brokers: 1,
        },
        accounts: Accounts { count: 1_000, opening_balance_won: 1_000_000, history_depth: 10, skew: Skew::Uniform },
        load: vec![load(300.0, Arrivals::Constant)],
        faults: Vec::new(),
        images: Images::default(),
        slo: Vec::new(),
        recovery_slo: Vec::new(),
        markers: Vec::new(),
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
    let ids: BTreeSet<_> = operations.iter().map(|operation| operation.deposit.id).collect();
    let amounts: BTreeSet<_> = operations.iter().map(|operation| operation.deposit.amount).collect();
    assert_eq!((ids.len(), amounts.len()), (7_500, 7_500));
    for operation in &operations {
        assert_eq!(operation.deposit.id.0.get_version_num(), 7);
        assert_eq!(operation.deposit.validate(), Ok(()));
    }
}

#[test]
fn digests_are_pinned_so_that_a_seed_keeps_its_plan() {
    let mut poisson = scenario(7);
    poisson.load = vec![load(250.0, Arrivals::Poisson), load(3.0, Arrivals::Constant)];
    poisson.accounts.skew = Skew::Zipf(1.1);
    let mut hot = scenario(u64::MAX);
    hot.accounts.skew = Skew::Hot(0.2);
    let digests: Vec<_> = [scenario(1), poisson, hot].iter().map(|scenario| Plan::new(scenario).digest()).collect();
    assert_eq!(
        digests,
        [
            "bd0dbd435262efa072dd5da241d226c72235ad3026f582879018359d74de2adc",
            "eae76ecd858a3fe1bf66fd5bae3fb4c6478b0bf677c56d4bd9be5e8c6e4d538b",
            "4c03301366198e123422209e63c1ecce44e92710adab74d21a27aaf8c47ea612",
        ]
    );
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
