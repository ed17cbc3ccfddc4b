//! A resolved scenario as a file again: what is stored with a run. It reads back to the same value.
//!
//! In: a [`Scenario`]. Out: TOML with every key. Elsewhere: reading (`tree`, `resolve`).

use std::collections::BTreeMap;

use crate::file::{self, File};
use crate::resolved::{Arrivals, Load, Op, Retry, Scenario, Skew, WorkerMode};
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
        let Scenario { name, about, seed, phases, system, accounts, load, slo, markers } = scenario;
        let mut objectives = BTreeMap::<_, BTreeMap<_, BTreeMap<_, _>>>::new();
        for objective in slo {
            let latencies = objectives.entry(objective.op.as_str().to_owned()).or_default();
            let figures = latencies.entry(objective.latency.as_str().to_owned()).or_default();
            figures.insert(objective.figure.as_str().to_owned(), DurationText(objective.limit));
        }
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
            slo: objectives,
        }
    }
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
