//! Tells the binary which commit and profile it was built from.

use std::process::Command;

fn main() {
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    println!("cargo:rustc-env=BANKSTORM_COMMIT={commit}{}", if dirty { "+dirty" } else { "" });
    let profile = std::env::var("PROFILE").unwrap_or_default();
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    let checks = if std::env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_some() { ", debug assertions" } else { "" };
    println!("cargo:rustc-env=BANKSTORM_PROFILE={profile} (opt-level {level}{checks})");
    // The log of HEAD changes with every commit; a checkout without one is built once.
    for path in ["../../.git/logs/HEAD", "../../.git/HEAD"] {
        println!("cargo:rerun-if-changed={path}");
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
