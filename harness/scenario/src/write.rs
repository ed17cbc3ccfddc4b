//! A resolved scenario as a file again: what is stored with a run. It reads back to the same value.
//!
//! In: a [`Scenario`]. Out: TOML with every key. Elsewhere: reading (`tree`, `resolve`).

use bankstorm_faults::plan::Trigger;

use crate::file::{self, File};
use crate::resolved::{
    Arrivals, During, Fault, Images, Load, Objective, Op, RecoveryObjective, Retry, Scenario, Skew, WorkerMode,
};
use crate::units::{DurationText, RateText, ShareText};

impl Scenario {
    /// The scenario as a file in which every key is given.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&File::of(self)).expect("scenario files hold nothing that TOML lacks")
    }
}

impl File {
    /// What one would have to type.
    fn of(scenario: &Scenario) -> Self {
        let Scenario {
            name,
            about,
            seed,
            phases,
            system,
            accounts,
            load,
            faults,
            images: Images { postgres, kafka, redis, services },
            slo,
            recovery_slo,
            markers,
        } = scenario;
        Self {
            name: Some(name.clone()),
            about: Some(about.clone()),
            seed: Some(i64::try_from(*seed).expect("resolved seeds fit")),
            markers: Some(markers.clone()),
            phases: file::Phases {
                warm_up: Some(DurationText(phases.warm_up)),
                measure: Some(DurationText(phases.measure)),
                heal: Some(DurationText(phases.heal)),
                resolve: Some(DurationText(phases.resolve)),
            },
            system: file::System {
                partitions: Some(system.partitions.into()),
                channel_instances: Some(system.channel_instances.into()),
                workers: Some(system.workers.into()),
                worker_mode: Some(match system.worker_mode {
                    WorkerMode::Serial => file::WorkerMode::Serial,
                    WorkerMode::Keyed => file::WorkerMode::Keyed,
                    WorkerMode::KeyedBatched => file::WorkerMode::KeyedBatched,
                }),
                sync_cost: Some(DurationText(system.sync_cost)),
                kafka_brokers: Some(system.kafka_brokers.into()),
            },
            accounts: file::Accounts {
                count: Some(i64::try_from(accounts.count).expect("resolved counts fit")),
                opening_balance: Some(accounts.opening_balance_won),
                history_depth: Some(accounts.history_depth.into()),
                skew: Some(match accounts.skew {
                    Skew::Uniform => file::Skew::Uniform,
                    Skew::Zipf(exponent) => file::Skew::Zipf(exponent),
                    Skew::Hot(share) => file::Skew::Hot(ShareText(share)),
                }),
            },
            load: load.iter().map(load_of).collect(),
            fault: faults.iter().map(fault_of).collect(),
            images: file::Images {
                postgres: postgres.clone(),
                kafka: kafka.clone(),
                redis: redis.clone(),
                services: services.clone(),
            },
            slo: slo_of(slo, recovery_slo),
        }
    }
}

/// Ids follow from the order.
fn fault_of(fault: &Fault) -> file::Fault {
    let (at, nth) = match fault.trigger {
        Trigger::At(after) => (Some(DurationText(after)), None),
        Trigger::Nth(operation) => (None, Some(i64::try_from(operation).expect("resolved counts fit"))),
    };
    file::Fault {
        kind: fault.kind.word().to_owned(),
        place: fault.place.clone(),
        at,
        nth,
        lasts: fault.lasts.map(DurationText),
    }
}

fn slo_of(objectives: &[Objective], recovery: &[RecoveryObjective]) -> file::Slo {
    let mut slo = file::Slo::default();
    for objective in objectives {
        let latencies = match objective.op {
            Op::Deposit => &mut slo.deposit,
        };
        let figures = latencies.entry(objective.latency.as_str().to_owned()).or_default();
        let limits =
            figures.entry(objective.figure.as_str().to_owned()).or_insert_with(|| file::Limits::Several(Vec::new()));
        let file::Limits::Several(limits) = limits else { unreachable!("all are begun as lists") };
        limits.push(limit_of(objective));
    }
    for figures in slo.deposit.values_mut() {
        figures.values_mut().for_each(simplify);
    }
    slo.recovery = recovery.iter().map(|asked| (asked.figure.as_str().to_owned(), DurationText(asked.limit))).collect();
    slo
}

fn limit_of(objective: &Objective) -> file::Limit {
    let during = match objective.during {
        During::Steady => file::During::Steady,
        During::Fault => file::During::Fault,
        During::Recovery => file::During::Recovery,
        During::All => file::During::All,
    };
    file::Limit { limit: DurationText(objective.limit), during: Some(during) }
}

/// A list of one is written as one would type it.
fn simplify(limits: &mut file::Limits) {
    let file::Limits::Several(several) = &*limits else { return };
    let [one] = several[..] else { return };
    *limits = match one.during {
        Some(file::During::Steady) | None => file::Limits::Steady(one.limit),
        Some(_) => file::Limits::One(one),
    };
}

fn load_of(load: &Load) -> file::Load {
    file::Load {
        op: match load.op {
            Op::Deposit => file::Op::Deposit,
        },
        rate: RateText(load.rate_per_s),
        arrivals: Some(match load.arrivals {
            Arrivals::Constant => file::Arrivals::Constant,
            Arrivals::Poisson => file::Arrivals::Poisson,
        }),
        timeout: Some(DurationText(load.timeout)),
        retry: Some(match load.retry {
            Retry::None => file::Retry::None,
        }),
        connections: Some(load.connections.into()),
        lookup: Some(ShareText(load.lookup)),
    }
}
