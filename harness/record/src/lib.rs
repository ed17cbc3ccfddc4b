//! What a run keeps: row types, the run folder, `run.json`, Parquet, HDR logs and marks as they happen.
//!
//! In: rows and figures from `load`, `evidence`, `environment` and `check`. Out: files, and iterators of rows over them. Elsewhere:
//! what the rows mean (`check`), how they are shown (`report`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`rows`] | one struct per Parquet file |
//! | [`folder`] | names of the files of a run |
//! | [`parquet`], [`folder_source`] | rows to files and back |
//! | [`run_json`], [`save`], [`schema`] | the summary, with a committed schema, and the evidence's hashes |
//! | [`simulate_json`] | the same for a batch of simulated worlds |
//! | [`latency`] | what an operation contributes to a latency |
//! | [`marks`] | faults and samples, a line each as they happen |
//! | [`machine`] | what the run ran on |
//! | [`clock`] | the one place of the harness that reads clocks |

pub mod clock;
pub mod folder;
pub mod folder_source;
pub mod latency;
pub mod machine;
pub mod marks;
pub mod parquet;
pub mod rows;
pub mod run_json;
pub mod save;
pub mod schema;
pub mod simulate_json;
pub mod source;
