//! Publishing: a run folder becomes a small folder of `results/`, a line of its index, and a row of the README's table.
//!
//! In: [`Ask`]. Out: `results/<run_id>/` with `manifest.json`, the line, the README's blocks; or why not. Elsewhere: what is in a run folder
//! (`publish::source`), which files are copied (`publish::files`) and to where (`publish::slot`), figures (`publish::figures`), criterion's
//! estimates (`publish::bench`), the README (`publish::readme`, `publish::sample`), the documents' form (`record::published`).
//!
//! A published number has its manifest, or it is none: nothing else writes the index, and nothing but the index makes the table, or says of
//! which run the sample is.

mod bench;
mod figures;
mod files;
mod index;
mod readme;
mod sample;
mod slot;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use bankstorm_record::parquet::RecordError;
use bankstorm_record::published::{IndexLine, Manifest, ManifestFile, SCHEMA};
use bankstorm_record::run_json::Build;
use bankstorm_record::save::write_json;

use self::files::Copied;
use self::index::Index;
use self::readme::Readme;
use self::slot::Slot;
use self::source::Found;
pub use bench::publish_bench;
pub use index::read as read_index;

/// The most bytes that a published folder may take, unless another limit is asked for.
pub const LIMIT_BYTES: u64 = 5_000_000;
/// The manifest's name.
const MANIFEST: &str = "manifest.json";

/// What is to be published, and where.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The run folder, or criterion's.
    pub from: &'a Path,
    /// The folder of published runs.
    pub into: &'a Path,
    /// The file whose table of figures is rebuilt, and its sample of a report where it has a place for one.
    pub readme: Option<&'a Path>,
    /// Its scenario is not the shipped one of that name.
    pub changed: bool,
    /// Takes the place of what was published of the same run.
    pub again: bool,
    /// Publishes also what is invalid or violated, marked as such.
    pub anyway: bool,
    /// The most bytes that its folder may take.
    pub limit_bytes: u64,
    /// This build.
    pub by: Build,
    /// Now: RFC 3339, UTC.
    pub at: String,
}

/// What was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Its folder.
    pub folder: PathBuf,
    /// Its line in the index.
    pub line: IndexLine,
    /// Files that were copied, and their bytes.
    pub copied: (u64, u64),
    /// Files that were left out, and their bytes.
    pub left_out: (u64, u64),
}

