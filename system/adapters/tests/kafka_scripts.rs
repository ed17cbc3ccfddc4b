//! The log's scripts on a real broker and on the model: their transcripts are the same.
//!
//! In: a bootstrap address; `BANKSTORM_KAFKA_SCRIPTS=1000` asks for so many scripts instead of 30. Out: trials. Elsewhere: the scripts and
//! what a transcript holds (`outside::conformance::log::script`), models that are wrong on purpose (`wrong`).
//!
//! The real transcripts are made once, many scripts side by side, and every model is held against them.

mod wrong;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bankstorm_outside::conformance::log::script::{KINDS, Keys, Script, Transcript, run, shorter, side_by_side};
use bankstorm_simulator::model::log::ModelLog;
use futures_util::StreamExt;
use futures_util::stream;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

use crate::kafka_log::Broker;
use wrong::{Fault, Wrong};

/// Names the variable that asks for another number of scripts.
const VARIABLE: &str = "BANKSTORM_KAFKA_SCRIPTS";
/// How many scripts run without it.
const SCRIPTS: u64 = 30;
/// How many run on the broker at a time: most of a script is waiting for the group.
const SIDE_BY_SIDE: usize = 15;
/// The paces at which the model runs each script.
const PACES: u64 = 2;
/// The longest that a script may take on virtual time: beyond it a run is stuck.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(3600);
/// How many scripts that differ are told of, and the first of them made smaller.
const TOLD: usize = 5;

/// What the broker made of every script.
struct Real {
    runtime: Arc<Runtime>,
    broker: Arc<Broker>,
    known: OnceLock<(Keys, Vec<(Script, Transcript)>)>,
}

pub(crate) fn trials(runtime: &Arc<Runtime>, broker: &Arc<Broker>) -> Vec<Trial> {
    let known = OnceLock::new();
    let real = Arc::new(Real { runtime: Arc::clone(runtime), broker: Arc::clone(broker), known });
    let compared = Arc::clone(&real);
    let mut trials = vec![Trial::test("log_scripts::the_model_does_what_the_broker_does", move || compared.compare())];
    for fault in Fault::ALL {
        let real = Arc::clone(&real);
        trials.push(Trial::test(format!("log_scripts::{}_is_caught", fault.name()), move || real.catches(fault)));
    }
    trials
}

fn scripts() -> u64 {
    let Ok(asked) = std::env::var(VARIABLE) else { return SCRIPTS };
    asked.parse().unwrap_or_else(|_| panic!("{VARIABLE} is {asked:?}; accepted is a number such as 1000"))
}

/// Runs a script on a model on virtual time. The runtime has time and nothing else: a socket would panic instead of racing the clock.
fn on_model(script: &Script, pace: u64, fault: Option<Fault>) -> Transcript {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let run = async {
        let fixture = Wrong::new(ModelLog::new(pace), fault);
        let keys = Keys::learn(&fixture).await;
        run(&fixture, &keys, script).await
    };
    runtime.expect("a runtime can be made").block_on(async {
        let limited = tokio::time::timeout(VIRTUAL_LIMIT, run).await;
        limited.unwrap_or_else(|_| panic!("script {} is not done after {VIRTUAL_LIMIT:?} of virtual time", script.seed))
    })
}

/// The first pace at which the model differs, and how.
fn difference(script: &Script, real: &Transcript) -> Option<String> {
    (0..PACES).find_map(|pace| {
        let model = on_model(script, pace, None);
        let text = side_by_side(("model", &model), ("broker", real))?;
        Some(format!("script {} on {} partitions, pace {pace}:\n{text}", script.seed, script.partitions))
    })
}

impl Real {
    async fn on_broker(&self, keys: &Keys, scripts: Vec<Script>) -> Vec<(Script, Transcript)> {
        let runs = scripts.into_iter().map(|script| async move {
            let transcript = run(&*self.broker, keys, &script).await;
            (script, transcript)
        });
        stream::iter(runs).buffered(SIDE_BY_SIDE).collect().await
    }

    /// The keys and the transcripts, made by whoever comes first.
    fn known(&self) -> &(Keys, Vec<(Script, Transcript)>) {
        self.known.get_or_init(|| {
            self.runtime.block_on(async {
                let keys = Keys::learn(&*self.broker).await;
                let runs = self.on_broker(&keys, (0..scripts()).map(Script::draw).collect()).await;
                (keys, runs)
            })
        })
    }

    fn compare(&self) -> Result<(), Failed> {
        let (keys, runs) = self.known();
        let mut kinds: BTreeMap<&str, u64> = KINDS.iter().map(|kind| (*kind, 0)).collect();
        for (kind, count) in runs.iter().flat_map(|(_, transcript)| &transcript.kinds) {
            *kinds.entry(kind).or_insert(0) += count;
        }
        let steps: usize = runs.iter().map(|(script, _)| script.steps.len()).sum();
        println!("log scripts: {} scripts, {steps} steps at {PACES} paces; {kinds:?}", runs.len());

        let different: Vec<_> =
            runs.iter().filter_map(|(script, real)| Some((script, difference(script, real)?))).collect();
        let mut why = String::new();
        for (_, text) in different.iter().take(TOLD) {
            let _ = writeln!(why, "{text}");
        }
        if different.len() > TOLD {
            let seeds: Vec<_> = different.iter().map(|(script, _)| script.seed).collect();
            let _ = writeln!(why, "{TOLD} are shown, all that differ: {seeds:?}");
        }
        for (script, transcript) in runs {
            let broken: Vec<_> = transcript.broken().collect();
            if !broken.is_empty() {
                let _ = writeln!(why, "script {} broke laws on the broker: {broken:#?}", script.seed);
            }
        }
        if let Some((script, _)) = different.first() {
            let _ = writeln!(why, "smaller: {}", self.runtime.block_on(self.smaller(keys, (*script).clone())));
        }
        let missing: Vec<_> = kinds.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind).collect();
        if !missing.is_empty() {
            let _ = writeln!(why, "never occurred: {missing:?}");
        }
        if why.is_empty() { Ok(()) } else { Err(why.into()) }
    }

    /// Leaves steps out as long as model and broker still differ.
    async fn smaller(&self, keys: &Keys, mut script: Script) -> String {
        let mut text = "it differed once and not again".to_owned();
        let mut candidates = vec![script.clone()];
        loop {
            let runs = self.on_broker(keys, candidates).await;
            // The model blocks the thread, and brings a runtime of its own: it must not be inside this one.
            let found = std::thread::scope(|scope| {
                let look = || runs.iter().find_map(|(script, real)| Some((script.clone(), difference(script, real)?)));
                scope.spawn(look).join().expect("the model does not panic")
            });
            let Some((smaller, difference)) = found else { return text };
            (script, text) = (smaller, difference);
            candidates = shorter(&script);
        }
    }

    /// A model with a fault differs from the broker on some script.
    fn catches(&self, fault: Fault) -> Result<(), Failed> {
        let (_, runs) = self.known();
        let caught = runs.iter().find_map(|(script, real)| {
            side_by_side(("wrong model", &on_model(script, 0, Some(fault))), ("broker", real))
        });
        match caught {
            Some(text) => {
                let first = text.lines().find(|line| line.starts_with('>')).unwrap_or_default();
                println!("log scripts: {} is caught by:\n{first}", fault.name());
                Ok(())
            }
            None => Err(format!("no script of {} caught it", runs.len()).into()),
        }
    }
}
