//! The image of our own services: built around the running executable, so that harness and services are always the same build.
//!
//! In: the executable, `deploy/Dockerfile`. Out: an image that bears the executable's SHA-256. Elsewhere: building it inside a container
//! (`make image`), for an executable whose C library is newer than the image's.

use std::collections::BTreeSet;
use std::io::{Read, Write as _};
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    BuildImageOptionsBuilder, BuilderVersion, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use testcontainers_modules::testcontainers::bollard::{Docker, body_full};
use tokio::time::{Instant, timeout};

use super::engine::{Engine, words};
use super::images::{BASE, Found, SERVICES, ensure, present};
use crate::EnvironmentError;
use crate::progress::Progress;
use crate::reaper::client::own_program;

const DOCKERFILE: &str = include_str!("../../../../deploy/Dockerfile");
/// The stage that takes the executable as it is.
const TARGET: &str = "runtime";
/// SHA-256 of the executable inside.
const BINARY: &str = "org.bankstorm.binary";
/// Id of the image below.
const BASED_ON: &str = "org.bankstorm.base";
/// Tells our images from others.
const OURS: &str = "org.bankstorm.image=services";
/// Between two words of the engine. The first one comes after it has taken the executable in.
const BUILD_SILENCE: Duration = Duration::from_secs(180);
/// Another run may build the same executable on another base at the same moment.
const TRIES: u32 = 3;
/// A younger image may be about to be used by a run that knows its id.
const YOUNG_SECONDS: i64 = 600;
/// How many of the latest stay after a start: those of the branches that somebody works on in turn.
const LATEST: usize = 3;

/// The image that the user chose, or one that holds the running executable.
pub(super) async fn get(
    engine: &Engine,
    scenario: Option<&String>,
    progress: &dyn Progress,
) -> Result<Found, EnvironmentError> {
    if let Some(name) = SERVICES.chosen(scenario)? {
        return ensure(engine, SERVICES, &name, progress).await;
    }
    let wanted = Wanted { binary: in_background(|| sha256(&own_program())).await?, base: BASE.name(None)? };
    for _ in 0..TRIES {
        if let Some(found) = wanted.current(engine).await? {
            return Ok(found);
        }
        build(engine, &wanted, progress).await?;
    }
    // The last build may have been the one that stayed.
    let found = wanted.current(engine).await?;
    found.ok_or_else(|| {
        unbuilt(&wanted.name(), "runs with another base kept replacing it; start one after the other".into())
    })
}

/// What the image must be made of.
struct Wanted {
    /// SHA-256 of the executable.
    binary: String,
    /// Name of the image below.
    base: String,
}

impl Wanted {
    /// One name for each executable, so that two that run side by side do not take it from each other.
    fn name(&self) -> String {
        format!("{}-{}", SERVICES.default, self.binary.chars().take(12).collect::<String>())
    }

    /// The image by that name, when it holds this executable on this base.
    async fn current(&self, engine: &Engine) -> Result<Option<Found>, EnvironmentError> {
        let name = self.name();
        let Some(image) = present(engine, &name).await? else { return Ok(None) };
        let base = present(engine, &self.base).await?.and_then(|base| base.id);
        let labels = image.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
        let same_base = match base {
            Some(id) => labels.get(BASED_ON) == Some(&id),
            // It is gone since; one that somebody asked for by name is fetched.
            None => BASE.chosen(None)?.is_none(),
        };
        let same = same_base && labels.get(BINARY) == Some(&self.binary);
        Ok(same.then(|| Found::of(&name, image)))
    }
}

fn unbuilt(image: &str, reason: String) -> EnvironmentError {
    EnvironmentError::ImageBuild { image: image.to_owned(), reason }
}

async fn build(engine: &Engine, wanted: &Wanted, progress: &dyn Progress) -> Result<(), EnvironmentError> {
    let base = ensure(engine, BASE, &wanted.base, progress).await?;
    let name = wanted.name();
    let shown = format!("image {name}");
    progress.started(&shown, "its build around the running executable");
    let begun = Instant::now();
    let context = in_background(|| context(&own_program())).await?;
    let arguments = [("BASE", wanted.base.as_str()), ("BINARY_SHA256", &wanted.binary)];
    let options = BuildImageOptionsBuilder::new()
        .t(&name)
        .target(TARGET)
        .buildargs(&arguments.into_iter().collect())
        .labels(&[(BASED_ON, base.id)].into_iter().collect())
        // The first builder, which every engine has: the second one needs a session.
        .version(BuilderVersion::BuilderV1)
        // No step needs one, and an engine without its default bridge still builds.
        .networkmode("none")
        .rm(true)
        .forcerm(true)
        .build();
    let docker = engine.docker.clone().with_timeout(BUILD_SILENCE);
    let mut steps = std::pin::pin!(docker.build_image(options, None, Some(body_full(context.into()))));
    loop {
        match timeout(BUILD_SILENCE, steps.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(unbuilt(&name, words(&error))),
            Ok(None) => break,
            Err(_) => {
                let reason = format!("the engine said nothing for {} s", BUILD_SILENCE.as_secs());
                return Err(unbuilt(&name, reason));
            }
        }
    }
    progress.ready(&shown, begun.elapsed());
    Ok(())
}

