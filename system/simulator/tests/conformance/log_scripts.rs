//! The log's scripts on the model alone: no law is broken, and no transcript depends on pace.
//!
//! In: seeds. Out: one trial. Elsewhere: the same scripts on a real broker, compared with these (`adapters/tests`).

use bankstorm_outside::conformance::log::script::{Keys, Script, Transcript, run, side_by_side};
use libtest_mimic::Trial;

use crate::log::Fixture;
use crate::{on_virtual_time, over_seeds};

/// Scripts a seed of the list.
const SCRIPTS: u64 = 25;
const PACES: u64 = 3;

pub(crate) fn trials() -> Vec<Trial> {
    vec![over_seeds("log::scripts_keep_the_laws_at_any_pace".to_owned(), |seed| {
        for script in (seed * SCRIPTS..(seed + 1) * SCRIPTS).map(Script::draw) {
            let mut first: Option<Transcript> = None;
            for pace in 0..PACES {
                let transcript = transcript(&script, pace);
                let broken: Vec<_> = transcript.broken().collect();
                assert!(broken.is_empty(), "script {} at pace {pace}: {broken:#?}\n{script:#?}", script.seed);
                let first = first.get_or_insert_with(|| transcript.clone());
                if let Some(text) = side_by_side(("pace 0", first), ("another", &transcript)) {
                    panic!("script {} depends on pace {pace}:\n{text}", script.seed);
                }
            }
        }
    })]
}

fn transcript(script: &Script, pace: u64) -> Transcript {
    on_virtual_time(async {
        let fixture = Fixture::new(pace);
        let keys = Keys::learn(&fixture).await;
        run(&fixture, &keys, script).await
    })
}
