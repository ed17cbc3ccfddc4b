//! Images: which ones, whether they are there, and whether this engine can run them.
//!
//! In: environment variables, [`Images`](crate::needs::Images), defaults. Out: the id of each image, or an error that names the image, the
//! cause and what helps. Elsewhere: the image of our own services (`services_image`).

use std::time::Duration;

use futures_util::StreamExt;
use testcontainers_modules::testcontainers::bollard::models::ImageInspect;
use testcontainers_modules::testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use tokio::time::{Instant, timeout};

use super::engine::{Engine, failed, is_absent, words};
use crate::EnvironmentError;
use crate::progress::Progress;

/// A registry that sends nothing for so long counts as out of reach.
const REGISTRY_SILENCE: Duration = Duration::from_secs(6);
/// Between two lines about a pull that goes on.
const TELL_AGAIN: Duration = Duration::from_secs(3);
/// Named with the limit of a pull: none, as long as something comes.
const PULL_SHOWN_LIMIT: Duration = Duration::from_secs(600);

/// Says what an image of the offline kind was built from.
const STAND_IN: &str = "org.bankstorm.stand-in";

/// What an image is for, and where its name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Key under `[images]`, and the name in reports.
    pub(super) key: &'static str,
    pub(super) default: &'static str,
    /// Beats everything else.
    pub(super) variable: &'static str,
}

pub(super) const POSTGRES: Part =
    Part { key: "postgres", default: "postgres:15-bookworm", variable: "BANKSTORM_IMAGE_POSTGRES" };
pub(super) const KAFKA: Part = Part { key: "kafka", default: "apache/kafka:4.3.0", variable: "BANKSTORM_IMAGE_KAFKA" };
pub(super) const REDIS: Part = Part { key: "redis", default: "redis:7.0-bookworm", variable: "BANKSTORM_IMAGE_REDIS" };
/// The default stands for an image that is built when it is needed.
pub(super) const SERVICES: Part =
    Part { key: "services", default: "bankstorm:local", variable: "BANKSTORM_IMAGE_SERVICES" };
/// Below the services' image.
pub(super) const BASE: Part = Part { key: "base", default: "debian:bookworm-slim", variable: "BANKSTORM_IMAGE_BASE" };

impl Part {
    /// The name that the user gave, if any: the variable, else what the scenario says.
    pub(super) fn chosen(self, scenario: Option<&String>) -> Option<String> {
        let variable = std::env::var(self.variable).ok().filter(|name| !name.trim().is_empty());
        variable.or_else(|| scenario.cloned())
    }

    /// The name to use.
    pub(super) fn name(self, scenario: Option<&String>) -> String {
        self.chosen(scenario).unwrap_or_else(|| self.default.to_owned())
    }
}

/// An image that is there and that this engine can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As asked for: `postgres:15-bookworm`.
    pub(super) name: String,
    /// `sha256:...`: what containers are made from, so that nobody can swap it under a run.
    pub(super) id: String,
    /// User that it runs as, when it says so.
    pub(super) user: Option<String>,
    stand_in: Option<String>,
}

impl Found {
    pub(super) fn of(name: &str, image: ImageInspect) -> Self {
        let config = image.config.unwrap_or_default();
        Self {
            name: name.to_owned(),
            id: image.id.unwrap_or_default(),
            user: config.user.filter(|user| !user.is_empty()),
            stand_in: config.labels.unwrap_or_default().remove(STAND_IN),
        }
    }

    /// The two halves of the id, as testcontainers takes a name and a tag.
    pub(super) fn name_and_tag(&self) -> (String, String) {
        let (name, tag) = self.id.split_once(':').unwrap_or((&self.id, "latest"));
        (name.to_owned(), tag.to_owned())
    }

    /// `postgres:15-bookworm (stand-in)`.
    pub(super) fn short(&self) -> String {
        let stand_in = if self.stand_in.is_some() { " (stand-in)" } else { "" };
        format!("{}{stand_in}", self.name)
    }

    /// `postgres:15-bookworm sha256:0123456789ab (stand-in: ...)`.
    pub(super) fn fact(&self) -> String {
        let short: String = self.id.chars().take("sha256:".len() + 12).collect();
        let stand_in = self.stand_in.as_ref().map(|from| format!(" (stand-in: {from})")).unwrap_or_default();
        format!("{} {short}{stand_in}", self.name)
    }
}

