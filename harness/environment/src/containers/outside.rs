//! Questions about the engine from those who are in no run: doctor, orphans, tests. Most may be asked without a runtime.

use std::time::Duration;

use super::engine::{Engine, address, client, may_answer};
use super::images::{BASE, Found, KAFKA, POSTGRES, Part, REDIS, SERVICES, fits, present};
use super::leftovers::{Expect, Removed, ownerless, remove_run};
use crate::EnvironmentError;

/// For an engine to say what it holds: whoever asks does not need one, and must not wait.
const ANSWER: Duration = Duration::from_secs(1);
/// For the removal of what one run left.
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
    let services = SERVICES.chosen(None).map_or((BASE, BASE.name(None)), |name| (SERVICES, name));
    let mut all: Vec<(Part, String)> =
        [POSTGRES, KAFKA, REDIS].into_iter().map(|part| (part, part.name(None))).collect();
    all.push(services);
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

/// Runs without an owner that the engine still holds something of; none when it does not answer at once.
pub(crate) fn ownerless_runs() -> Vec<String> {
    let address = address();
    if !may_answer(&address) {
        return Vec::new();
    }
    alone(async move {
        let Ok(docker) = client(&address) else { return Vec::new() };
        let runs = tokio::time::timeout(ANSWER, ownerless(&docker)).await;
        runs.ok().and_then(Result::ok).unwrap_or_default()
    })
}

/// Removes what [`ownerless_runs`] names.
pub(crate) fn remove_ownerless() -> Removed {
    let runs = ownerless_runs();
    if runs.is_empty() {
        return Removed::default();
    }
    alone(async move {
        let mut all = Removed::default();
        let docker = match client(&address()) {
            Ok(docker) => docker,
            Err(error) => return Removed { left: vec![error.to_string()], ..all },
        };
        for run in runs {
            let removed = remove_run(&docker, &run, Expect::Little, REMOVAL).await;
            all.containers += removed.containers;
            all.networks += removed.networks;
            all.volumes += removed.volumes;
            all.left.extend(removed.left);
        }
        all
    })
}

/// Answers a question on a thread and runtime of its own, so that callers need none and those that have one do not block in it twice.
fn alone<T: Send>(question: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime needs a few file descriptors only").block_on(question)
    };
    std::thread::scope(|scope| scope.spawn(run).join()).expect("a question about the engine panicked")
}
