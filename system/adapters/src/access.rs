//! Core's access log (G1): a file in the run folder.
//!
//! In: calls that ended. Out: one JSON object a line, `{"begun_ns":..,"ended_ns":..,"caller":"channel-0","call":"heads","account":1000001,
//! "purpose":"read","status":200}`; times are the host's CLOCK_MONOTONIC in nanoseconds, `account` and `purpose` may be null, status 0 is a
//! call whose caller was gone. Elsewhere: which calls are logged (`core::service`), who reads it (`harness/evidence`).
//!
//! Written as the visible log is (`visible`): one write(2) a line to an O_APPEND file. A call that is under way at a SIGKILL has no line.
//!
//! Metrics: `core_access_write_failures_total`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use bankstorm_outside::process::{Access, AccessLog, Metrics};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::process::registry::Registry;

/// The file, or none. Clones append to the same one.
#[derive(Clone, Debug, Default)]
pub struct AccessFile(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    registry: Registry,
}

#[derive(Serialize)]
struct Line<'a> {
    begun_ns: i64,
    ended_ns: i64,
    caller: &'a str,
    call: &'static str,
    account: Option<i64>,
    purpose: Option<&'static str>,
    status: u16,
}

impl AccessFile {
    /// No file: nothing is logged.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Opens the file for appending, and makes it where it is not there yet. Lines that could not be written count in
    /// `core_access_write_failures_total` of `registry`.
    pub fn create(path: &Path, registry: Registry) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        registry.count("core_access_write_failures_total", 0);
        Ok(Self(Some(Arc::new(Inner { file, registry }))))
    }
}

impl Inner {
    fn append(&self, begun_ns: i64, access: &Access<'_>) -> io::Result<()> {
        let line = Line {
            begun_ns,
            ended_ns: now_ns()?,
            caller: access.caller,
            call: access.call.as_str(),
            account: access.account.map(|account| account.get()),
            purpose: access.purpose.map(|purpose| purpose.as_str()),
            status: access.status,
        };
        let mut line = serde_json::to_vec(&line).map_err(io::Error::other)?;
        line.push(b'\n');
        (&self.file).write_all(&line)
    }
}

/// The host's monotonic clock.
fn now_ns() -> io::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    i64::try_from(i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec())).map_err(io::Error::other)
}

impl AccessLog for AccessFile {
    /// Nanoseconds of the host's monotonic clock; 0 where it could not be read, or nothing is logged.
    type Begun = i64;

    fn begun(&self) -> i64 {
        if self.0.is_some() { now_ns().unwrap_or(0) } else { 0 }
    }

    fn ended(&self, begun: i64, access: &Access<'_>) {
        let Some(inner) = &self.0 else { return };
        if let Err(error) = inner.append(begun, access) {
            inner.registry.count("core_access_write_failures_total", 1);
            tracing::error!(%error, ?access, "the access log was not written: this call has no line");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bankstorm_contracts::AccountNo;
    use bankstorm_contracts::core_api::Purpose;
    use bankstorm_outside::process::{Access, AccessCall, AccessLog};
    use serde_json::{Value, json};

    use super::AccessFile;
    use crate::process::registry::Registry;

    const ACCESS: Access<'_> = Access {
        caller: "channel-\"0\"",
        call: AccessCall::Heads,
        account: Some(AccountNo::new(1_000_123)),
        purpose: Some(Purpose::Read),
        status: 200,
    };

    #[test]
    fn each_call_is_a_line_that_says_when_who_what_of_whom_what_for_and_how_it_ended() {
        let path = std::env::temp_dir().join(format!("bankstorm-access-{}", std::process::id()));
        let file = AccessFile::create(&path, Registry::new()).expect("a file");
        let (first, second) = (file.begun(), file.begun());
        file.ended(second, &ACCESS);
        file.ended(first, &Access { call: AccessCall::Digests, account: None, purpose: None, status: 0, ..ACCESS });
        let text = std::fs::read_to_string(&path).expect("written");
        std::fs::remove_file(&path).expect("it is there");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let stamp = |line: &Value, name: &str| line[name].as_i64().expect("a stamp");
        assert!(0 < first && first <= second && second <= stamp(&lines[0], "ended_ns"));
        assert!(stamp(&lines[0], "ended_ns") <= stamp(&lines[1], "ended_ns"));
        let ends = [stamp(&lines[0], "ended_ns"), stamp(&lines[1], "ended_ns")];
        let expected = [
            json!({ "begun_ns": second, "ended_ns": ends[0], "caller": "channel-\"0\"", "call": "heads",
                    "account": 1_000_123, "purpose": "read", "status": 200 }),
            json!({ "begun_ns": first, "ended_ns": ends[1], "caller": "channel-\"0\"", "call": "digests",
                    "account": null, "purpose": null, "status": 0 }),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_that_is_not_written_is_counted() {
        let registry = Registry::new();
        let file = AccessFile::create(Path::new("/dev/full"), registry.clone()).expect("the device opens");
        file.ended(file.begun(), &ACCESS);
        let shown = registry.render();
        assert!(shown.contains("bankstorm_core_access_write_failures_total 1"), "{shown}");
    }

    #[test]
    fn without_a_file_nothing_is_logged() {
        let none = AccessFile::none();
        assert_eq!(none.begun(), 0);
        none.ended(0, &ACCESS);
    }
}
