//! A resolved scenario as a file again: what is stored with a run. It reads back to the same value.
//!
//! In: a [`Scenario`]. Out: TOML with every key. Elsewhere: reading (`tree`, `resolve`).

use bankstorm_faults::plan::Trigger;

use crate::file::{self, File};
use crate::resolved::{
    Accounts, Arrivals, Banks, Deadline, During, Fault, Guard, Images, Load, Objective, OnUnknown, Op,
    OverloadObjectives, RecoveryObjective, Retry, Scenario, Skew, System, WorkerMode,
};
use crate::units::{DurationText, FactorText, RateText, ShareText};

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
            banks,
            accounts,
            load,
            faults,
            images: Images { postgres, kafka, redis, services },
            slo,
            recovery_slo,
            overload_slo,
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
            system: system_of(system),
            banks: banks_of(banks),
            accounts: accounts_of(accounts),
            load: load.iter().map(load_of).collect(),
            fault: faults.iter().map(fault_of).collect(),
            images: file::Images {
                postgres: postgres.clone(),
                kafka: kafka.clone(),
                redis: redis.clone(),
                services: services.clone(),
            },
            slo: slo_of(slo, recovery_slo, overload_slo),
        }
    }
}

fn system_of(system: &System) -> file::System {
    file::System {
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
        guard: Some(match system.guard {
            Guard::User => file::Guard::User,
            Guard::Account => file::Guard::Account,
        }),
        call_timeout: Some(DurationText(system.call_timeout)),
        validity: Some(DurationText(system.validity)),
        deadline: Some(match system.deadline {
            Deadline::Relative => file::Deadline::Relative,
            Deadline::Absolute => file::Deadline::Absolute,
        }),
        core_batch: Some(system.core_batch.into()),
        core_slots: Some(system.core_slots.into()),
        core_posting_cost: Some(DurationText(system.core_posting_cost)),
        core_admitted: Some(system.core_admitted.into()),
        outbound_expiry: Some(DurationText(system.outbound_expiry)),
        protections: system.protections.typed(),
    }
}

fn banks_of(banks: &Banks) -> file::Banks {
    file::Banks {
        late: Some(ShareText(banks.late)),
        never: Some(ShareText(banks.never)),
        twice: Some(ShareText(banks.twice)),
        refused: Some(ShareText(banks.refused)),
        delay: Some([banks.delay.0, banks.delay.1].map(DurationText)),
    }
}

fn accounts_of(accounts: &Accounts) -> file::Accounts {
    let number = |count: u64| Some(i64::try_from(count).expect("resolved counts fit"));
    file::Accounts {
        count: number(accounts.count),
        users: number(accounts.users),
        opening_balance: Some(accounts.opening_balance_won),
        history_depth: Some(accounts.history_depth.into()),
        skew: Some(match accounts.skew {
            Skew::Uniform => file::Skew::Uniform,
            Skew::Zipf(exponent) => file::Skew::Zipf(exponent),
            Skew::Hot(share) => file::Skew::Hot(ShareText(share)),
        }),
        closed: Some(ShareText(accounts.stopped.closed)),
        deposit_stopped: Some(ShareText(accounts.stopped.deposit)),
        withdrawal_stopped: Some(ShareText(accounts.stopped.withdrawal)),
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

fn slo_of(objectives: &[Objective], recovery: &[RecoveryObjective], overload: &OverloadObjectives) -> file::Slo {
    let mut slo = file::Slo::default();
    for objective in objectives {
        let latencies = slo.of_mut(objective.op);
        let figures = latencies.entry(objective.latency.as_str().to_owned()).or_default();
        let limits =
            figures.entry(objective.figure.as_str().to_owned()).or_insert_with(|| file::Limits::Several(Vec::new()));
        let file::Limits::Several(limits) = limits else { unreachable!("all are begun as lists") };
        limits.push(limit_of(objective));
    }
    for op in Op::ALL {
        for figures in slo.of_mut(op).values_mut() {
            figures.values_mut().for_each(simplify);
        }
    }
    slo.recovery = recovery.iter().map(|asked| (asked.figure.as_str().to_owned(), DurationText(asked.limit))).collect();
    slo.overload = file::Overload {
        posting_p99: overload.posting_p99.map(FactorText),
        recovery: overload.recovery.map(DurationText),
        unrefused: overload.unrefused.map(|most| i64::try_from(most).expect("resolved counts fit")),
    };
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
    let of_transfers = load.op.is_transfer();
    let share = |share: f64| of_transfers.then_some(ShareText(share));
    file::Load {
        op: match load.op {
            Op::Deposit => file::Op::Deposit,
            Op::Transfer => file::Op::Transfer,
            Op::Outbound => file::Op::Outbound,
        },
        rate: RateText(load.rate_per_s),
        arrivals: Some(match load.arrivals {
            Arrivals::Constant => file::Arrivals::Constant,
            Arrivals::Poisson => file::Arrivals::Poisson,
        }),
        window: load.window.map(|(from, until)| [from, until].map(DurationText)),
        timeout: Some(DurationText(load.timeout)),
        retry: Some(match load.retry {
            Retry::None => file::Retry::None,
            Retry::SameId => file::Retry::SameId,
        }),
        connections: Some(load.connections.into()),
        lookup: Some(ShareText(load.lookup)),
        on_unknown: of_transfers.then_some(match load.behaviour.on_unknown {
            OnUnknown::Wait => file::OnUnknown::Wait,
            OnUnknown::Resubmit => file::OnUnknown::Resubmit,
        }),
        double_click: share(load.behaviour.double_click),
        reuse_key: share(load.behaviour.reuse_key),
        two_devices: share(load.behaviour.two_devices),
    }
}