/// Which images of the services stay though no container uses them, besides the young ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The latest few.
    Latest,
    /// None.
    None,
}

/// Removes images of the services that no container uses, named or not.
pub(crate) async fn remove_unused(docker: &Docker, keep: Keep) {
    let images = ListImagesOptionsBuilder::new().filters(&[("label", vec![OURS])].into_iter().collect()).build();
    let containers = ListContainersOptionsBuilder::new().all(true).build();
    // Containers last: one that is created meanwhile holds its image by itself.
    let Ok(images) = docker.list_images(Some(images)).await else { return };
    let Ok(containers) = docker.list_containers(Some(containers)).await else { return };
    let used: BTreeSet<String> = containers.into_iter().filter_map(|one| one.image_id).collect();
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec());
    let images = images.into_iter().map(|image| (image.created, image.id)).collect();
    join_all(unused(images, &used, now, keep).into_iter().map(async |id| {
        // Without force: one that a container began to use meanwhile is refused.
        let options = RemoveImageOptionsBuilder::new().build();
        if let Err(error) = docker.remove_image(&id, Some(options), None).await {
            tracing::debug!(id, error = words(&error), "an earlier image of the services stays");
        }
    }))
    .await;
}

/// Ids to remove of images with their time of creation in seconds.
fn unused(mut images: Vec<(i64, String)>, used: &BTreeSet<String>, now: i64, keep: Keep) -> Vec<String> {
    images.sort_unstable();
    images.dedup();
    let latest = match keep {
        Keep::Latest => LATEST,
        Keep::None => 0,
    };
    let earlier = images.into_iter().rev().skip(latest);
    earlier.filter(|(created, id)| *created < now - YOUNG_SECONDS && !used.contains(id)).map(|(_, id)| id).collect()
}

#[expect(clippy::disallowed_methods, reason = "harness room: reads a large file, off the runtime")]
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, EnvironmentError> {
    let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|error| EnvironmentError::io("read", &own_program())(error))
}

fn sha256(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..read]);
    }
}

/// The build context: a tar archive of the Dockerfile and the executable.
fn context(program: &Path) -> std::io::Result<Vec<u8>> {
    let executable = std::fs::read(program)?;
    let mut archive = Vec::with_capacity(executable.len() + DOCKERFILE.len() + 8 * BLOCK);
    entry(&mut archive, "Dockerfile", 0o644, DOCKERFILE.as_bytes())?;
    entry(&mut archive, "bankstorm", 0o755, &executable)?;
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

const BLOCK: usize = 512;

/// One file in the format that POSIX calls ustar. The time is always 0, so that the same file is the same archive.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| (&mut header[at..]).write_all(text.as_bytes());
    put(0, name)?;
    put(100, &format!("{mode:07o}"))?;
    put(108, "0000000")?;
    put(116, "0000000")?;
    put(124, &format!("{:011o}", content.len()))?;
    put(136, "00000000000")?;
    // The sum is taken with eight spaces in its own place.
    put(148, "        ")?;
    put(156, "0")?;
    put(257, "ustar")?;
    put(263, "00")?;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    (&mut header[148..]).write_all(format!("{sum:06o}\0 ").as_bytes())?;
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_an_archive_that_others_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let program = folder.path().join("program");
        std::fs::write(&program, vec![7_u8; 1_000]).expect("write");
        let archive = folder.path().join("context.tar");
        std::fs::write(&archive, context(&program).expect("context")).expect("write");
        let listed = std::process::Command::new("tar").arg("-tvf").arg(&archive).output().expect("tar");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        assert!(lines[0].starts_with("-rw-r--r--") && lines[0].ends_with("Dockerfile"), "{listed}");
        assert!(lines[1].starts_with("-rwxr-xr-x") && lines[1].contains(" 1000 "), "{listed}");
    }

    #[test]
    fn young_used_and_the_latest_images_stay() {
        let images = || (0..8).map(|age| (10_000 - 400 * age, age.to_string())).collect::<Vec<_>>();
        let used = BTreeSet::from(["5".to_owned()]);
        assert_eq!(unused(images(), &used, 10_000, Keep::Latest), ["3", "4", "6", "7"]);
        assert_eq!(unused(images(), &used, 10_000, Keep::None), ["2", "3", "4", "6", "7"]);
        assert_eq!(unused(images(), &used, 8_900, Keep::Latest), ["6", "7"]);
    }

    #[test]
    fn a_file_has_the_digest_that_everybody_computes() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "abc").expect("write");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(file.path()).expect("read"), expected);
    }
}
