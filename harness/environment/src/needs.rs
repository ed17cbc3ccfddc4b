//! What a run asks of its environment: plain values, no behaviour.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A topic that exists, with leaders, before the start is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name, such as `core.entries`.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
}

/// Everything that [`crate::Local::start`] brings up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Shows in the name of the temporary folder, so that a person can tell runs apart.
    pub name: String,
    /// Logs go to `run_dir/logs` and stay; without it they lie in the temporary folder and go with it.
    pub run_dir: Option<PathBuf>,
    /// One PostgreSQL cluster each, holding a database of that name.
    pub databases: Vec<String>,
    /// Kafka brokers: 0 or 1.
    pub brokers: u32,
    /// One listener of the broker per client process, so that a later proxy can stand before exactly one of them.
    pub kafka_clients: Vec<String>,
    /// Topics to create; needs a broker.
    pub topics: Vec<Topic>,
}

impl Needs {
    /// Needs of a test called `name`: nothing until databases or brokers are set; logs go with the temporary folder.
    #[must_use]
    pub fn for_test(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            run_dir: None,
            databases: Vec::new(),
            brokers: 0,
            kafka_clients: Vec::new(),
            topics: Vec::new(),
        }
    }
}

/// One process of our own, started by [`crate::Local::start_services`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Unique within the run: `core`, `channel-0`. Its log is `logs/<name>.log`.
    pub name: String,
    /// The program; the running executable when `None`.
    pub program: Option<PathBuf>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Set on top of the harness's own environment.
    pub env: BTreeMap<String, String>,
    /// Answers 200 once the service may be used: `http://127.0.0.1:port/readyz`.
    pub ready_url: String,
}

impl ServiceSpec {
    /// The running executable with `args`, ready when `ready_url` answers 200.
    #[must_use]
    pub fn new(name: &str, args: Vec<String>, ready_url: String) -> Self {
        Self { name: name.to_owned(), program: None, args, env: BTreeMap::new(), ready_url }
    }
}
