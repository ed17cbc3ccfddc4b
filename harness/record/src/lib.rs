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
//! | [`ablate_json`] | the same for protections taken off, one at a time |
//! | [`calibrate_json`] | what the harness itself costs |
//! | [`sweep_json`], [`sweep_cells`] | the same for a grid of settings, and a line a cell |
//! | [`published`] | what `results/` holds of runs that were published |
//! | [`latency`] | what an operation contributes to a latency |
//! | [`marks`] | faults and samples, a line each as they happen |
//! | [`machine`] | what the run ran on |
//! | [`clock`] | the one place of the harness that reads clocks |

pub mod ablate_json;
pub mod calibrate_json;
pub mod clock;
pub mod folder;
pub mod folder_source;
pub mod latency;
pub mod machine;
pub mod marks;
pub mod parquet;
pub mod published;
pub mod rows;
pub mod run_json;
pub mod save;
pub mod schema;
pub mod simulate_json;
pub mod source;
pub mod sweep_cells;
pub mod sweep_json;
