//! The image of our own services: built around the running executable, so that harness and services are always the same build.
//!
//! In: the executable, `deploy/Dockerfile`. Out: an image that bears the executable's SHA-256. Elsewhere: building it inside a container
//! (`make image`), for an executable whose C library is newer than the image's.

use std::io::{Read, Write as _};
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use testcontainers_modules::testcontainers::bollard::body_full;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    BuildImageOptionsBuilder, BuilderVersion, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
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
/// Another run may build the same name at the same moment.
const TRIES: u32 = 3;
/// An image without a name may be about to be used by a run that knows its id; an older one is not.
const KEEP_UNNAMED_SECONDS: i64 = 3_600;

/// The image that the user chose, or one that holds the running executable.
pub(super) async fn get(
    engine: &Engine,
    scenario: Option<&String>,
    progress: &dyn Progress,
) -> Result<Found, EnvironmentError> {
    if let Some(name) = SERVICES.chosen(scenario) {
        return ensure(engine, SERVICES, &name, progress).await;
    }
    let wanted = Wanted { binary: in_background(|| sha256(&own_program())).await?, base: BASE.name(None) };
    for _ in 0..TRIES {
        if let Some(found) = wanted.current(engine).await? {
            return Ok(found);
        }
        build(engine, &wanted, progress).await?;
    }
    // The last build may have been the one that stayed.
    let found = wanted.current(engine).await?;
    found
        .ok_or_else(|| unbuilt("other runs with other executables kept replacing it; start one after the other".into()))
}

/// What the image must be made of.
struct Wanted {
    /// SHA-256 of the executable.
    binary: String,
    /// Name of the image below.
    base: String,
}

impl Wanted {
    /// The image by our name, when it holds this executable on this base.
    async fn current(&self, engine: &Engine) -> Result<Option<Found>, EnvironmentError> {
        let Some(image) = present(engine, SERVICES.default).await? else { return Ok(None) };
        let base = present(engine, &self.base).await?.and_then(|base| base.id);
        let labels = image.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
        let same_base = match base {
            Some(id) => labels.get(BASED_ON) == Some(&id),
            // It is gone since; one that somebody asked for by name is fetched.
            None => BASE.chosen(None).is_none(),
        };
        let same = same_base && labels.get(BINARY) == Some(&self.binary);
        Ok(same.then(|| Found::of(SERVICES.default, image)))
    }
}

fn unbuilt(reason: String) -> EnvironmentError {
    EnvironmentError::ImageBuild { image: SERVICES.default.to_owned(), reason }
}

async fn build(engine: &Engine, wanted: &Wanted, progress: &dyn Progress) -> Result<(), EnvironmentError> {
    let base = ensure(engine, BASE, &wanted.base, progress).await?;
    let shown = format!("image {}", SERVICES.default);
    progress.started(&shown, "its build around the running executable");
    let begun = Instant::now();
    let context = in_background(|| context(&own_program())).await?;
    let arguments = [("BASE", wanted.base.as_str()), ("BINARY_SHA256", &wanted.binary)];
    let options = BuildImageOptionsBuilder::new()
        .t(SERVICES.default)
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
            Ok(Some(Err(error))) => return Err(unbuilt(words(&error))),
            Ok(None) => break,
            Err(_) => return Err(unbuilt(format!("the engine said nothing for {} s", BUILD_SILENCE.as_secs()))),
        }
    }
    progress.ready(&shown, begun.elapsed());
    remove_old(engine).await;
    Ok(())
}

/// Removes unnamed images of earlier builds; those in use stay, as the engine refuses.
async fn remove_old(engine: &Engine) {
    let filters = [("dangling", vec!["true"]), ("label", vec![OURS])];
    let options = ListImagesOptionsBuilder::new().filters(&filters.into_iter().collect()).build();
    let Ok(images) = engine.docker.list_images(Some(options)).await else { return };
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec());
    let old = images.into_iter().filter(|image| image.created < now - KEEP_UNNAMED_SECONDS);
    join_all(old.map(async |image| {
        let options = RemoveImageOptionsBuilder::new().build();
        if let Err(error) = engine.docker.remove_image(&image.id, Some(options), None).await {
            tracing::debug!(image.id, error = words(&error), "an earlier image of the services stays");
        }
    }))
    .await;
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
    fn a_file_has_the_digest_that_everybody_computes() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "abc").expect("write");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(file.path()).expect("read"), expected);
    }
}