/// Looks without fetching anything.
pub(super) async fn present(engine: &Engine, name: &str) -> Result<Option<ImageInspect>, EnvironmentError> {
    match engine.docker.inspect_image(name).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed(format!("look at image {name}"))(error)),
    }
}

/// The image `name`, fetched when it is not there.
pub(super) async fn ensure(
    engine: &Engine,
    part: Part,
    name: &str,
    progress: &dyn Progress,
) -> Result<Found, EnvironmentError> {
    let image = match present(engine, name).await? {
        Some(image) => image,
        None => {
            let missing =
                |reason| EnvironmentError::NoImage { image: name.to_owned(), reason, variable: part.variable };
            let shown = format!("image {name}");
            if let Err(reason) = pull(engine, name, &shown, progress).await {
                progress.failed(&shown, &reason);
                return Err(missing(reason));
            }
            present(engine, name).await?.ok_or_else(|| missing("it was fetched and is not there".into()))?
        }
    };
    fits(engine, name, &image)?;
    Ok(Found::of(name, image))
}

/// Fetches `name`, as long as something comes.
async fn pull(engine: &Engine, name: &str, shown: &str, progress: &dyn Progress) -> Result<(), String> {
    let from = "its registry";
    progress.started(shown, from);
    let (begun, mut told) = (Instant::now(), Instant::now());
    let options = CreateImageOptionsBuilder::new().from_image(name).build();
    let mut steps = std::pin::pin!(engine.docker.create_image(Some(options), None, None));
    loop {
        match timeout(REGISTRY_SILENCE, steps.next()).await {
            Ok(Some(Ok(step))) => {
                if let Some(message) = step.error_detail.and_then(|error| error.message) {
                    return Err(message);
                }
                if told.elapsed() >= TELL_AGAIN {
                    told = Instant::now();
                    progress.waiting(shown, from, begun.elapsed(), PULL_SHOWN_LIMIT);
                }
            }
            Ok(Some(Err(error))) => return Err(words(&error)),
            Ok(None) => {
                progress.ready(shown, begun.elapsed());
                return Ok(());
            }
            Err(_) => return Err(format!("nothing came from its registry for {} s", REGISTRY_SILENCE.as_secs())),
        }
    }
}

/// An image of another architecture would start and die, or run many times slower under emulation: a benchmark must not.
pub(super) fn fits(engine: &Engine, name: &str, image: &ImageInspect) -> Result<(), EnvironmentError> {
    let part = |value: &Option<String>| value.clone().unwrap_or_default();
    let has = format!("{}/{}", part(&image.os), part(&image.architecture));
    if has == engine.platform {
        return Ok(());
    }
    Err(EnvironmentError::WrongPlatform { image: name.to_owned(), has, engine: engine.platform.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_name_id_and_what_stands_in() {
        let mut found = Found {
            name: "postgres:15-bookworm".into(),
            id: format!("sha256:{}", "ab".repeat(32)),
            user: None,
            stand_in: None,
        };
        assert_eq!(found.fact(), "postgres:15-bookworm sha256:abababababab");
        assert_eq!(found.name_and_tag(), ("sha256".into(), "ab".repeat(32)));
        assert_eq!(found.short(), "postgres:15-bookworm");
        found.stand_in = Some("postgresql-15 of Debian".into());
        assert_eq!(found.short(), "postgres:15-bookworm (stand-in)");
        assert_eq!(found.fact(), "postgres:15-bookworm sha256:abababababab (stand-in: postgresql-15 of Debian)");
    }

    #[test]
    fn a_missing_image_is_named_with_its_cause_and_three_ways_out() {
        let error =
            EnvironmentError::NoImage { image: "x:1".into(), reason: "no route".into(), variable: KAFKA.variable };
        let shown = error.to_string();
        for expected in
            ["x:1", "no route", "docker pull x:1", "make offline-images", "[images]", "BANKSTORM_IMAGE_KAFKA"]
        {
            assert!(shown.contains(expected), "no `{expected}` in {shown}");
        }
    }

    #[test]
    fn the_scenario_beats_the_default() {
        assert_eq!(REDIS.name(Some(&"redis:8".into())), "redis:8");
        assert_eq!(REDIS.name(None), "redis:7.0-bookworm");
    }
}
