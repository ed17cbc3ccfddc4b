//! What a run keeps: row types, the run folder, `run.json`, Parquet, HDR logs and marks as they happen.
//!
//! In: rows and figures from `load`, `evidence`, `environment` and `check`. Out: files, and iterators of rows over them. Elsewhere:
//! what the rows mean (`check`), how they are shown (`report`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`rows`] | one struct per Parquet file |
//! | [`folder`] | names of the files of a run |
//! | [`run_json`] | the summary, with a committed schema |
//! | [`clock`] | the one place of the harness that reads clocks |

pub mod clock;
pub mod folder;
pub mod rows;
pub mod run_json;
pub mod source;
