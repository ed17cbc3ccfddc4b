//! `proxy`: one link's proxy, until SIGTERM.
//!
//! In: an address to listen on, one to pass on to, a protocol. Out: one line once it listens; exit code 3 when it could not. Elsewhere: the
//! proxy (`chaos/proxy`), who starts it (`harness/environment`, `calibrate`).

use std::io::Read;
use std::sync::Arc;

use bankstorm_proxy::{Settings, serve};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::args::ProxyArgs;
use crate::error::CliError;
use crate::output::say;

/// How the line begins that says where it listens.
pub(crate) const LISTENING: &str = "listening on ";

/// Serves until asked to stop: SIGTERM, Ctrl-C, or the end of standard input where that was asked for.
pub(crate) async fn run(args: ProxyArgs) -> Result<u8, CliError> {
    let cannot = |error| CliError::Environment(format!("proxy: cannot listen for signals: {error}"));
    let mut terminated = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(cannot)?;
    let cannot = |error| CliError::Environment(format!("proxy: listening on {}: {error}", args.listen));
    let listener = TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    take_all_descriptors();
    let settings = Settings { upstream: args.upstream, protocol: args.protocol.protocol() };
    say(&format!("{LISTENING}{address}, passing {} on to {}", settings.protocol.word(), settings.upstream));
    let orphaned = Arc::new(Notify::new());
    if args.until_stdin_ends {
        notify_at_the_end_of_stdin(Arc::clone(&orphaned));
    }
    let shutdown = async {
        tokio::select! {
            biased;
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
            () = orphaned.notified() => {}
        }
    };
    serve(listener, settings, shutdown).await;
    Ok(0)
}

/// As many connections as the system lets it have: in a black hole those that their callers have given up stay open.
fn take_all_descriptors() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// On a thread of its own: reading standard input cannot be given up.
fn notify_at_the_end_of_stdin(orphaned: Arc<Notify>) {
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        orphaned.notify_one();
    });
}
