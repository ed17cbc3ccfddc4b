//! Proxies on real sockets: each effect by what callers and servers see of it.
//!
//! In: nothing. Out: one test binary. Elsewhere: how rules decide and count, and where messages begin and end (the crate's own tests).
//!
//! Nothing sleeps to pass: what must happen is waited for, and what must not happen is looked for after something later has.

mod proxy {
    pub(crate) mod answers;
    pub(crate) mod bytes;
    pub(crate) mod caller;
    pub(crate) mod control;
    pub(crate) mod plain;
    pub(crate) mod postgres;
    pub(crate) mod real_postgres;
    pub(crate) mod requests;
    pub(crate) mod rig;
    pub(crate) mod server;
}

use libtest_mimic::{Arguments, Trial};
use proxy::{answers, bytes, control, plain, postgres, real_postgres, requests};

/// A named test.
pub(crate) type Case = (&'static str, fn());

fn main() {
    bankstorm_environment::reaper::hook();
    let arguments = Arguments::from_args();
    let http = [plain::cases(), requests::cases(), answers::cases(), control::cases()];
    let others = [bytes::cases(), postgres::cases(), real_postgres::cases()];
    let trials = http.into_iter().chain(others).flatten().map(|(name, case)| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
