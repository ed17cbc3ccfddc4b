//! Reports of a run: terminal, HTML, Markdown, JUnit.
//!
//! In: the run folder, and nothing else. Out: text, and `report.html`, `report.md`, `junit.xml` in the same folder; what is published of it.
//! Elsewhere: every verdict (`check`, `cli`); a report shows verdicts, it computes none.
//!
//! | to read first | what it is |
//! |---|---|
//! | [`stored`] | reads a run folder, whole or broken off, into [`ReportInput`] |
//! | [`series`] | figures per second, from operations |
//! | `tables`, `words` | what all formats share: rows, wording, number formats |
//! | [`beside`] | a run and its arms |
//! | [`sweep`] | a grid of settings: tables, and a page with a heat map |
//! | [`publish`] | what `results/` keeps of a run, and what the README quotes of it |
//! | [`terminal`], [`html`], [`markdown`], [`junit`] | one format each |

pub mod beside;
mod explain;
#[cfg(test)]
mod fixture;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod publish;
pub mod series;
pub mod stored;
pub mod sweep;
mod tables;
pub mod terminal;
mod words;
mod write;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use series::SecondPoint;
pub use stored::ReportInput;
pub use terminal::{side_by_side, summary};
pub use words::count;
pub use write::write_all;

/// Why a report could not be made. What is missing inside a run folder is no error: the report says it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is nothing of a run in the folder.
    #[error("{0} is not a run folder: neither run.json nor scenario.toml nor operations.parquet is in it")]
    NotARun(std::path::PathBuf),
    /// A report file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The HTML template failed.
    #[error("cannot render the HTML report: {0}")]
    Render(#[from] askama::Error),
}
