//! Tells the binary which commit and profile it was built from.
//!
//! In: the workspace's files, and git where the workspace is tracked by it. Out: `BANKSTORM_COMMIT`, `BANKSTORM_PROFILE`.

use std::path::Path;
use std::process::Command;

/// What the binary is made of: a change here makes a new stamp, and one that is not committed makes it `+dirty`.
const SOURCES: &[&str] = &[
    "../../system",
    "../../chaos",
    "../../harness",
    "../../benches",
    "../../deploy/Dockerfile",
    "../../Cargo.toml",
    "../../Cargo.lock",
    "../../rust-toolchain.toml",
];

fn main() {
    println!("cargo:rustc-env=BANKSTORM_COMMIT={}", commit());
    let profile = std::env::var("PROFILE").unwrap_or_default();
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    let checks = if std::env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_some() { ", debug assertions" } else { "" };
    println!("cargo:rustc-env=BANKSTORM_PROFILE={profile} (opt-level {level}{checks})");
    SOURCES.iter().for_each(|path| watch(path));
    // The log of HEAD changes with every commit. Where both lie only git knows: a worktree has them elsewhere.
    for name in ["HEAD", "logs/HEAD"] {
        git(&["rev-parse", "--git-path", name]).iter().for_each(|path| watch(path));
    }
}

/// The commit, `+dirty` where the sources are not as committed; `unknown` outside a checkout.
fn commit() -> String {
    // An unpacked archive may lie inside somebody else's checkout.
    let is_tracked = git(&["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = is_tracked.then(|| git(&["rev-parse", "--short=12", "HEAD"])).flatten();
    let Some(commit) = commit else { return "unknown".to_owned() };
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    let is_changed = git(&[&status[..], SOURCES].concat()).is_none_or(|changes| !changes.is_empty());
    format!("{commit}{}", if is_changed { "+dirty" } else { "" })
}

/// A path that is not there would have this run at every build.
fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo:rerun-if-changed={path}");
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
