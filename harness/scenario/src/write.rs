//! A resolved scenario as a file again: what is stored with a run. It reads back to the same value.
//!
//! In: a [`Scenario`]. Out: TOML with every key. Elsewhere: reading (`tree`, `resolve`).

mod difference;
mod fault;
mod sweep;

use std::collections::BTreeMap;

use crate::file::{self, File};
use crate::resolved::{
    Accounts, Arm, Arrivals, Banks, Deadline, During, Expect, Guard, HistorySource, Images, Load, Objective, OnUnknown,
    Op, ReadSync, Retry, Scenario, Scroll, Skew, SyncMode, System, WorkerMode,
};
use crate::units::{DurationText, FactorText, RateText, ShareText};

impl Scenario {
    /// The scenario as a file in which every key is given.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&File::of(self)).expect("scenario files hold nothing that TOML lacks")
    }

    /// What `arm` has otherwise than this, its file: paths and values as `--set` takes them, in order of the paths.
    pub fn changes(&self, arm: &Arm) -> Vec<(String, String)> {
        set_of(self, arm).into_iter().map(|(path, value)| (path, value.to_string())).collect()
    }
}

fn set_of(scenario: &Scenario, arm: &Arm) -> BTreeMap<String, toml::Value> {
    let table = |scenario: &Scenario| {
        let alone = File { arm: Vec::new(), ..File::of(scenario) };
        toml::Table::try_from(alone).expect("scenario files hold nothing that TOML lacks")
    };
    difference::difference(&table(scenario), &table(&arm.scenario))
}

fn arm_of(scenario: &Scenario, arm: &Arm) -> file::Arm {
    let expect = match arm.expect {
        Expect::Holds => file::Expect::Holds,
        Expect::Violated => file::Expect::Violated,
    };
    let by = Some(arm.by.clone()).filter(|by| !by.is_empty());
    file::Arm { name: arm.name.clone(), set: set_of(scenario, arm), expect: Some(expect), by }
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
            sweep,
            images: Images { postgres, kafka, redis, services },
            slo: _,
            recovery_slo: _,
            overload_slo: _,
            scroll_slo: _,
            drain_slo: _,
            markers,
            arms,
        } = scenario;
        let alone = Scenario { arms: Vec::new(), ..scenario.clone() };
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
            fault: faults.iter().map(fault::fault_of).collect(),
            sweep: sweep.as_ref().map(sweep::sweep_of),
            images: file::Images {
                postgres: postgres.clone(),
                kafka: kafka.clone(),
                redis: redis.clone(),
                services: services.clone(),
            },
            arm: arms.iter().map(|arm| arm_of(&alone, arm)).collect(),
            slo: slo_of(scenario),
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
            WorkerMode::Slots => file::WorkerMode::Slots,
            WorkerMode::Keyed => file::WorkerMode::Keyed,
            WorkerMode::KeyedBatched => file::WorkerMode::KeyedBatched,
        }),
        channel_databases: Some(system.channel_databases.into()),
        sync: Some(match system.sync {
            SyncMode::Events => file::SyncMode::Events,
            SyncMode::Poll(every) => file::SyncMode::Poll(DurationText(every)),
        }),
        history_source: Some(match system.history_source {
            HistorySource::Copy => file::HistorySource::Copy,
            HistorySource::CoreByPeriod => file::HistorySource::CoreByPeriod,
        }),
        read_sync: Some(match system.read_sync {
            ReadSync::Pending => file::ReadSync::Pending,
            ReadSync::Suspect => file::ReadSync::Suspect,
        }),
        read_budget: Some(DurationText(system.read_budget)),
        core_pulls: Some(system.core_pulls.into()),
        manual_every: Some(DurationText(system.manual_every)),
        dead_letter_attempts: Some(system.dead_letter_attempts.into()),
        sweep_every: Some(DurationText(system.sweep_every)),
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
        caller_max: Some(system.caller_max.into()),
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
            Skew::Each => file::Skew::Each,
        }),
        closed: Some(ShareText(accounts.stopped.closed)),
        deposit_stopped: Some(ShareText(accounts.stopped.deposit)),
        withdrawal_stopped: Some(ShareText(accounts.stopped.withdrawal)),
    }
}

fn slo_of(scenario: &Scenario) -> file::Slo {
    let Scenario { slo: objectives, recovery_slo, overload_slo: overload, scroll_slo, drain_slo, .. } = scenario;
    let mut slo = file::Slo::default();
    for op in Op::ALL {
        let mut latencies = file::Latencies::new();
        for objective in objectives.iter().filter(|objective| objective.op == op) {
            let figures = latencies.entry(objective.latency.as_str().to_owned()).or_default();
            let limits = figures
                .entry(objective.figure.as_str().to_owned())
                .or_insert_with(|| file::Limits::Several(Vec::new()));
            let file::Limits::Several(limits) = limits else { unreachable!("all are begun as lists") };
            limits.push(limit_of(objective));
        }
        for figures in latencies.values_mut() {
            figures.values_mut().for_each(simplify);
        }
        slo.ask(op, latencies);
    }
    slo.recovery =
        recovery_slo.iter().map(|asked| (asked.figure.as_str().to_owned(), DurationText(asked.limit))).collect();
    slo.overload = file::Overload {
        posting_p99: overload.posting_p99.map(FactorText),
        recovery: overload.recovery.map(DurationText),
        unrefused: overload.unrefused.map(|most| i64::try_from(most).expect("resolved counts fit")),
    };
    slo.scroll.deepest_of_first = scroll_slo.deepest_of_first.map(FactorText);
    slo.drain.of_predicted = drain_slo.of_predicted.map(ShareText);
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
    let share = |share: f64| load.op.is_transfer().then_some(ShareText(share));
    let of_scroll = |number: fn(&Scroll) -> u32| load.scroll.as_ref().map(|scroll| number(scroll).into());
    file::Load {
        op: match load.op {
            Op::Deposit => file::Op::Deposit,
            Op::Transfer => file::Op::Transfer,
            Op::Outbound => file::Op::Outbound,
            Op::Scroll => file::Op::Scroll,
            Op::Sync => file::Op::Sync,
        },
        rate: RateText(load.rate_per_s),
        arrivals: Some(match load.arrivals {
            Arrivals::Constant => file::Arrivals::Constant,
            Arrivals::Poisson => file::Arrivals::Poisson,
        }),
        window: load.window.map(|(from, until)| [from, until].map(DurationText)),
        timeout: Some(DurationText(load.timeout)),
        retry: (!load.op.is_read()).then_some(match load.retry {
            Retry::None => file::Retry::None,
            Retry::SameId => file::Retry::SameId,
        }),
        connections: Some(load.connections.into()),
        lookup: (!load.op.is_read()).then_some(ShareText(load.lookup)),
        on_unknown: load.op.is_transfer().then_some(match load.behaviour.on_unknown {
            OnUnknown::Wait => file::OnUnknown::Wait,
            OnUnknown::Resubmit => file::OnUnknown::Resubmit,
        }),
        double_click: share(load.behaviour.double_click),
        reuse_key: share(load.behaviour.reuse_key),
        two_devices: share(load.behaviour.two_devices),
        read_own: share(load.behaviour.read_own),
        readers: of_scroll(|scroll| scroll.readers),
        pages: of_scroll(|scroll| scroll.pages),
        page_size: of_scroll(|scroll| scroll.page_size),
        from: load.scroll.map(|_| file::ScrollFrom::Newest),
    }
}
