//! The adapters on real PostgreSQL and Kafka: conformance lists, and what only the real thing can show.
//!
//! In: nothing; the environment starts what is needed, once for all trials. Out: one trial a case. Elsewhere: the lists
//! (`outside::conformance`), the same lists on models (`simulator`).

mod banks_front;
mod channel_service;
mod channel_store;
mod contract;
mod core_front;
mod core_process;
mod core_service;
mod core_store;
mod database;
mod disturb;
mod kafka_log;
mod kafka_scripts;
mod relay;
mod scripts_on_postgres;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_environment::{EnvironmentKind, HARNESS, Needs, Quiet, Topic, reaper, start};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};

/// What trials are made of: the runtime they share, and where things are. Absent while trials are only listed.
#[derive(Clone)]
pub(crate) struct Place {
    runtime: Arc<Runtime>,
    core: String,
    channel: String,
    kafka: String,
}

impl Place {
    /// A trial that runs a future.
    pub(crate) fn trial<R>(&self, name: String, run: impl FnOnce(Self) -> R + Send + 'static) -> Trial
    where
        R: Future<Output = ()>,
    {
        let place = self.clone();
        Trial::test(name, move || {
            let runtime = Arc::clone(&place.runtime);
            runtime.block_on(run(place));
            Ok(())
        })
    }
}

fn main() -> ExitCode {
    reaper::hook();
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));
    let environment = (!arguments.list).then(|| {
        let needs = Needs {
            databases: vec!["core".to_owned(), "channel".to_owned()],
            brokers: 1,
            kafka_clients: vec!["tests".to_owned()],
            topics: vec![Topic { name: ENTRIES_TOPIC.to_owned(), partitions: 2 }],
            ..Needs::for_test("adapters")
        };
        runtime.block_on(start(EnvironmentKind::Local, needs, Arc::new(Quiet))).expect("the environment comes up")
    });
    let place = Place {
        runtime: Arc::clone(&runtime),
        core: environment.as_ref().map(|up| up.database("core", HARNESS)).unwrap_or_default(),
        channel: environment.as_ref().map(|up| up.database("channel", HARNESS)).unwrap_or_default(),
        kafka: environment.as_ref().map(|up| up.kafka("tests")).unwrap_or_default(),
    };
    let conclusion = libtest_mimic::run(&arguments, trials(&place));
    if let Some(environment) = environment {
        runtime.block_on(environment.stop()).expect("the environment goes down");
    }
    conclusion.exit_code()
}

fn trials(place: &Place) -> Vec<Trial> {
    let mut trials = core_store::trials(place);
    trials.extend(core_service::trials(place));
    trials.extend(core_front::trials(place));
    trials.extend(core_process::trials(place));
    trials.extend(banks_front::trials(place));
    trials.extend(channel_store::trials(place));
    trials.extend(channel_service::trials(&place.runtime, &place.channel));
    trials.extend(contract::trials(place));
    trials.extend(kafka_trials(place));
    trials.extend(scripts_on_postgres::trials(place));
    trials.extend(disturb::trials(place));
    trials
}

fn kafka_trials(place: &Place) -> Vec<Trial> {
    let broker = Arc::new(kafka_log::Broker::new(place.kafka.clone()));
    let scripts = kafka_scripts::trials(&place.runtime, &broker);
    let cases = kafka_log::list().into_iter().map(|case| {
        let broker = Arc::clone(&broker);
        Trial::test(format!("log::{}", case.name), move || {
            kafka_log::run(&case, &broker);
            Ok(())
        })
    });
    cases.chain(kafka_log::trials(&place.runtime, &broker)).chain(scripts).collect()
}
