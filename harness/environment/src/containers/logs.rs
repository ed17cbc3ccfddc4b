//! The containers' output, written to one file a node as it happens; that of restarts follows.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use testcontainers_modules::testcontainers::bollard::query_parameters::LogsOptionsBuilder;

use super::engine::words;
use super::run::Run;
pub(super) use crate::local::launch::{log_contains as contains, log_length as length};

/// Follows the output of `node` until its present start ends. The engine gives it from the first start on, so what the file has already is
/// skipped.
#[expect(clippy::disallowed_methods, reason = "harness room: reads until the container ends")]
pub(super) fn follow(run: &Arc<Run>, node: &str, id: &str) {
    run.nodes.change(node, |entry| entry.log_ended = false);
    let (run, node, id) = (Arc::clone(run), node.to_owned(), id.to_owned());
    tokio::spawn(async move {
        if let Err(reason) = copy(&run, &node, &id).await {
            tracing::warn!(node, reason, "the log of a container is not complete");
        }
        run.nodes.change(&node, |entry| entry.log_ended = true);
    });
}

async fn copy(run: &Run, node: &str, id: &str) -> Result<(), String> {
    let path = run.log(node);
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| format!("could not open {}: {error}", path.display()))?;
    let mut skip = run.nodes.get(node).map_or(0, |entry| entry.logged);
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).tail("all").build();
    let mut output = std::pin::pin!(run.engine.docker.logs(id, Some(options)));
    while let Some(chunk) = output.next().await {
        let bytes = chunk.map_err(|error| words(&error))?.into_bytes();
        let known = skip.min(bytes.len() as u64);
        skip -= known;
        let new = &bytes[known as usize..];
        file.write_all(new).map_err(|error| format!("could not write {}: {error}", path.display()))?;
        run.nodes.change(node, |entry| entry.logged += new.len() as u64);
    }
    Ok(())
}

/// What follows `before` in a log, up to the next blank.
pub(super) fn word_after(log: &Path, before: &str) -> Option<String> {
    let raw = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&raw);
    let (_, after) = text.split_once(before)?;
    after.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lines_are_found_in_a_log() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "old line\nINFO Kafka version: 4.3.0 (AppInfoParser)\n").expect("write");
        assert_eq!(word_after(file.path(), "Kafka version: ").as_deref(), Some("4.3.0"));
        assert_eq!(word_after(file.path(), "Redis version="), None);
        assert!(contains(file.path(), 0, "old line") && !contains(file.path(), 5, "old line"));
        assert_eq!(length(file.path()), 51);
    }
}