/// Why something was not published. Nothing is written then; only [`PublishError::Stale`] says that all but the README is.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is nothing in the folder that could be published.
    #[error(
        "{0} holds none of run.json, sweep.json, simulate.json, ablate.json, calibrate.json: accepted is a folder of one of them"
    )]
    Nothing(PathBuf),
    /// A document cannot be read.
    #[error("{0}")]
    Unreadable(#[from] RecordError),
    /// A document lacks what a line of the index needs.
    #[error("{path}: {problem}")]
    Document {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The evidence is not what the run wrote.
    #[error("{run} is not what its run.json says, and such a run is never published: {}", .problems.join("; "))]
    Changed {
        /// The run folder.
        run: PathBuf,
        /// One sentence a file.
        problems: Vec<String>,
    },
    /// It did not end well.
    #[error("{run_id} is not published: {why}; --anyway publishes it all the same, marked as such")]
    Unfit {
        /// The run.
        run_id: String,
        /// What it ended with.
        why: String,
    },
    /// It is published already.
    #[error("{run_id} is published already, in {folder}; --again puts it there anew")]
    Twice {
        /// The run.
        run_id: String,
        /// Where it lies.
        folder: PathBuf,
    },
    /// A name that is no folder's.
    #[error(
        "the run is called {0:?}; accepted for a folder are letters, digits, `-`, `_`, `+` and `.`, the first no dot"
    )]
    Name(String),
    /// It would take too much room.
    #[error(
        "{run_id} would take {bytes} bytes, and the limit is {limit}; the largest are {largest}; --limit-mb sets another limit"
    )]
    TooLarge {
        /// The run.
        run_id: String,
        /// What it would take.
        bytes: u64,
        /// What it may take.
        limit: u64,
        /// Names and sizes.
        largest: String,
    },
    /// A line of the index is none.
    #[error("{path}, line {line}: {problem}; accepted is what `bankstorm schema index` prints")]
    Index {
        /// The index.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The README has no place for a block, or half of one.
    #[error("{path} has no place for {what}: accepted is a line `{begin}` and below it a line `{end}`")]
    Unmarked {
        /// The README.
        path: PathBuf,
        /// The block.
        what: &'static str,
        /// The line that must stand above it.
        begin: &'static str,
        /// The line that must stand below it.
        end: &'static str,
    },
    /// Links would lead nowhere.
    #[error(
        "{results} does not lie below the folder of {readme}, which would link to it by a path of this machine: accepted is a --readme FILE \
         above it, or another folder for --into"
    )]
    Away {
        /// The README.
        readme: PathBuf,
        /// The folder of published runs.
        results: PathBuf,
    },
    /// The index is written, and the README is not.
    #[error("the index is written, but not the README: {0}; `bankstorm publish --rebuild` writes it from the index")]
    Stale(RecordError),
    /// The run that the README's sample is made of cannot be read.
    #[error(
        "the README's sample of a report is that of {run_id}, which cannot be read: {source}; accepted is the whole published folder: \
         bring it back, publish that run again, or take its line out of the index"
    )]
    Sample {
        /// The run.
        run_id: String,
        /// What is wrong with its run.json.
        source: RecordError,
    },
    /// Criterion left nothing.
    #[error("no estimates below {0}: `cargo bench -p bankstorm-benches` leaves them in target/criterion")]
    NoBench(PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> PublishError {
    |source| PublishError::Io { path: path.to_owned(), source }
}

/// Publishes a run folder: of `run`, `sweep`, `simulate`, `ablate` or `calibrate`.
///
/// # Errors
/// [`PublishError`] for what may not be published, or could not be written.
pub fn publish(ask: &Ask<'_>) -> Result<Published, PublishError> {
    let Found { mut line, verdicts, repeat, unfit } = source::read(ask.from)?;
    line.anyway = allowed(&line.run_id, unfit, ask.anyway)?;
    line.changed = ask.changed;
    let files = files::list(ask.from, line.kind)?;
    let manifest = Manifest {
        schema: SCHEMA,
        run_id: line.run_id.clone(),
        kind: line.kind,
        published_at: ask.at.clone(),
        published_by: ask.by.clone(),
        anyway: line.anyway.clone(),
        verdicts,
        repeat,
        files,
    };
    put(ask, line, &manifest, |into| files::copy(ask.from, &manifest.files, into))
}

/// What did not end well is published only if asked for, and then says so.
fn allowed(run_id: &str, unfit: Option<String>, anyway: bool) -> Result<Option<String>, PublishError> {
    match unfit {
        Some(why) if !anyway => Err(PublishError::Unfit { run_id: run_id.to_owned(), why }),
        unfit => Ok(unfit),
    }
}

/// Writes the README's blocks anew from the index and the folders in `results`: for one that is behind the index, because somebody was killed
/// before it was written, or that was edited by hand. Returns how many lines the index has.
///
/// # Errors
/// [`PublishError`] where there is no such folder, index or README, the README has no place for a block, or it cannot be written.
pub fn rebuild(results: &Path, readme: &Path) -> Result<usize, PublishError> {
    std::fs::read_dir(results).map_err(io(results))?;
    let index = Index::open(results)?;
    for line in index.lines() {
        Slot::open(results, folder_name(&line.run_id)?)?;
    }
    let readme = Readme::open(readme, results)?;
    readme.write(&readme.rebuilt(index.lines())?)?;
    Ok(index.lines().len())
}

/// Folder, line, README, in this order: a folder without its line is none, and is written over by the next try. Nothing gets its line before
/// the README's text is made, which needs the folder; what lay there before is kept until the line is written.
fn put(
    ask: &Ask<'_>,
    line: IndexLine,
    manifest: &Manifest,
    fill: impl FnOnce(&Path) -> Result<(), PublishError>,
) -> Result<Published, PublishError> {
    let (copied, left_out) = (files::sum(&manifest.files, Copied::Yes), files::sum(&manifest.files, Copied::No));
    fits(ask, &line.run_id, &manifest.files)?;
    let folder = ask.into.join(folder_name(&line.run_id)?);
    let open = || ask.readme.map(|readme| Readme::open(readme, ask.into)).transpose();
    // What would be refused is refused before a folder is made. Read again below: until the lock is held somebody else may write it.
    open()?;
    let mut index = Index::open(ask.into)?;
    index.refuse_twice(&line.run_id, &folder, ask.again)?;
    let readme = open()?;
    let mut slot = Slot::open(ask.into, &line.run_id)?;
    let written = || {
        slot.draft(|draft| fill(draft).and_then(|()| Ok(write_json(draft.join(MANIFEST), manifest)?)))?;
        slot.take()?;
        index.put(line.clone());
        let rebuilt = readme.as_ref().map(|readme| readme.rebuilt(index.lines())).transpose()?;
        index.write().map(|()| rebuilt)
    };
    let rebuilt = match written() {
        Ok(rebuilt) => rebuilt,
        Err(error) => {
            slot.put_back();
            return Err(error);
        }
    };
    slot.keep();
    if let Some((readme, text)) = readme.zip(rebuilt) {
        readme.write(&text)?;
    }
    Ok(Published { folder, line, copied, left_out })
}

fn fits(ask: &Ask<'_>, run_id: &str, files: &[ManifestFile]) -> Result<(), PublishError> {
    let (_, bytes) = files::sum(files, Copied::Yes);
    if bytes <= ask.limit_bytes {
        return Ok(());
    }
    let run_id = run_id.to_owned();
    Err(PublishError::TooLarge { run_id, bytes, limit: ask.limit_bytes, largest: files::largest(files) })
}

/// A run's name becomes a folder's; it comes out of a file.
fn folder_name(run_id: &str) -> Result<&str, PublishError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
    if run_id.is_empty() || run_id.len() > 200 || run_id.starts_with('.') || !run_id.chars().all(fits) {
        return Err(PublishError::Name(run_id.to_owned()));
    }
    Ok(run_id)
}
