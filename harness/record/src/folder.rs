//! The run folder: what each file is called.
//!
//! In: a directory. Out: paths. Elsewhere: who writes which file, and when (`cli`).

use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// The folder at `root`; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The resolved scenario.
    pub fn scenario(&self) -> PathBuf {
        self.root.join("scenario.toml")
    }

    /// Machine facts.
    pub fn machine(&self) -> PathBuf {
        self.root.join("machine.json")
    }

    /// One row per planned operation.
    pub fn operations(&self) -> PathBuf {
        self.root.join("operations.parquet")
    }

    /// Faults, planned and unplanned, one JSON document a line.
    pub fn faults(&self) -> PathBuf {
        self.root.join("faults.ndjson")
    }

    /// HDR interval log.
    pub fn latency(&self) -> PathBuf {
        self.root.join("latency.hlog")
    }

    /// One JSON document a second.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples.ndjson")
    }

    /// The folder of the evidence files.
    pub fn evidence(&self) -> PathBuf {
        self.root.join("evidence")
    }

    /// One evidence file, by the name of its rows.
    pub fn evidence_file(&self, name: &str) -> PathBuf {
        self.evidence().join(format!("{name}.parquet"))
    }

    /// The summary.
    pub fn run_json(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// What a verdict needs besides the evidence and the summary.
    pub fn facts(&self) -> PathBuf {
        self.root.join("facts.json")
    }

    /// The HTML report.
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The Markdown report.
    pub fn report_md(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// The JUnit report.
    pub fn junit(&self) -> PathBuf {
        self.root.join("junit.xml")
    }

    /// The logs of every process.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The folder of the raw visible logs, one file a channel instance, written by the channels themselves.
    pub fn visible(&self) -> PathBuf {
        self.root.join("visible")
    }
}
