//! What harness and reaper say to each other: one JSON value a line, over one socket pair.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// Harness to reaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// First line: make the run's folder (`parent/prefix` and six random characters) and note it under `state`.
    Begin { parent: PathBuf, prefix: String, state: PathBuf },
    /// Start a child.
    Spawn(Spawn),
    /// Send a signal to the group of a child.
    Signal { name: String, signal: i32 },
    /// Do something to a child and all processes below it; the answer is `Acted` with the same id.
    Act { id: u64, name: String, act: Act },
    /// In the engine at that address lies what is labelled with the name of the run's folder: it goes with the run.
    Containers { engine: String },
    /// Stop whatever still lives, remove the folder, say so and exit. After a start that was given up the engine may still be about to
    /// create something.
    Finish { latecomers: bool },
}

/// A child to start, in a process group of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// By which it is signalled and reported; free again once its exit was reported.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Whether `env` comes on top of the harness's environment or stands alone.
    pub inherit_env: bool,
    pub env: BTreeMap<String, String>,
    pub cwd: Option<PathBuf>,
    /// User and group to run as; the harness's own when `None`.
    pub user: Option<(u32, u32)>,
    /// Standard output and error go here.
    pub log: PathBuf,
    /// Whether the log is continued or begins anew.
    pub append_log: bool,
    /// Sent first when the harness is gone or says `Finish`.
    pub last_signal: i32,
}

/// What may be done to a child and all processes below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// SIGKILL; done when none of them is left.
    Kill,
    /// SIGSTOP; done when every thread of them stands still.
    Pause,
    /// SIGCONT; done when none of them stands still.
    Resume,
}

/// What was seen after an [`Act`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The child.
    pub(crate) pid: u32,
    /// How many processes there were below it.
    pub(crate) below: usize,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub(crate) at_ns: u64,
}

/// Reaper to harness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// Answer to `Begin`.
    Ready {
        folder: PathBuf,
    },
    /// `Begin` failed; the reaper exits.
    Refused {
        reason: String,
    },
    Spawned {
        name: String,
        pid: u32,
    },
    NotSpawned {
        name: String,
        reason: String,
    },
    /// `at_ns` is CLOCK_MONOTONIC when the reaper collected the exit status.
    Exited {
        name: String,
        pid: u32,
        exit: Exit,
        at_ns: u64,
    },
    /// Answer to `Act`: what was seen, or why not.
    Acted {
        id: u64,
        outcome: Result<Seen, String>,
    },
    /// Last line after `Finish`: what could not be removed.
    Gone {
        left: Vec<String>,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Whether a process that was asked to end by `signal` ended as one does: well, or by that signal (a JVM says so by its exit code).
    pub(crate) fn is_orderly(self, signal: Signal) -> bool {
        let signal = signal as i32;
        [Self::Code(0), Self::Signal(signal), Self::Code(128 + signal)].contains(&self)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_line() {
        let request = Request::Spawn(Spawn {
            name: "core".into(),
            program: "/bin/true".into(),
            args: vec!["a b".into(), "\"\n".into()],
            inherit_env: false,
            env: BTreeMap::from([("K".into(), "V".into())]),
            cwd: None,
            user: Some((1, 2)),
            log: "/tmp/x".into(),
            append_log: true,
            last_signal: 15,
        });
        let line = serde_json::to_string(&request).expect("encode");
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Request>(&line).expect("decode"), request);
    }

    #[test]
    fn an_orderly_end_is_told_from_a_panic() {
        for exit in [Exit::Code(0), Exit::Code(143), Exit::Signal(15)] {
            assert!(exit.is_orderly(Signal::SIGTERM), "{exit}");
        }
        for exit in [Exit::Code(101), Exit::Code(130), Exit::Signal(9), Exit::Signal(11)] {
            assert!(!exit.is_orderly(Signal::SIGTERM), "{exit}");
        }
    }

    #[test]
    fn exits_read_like_a_sentence() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(Exit::Signal(9).to_string(), "killed by SIGKILL");
        assert_eq!(Exit::Signal(99).to_string(), "killed by signal 99");
    }
}
