//! Images: which ones, whether they are there, and whether this engine can run them.
//!
//! In: environment variables, [`Images`](crate::needs::Images), defaults. Out: the id of each image, or an error that names the image, the
//! cause and what helps. Elsewhere: the image of our own services (`services_image`).

use std::time::Duration;

use futures_util::StreamExt;
use testcontainers_modules::testcontainers::bollard::models::ImageInspect;
use testcontainers_modules::testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use tokio::time::{Instant, timeout};

use super::engine::{Engine, SMALL, failed, is_absent, silent, words};
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
    pub(super) fn chosen(self, scenario: Option<&String>) -> Result<Option<String>, EnvironmentError> {
        match std::env::var(self.variable).ok().filter(|name| !name.trim().is_empty()) {
            Some(name) => self.accept(name).map(Some),
            None => Ok(scenario.cloned()),
        }
    }

    /// As in a scenario: a name without a tag would be another image tomorrow.
    fn accept(self, name: String) -> Result<String, EnvironmentError> {
        let last = name.rsplit('/').next().unwrap_or_default();
        let tagged = last.split_once(':').is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty());
        if tagged && !name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Ok(name);
        }
        let accepted = "accepted is name:tag without blanks, such as postgres:18";
        Err(EnvironmentError::Needs { field: self.variable, value: name, accepted })
    }

    /// The name to use.
    pub(super) fn name(self, scenario: Option<&String>) -> Result<String, EnvironmentError> {
        Ok(self.chosen(scenario)?.unwrap_or_else(|| self.default.to_owned()))
    }
}

/// An image that is there and that this engine can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As asked for: `postgres:15-bookworm`.
    pub(super) name: String,
    /// `sha256:...`: what containers are made from, so that nobody can swap it under a run.
    pub(super) id: String,
    /// Version of its Java, when it says one.
    pub(super) java: Option<String>,
    stand_in: Option<String>,
}

impl Found {
    pub(super) fn of(name: &str, image: ImageInspect) -> Self {
        let config = image.config.unwrap_or_default();
        let stand_in = config.labels.unwrap_or_default().remove(STAND_IN);
        Self {
            name: name.to_owned(),
            id: image.id.unwrap_or_default(),
            java: java(&config.env.unwrap_or_default(), stand_in.as_deref()),
            stand_in,
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

/// The version of Java in an image: what its environment says, else what a stand-in was built from (`openjdk-17-jre-headless 17.0.21...`).
fn java(environment: &[String], stand_in: Option<&str>) -> Option<String> {
    let said = environment.iter().find_map(|one| one.strip_prefix("JAVA_VERSION="));
    let package = || stand_in?.split_once("openjdk-")?.1.split([' ', ',']).nth(1);
    said.or_else(package).map(str::to_owned)
}

/// Looks without fetching anything.
pub(super) async fn present(engine: &Engine, name: &str) -> Result<Option<ImageInspect>, EnvironmentError> {
    let doing = format!("look at image {name}");
    match timeout(SMALL, engine.docker.inspect_image(name)).await {
        Ok(Ok(image)) => Ok(Some(image)),
        Ok(Err(error)) if is_absent(&error) => Ok(None),
        Ok(Err(error)) => Err(failed(doing)(error)),
        Err(_) => Err(EnvironmentError::Engine { doing, reason: silent(&engine.address, SMALL) }),
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
            java: None,
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
    fn the_version_of_java_is_found_where_an_image_says_it() {
        let label = "Debian bookworm openjdk-17-jre-headless 17.0.21.1+2-1, Apache Kafka 4.3.0 jars";
        assert_eq!(java(&[], Some(label)).as_deref(), Some("17.0.21.1+2-1"));
        assert_eq!(java(&["JAVA_VERSION=jdk-21.0.7+6".into()], Some(label)).as_deref(), Some("jdk-21.0.7+6"));
        assert_eq!(java(&["A=b".into()], None), None);
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
        assert_eq!(REDIS.name(Some(&"redis:8".into())).expect("a name"), "redis:8");
        assert_eq!(REDIS.name(None).expect("a name"), "redis:7.0-bookworm");
    }

    #[test]
    fn a_variable_without_a_tag_is_refused_with_what_is_accepted() {
        for good in ["redis:8", "registry.example:5000/redis:8", "redis:8@sha256:ab"] {
            assert_eq!(REDIS.accept(good.into()).expect(good), good);
        }
        for bad in ["redis", "redis:", ":8", "registry.example:5000/redis", "redis :8"] {
            let error = REDIS.accept(bad.into()).expect_err(bad).to_string();
            assert!(error.contains("BANKSTORM_IMAGE_REDIS") && error.contains("name:tag"), "{error}");
        }
    }
}
