//! Questions about the engine from those who are in no run: doctor, orphans, tests. Most may be asked without a runtime.

use std::time::Duration;

use futures_util::future::join_all;

use super::engine::{Engine, address, client, is_absent_or_closed, may_answer, silent, words};
use super::images::{BASE, Found, KAFKA, POSTGRES, Part, REDIS, SERVICES, fits, present};
use super::leftovers::{Expect, Removed, ownerless, remove_run};
use super::services_image::{Keep, remove_unused};
use crate::EnvironmentError;

/// For the removal of what all runs left.
const REMOVAL: Duration = Duration::from_secs(10);

/// Whether a run in containers can start here without fetching anything: the engine answers, and all images are there that a run may need
/// (for our services, what they are built on).
///
/// # Errors
/// What is missing, and what helps.
pub async fn available() -> Result<(), EnvironmentError> {
    let engine = Engine::find().await?;
    for (part, found) in images(&engine).await? {
        if let Err(name) = found {
            let reason = "it was not looked for in a registry".to_owned();
            return Err(EnvironmentError::NoImage { image: name, reason, variable: part.variable });
        }
    }
    Ok(())
}

/// [`available`], for those who have no runtime.
///
/// # Errors
/// As [`available`].
pub fn available_blocking() -> Result<(), EnvironmentError> {
    alone(available())
}

/// What doctor shows of the engine, and of each image: what it is, or the name of one that is not there.
pub(crate) struct Seen {
    pub(crate) address: String,
    pub(crate) version: String,
    pub(crate) images: Vec<Result<String, String>>,
}

/// Asks the engine what doctor wants to know.
pub(crate) fn examine() -> Result<Seen, EnvironmentError> {
    alone(async {
        let engine = Engine::find().await?;
        let images = images(&engine).await?.into_iter().map(|(_, found)| found.map(|found| found.short())).collect();
        Ok(Seen { address: engine.address, version: format!("{}, {}", engine.version, engine.storage), images })
    })
}

/// Every image that a run may need: what was found, or its name.
async fn images(engine: &Engine) -> Result<Vec<(Part, Result<Found, String>)>, EnvironmentError> {
    let mut all: Vec<(Part, String)> = Vec::new();
    for part in [POSTGRES, KAFKA, REDIS] {
        all.push((part, part.name(None)?));
    }
    all.push(match SERVICES.chosen(None)? {
        Some(name) => (SERVICES, name),
        None => (BASE, BASE.name(None)?),
    });
    let mut seen = Vec::new();
    for (part, name) in all {
        let found = match present(engine, &name).await? {
            Some(image) => {
                fits(engine, &name, &image)?;
                Ok(Found::of(&name, image))
            }
            None => Err(name),
        };
        seen.push((part, found));
    }
    Ok(seen)
}

/// How much somebody wants to know of what is left in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A start passes by: nobody waits for the engine, and nobody is told.
    Passing,
    /// Somebody asked: the engine has time, its silence is told, and images of the services that nobody uses go too.
    Asked,
}

impl Patience {
    /// For the engine to say what it holds.
    fn answer(self) -> Duration {
        match self {
            Self::Passing => Duration::from_secs(1),
            Self::Asked => Duration::from_secs(10),
        }
    }
}

/// Runs without an owner that the engine still holds something of; none when it does not answer at once.
pub(crate) fn ownerless_runs() -> Vec<String> {
    let address = address();
    if !may_answer(&address) {
        return Vec::new();
    }
    alone(async move {
        let Ok(docker) = client(&address) else { return Vec::new() };
        let runs = tokio::time::timeout(Patience::Passing.answer(), ownerless(&docker)).await;
        runs.ok().and_then(Result::ok).unwrap_or_default()
    })
}

/// Removes what runs without an owner left, all at the same time under one limit.
pub(crate) fn remove_ownerless(patience: Patience) -> Removed {
    let address = address();
    if !may_answer(&address) {
        return Removed::default();
    }
    alone(async move {
        let Ok(docker) = client(&address) else { return Removed::default() };
        let runs = match tokio::time::timeout(patience.answer(), ownerless(&docker)).await {
            Ok(Ok(runs)) => runs,
            // Nobody runs it, or it is not this user's: then nothing of this user is in it.
            Ok(Err(error)) if is_absent_or_closed(&error) => return Removed::default(),
            Ok(Err(error)) => return unknown(patience, format!("the engine at {address}: {}", words(&error))),
            Err(_) => return unknown(patience, silent(&address, patience.answer())),
        };
        let mut all = Removed::default();
        let removals = runs.iter().map(|run| remove_run(&docker, run, Expect::Little, REMOVAL));
        for removed in join_all(removals).await {
            all.containers += removed.containers;
            all.networks += removed.networks;
            all.volumes += removed.volumes;
            all.left.extend(removed.left);
        }
        if patience == Patience::Asked
            && tokio::time::timeout(REMOVAL, remove_unused(&docker, Keep::None)).await.is_err()
        {
            all.left.push(format!("unused images of the services: {}", silent(&address, REMOVAL)));
        }
        all
    })
}

/// What the engine holds is not known: told to those who asked.
fn unknown(patience: Patience, reason: String) -> Removed {
    let left = match patience {
        Patience::Asked => vec![reason],
        Patience::Passing => Vec::new(),
    };
    Removed { left, ..Removed::default() }
}

/// Answers a question on a thread and runtime of its own, so that callers need none and those that have one do not block in it twice.
fn alone<T: Send>(question: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime needs a few file descriptors only").block_on(question)
    };
    std::thread::scope(|scope| scope.spawn(run).join()).expect("a question about the engine panicked")
}
