//! The stamp of a build names a commit only where the binary was made of it.
//!
//! In: this crate's build script, in small workspaces. Out: what a binary says of its commit. Elsewhere: what becomes of it (`run`,
//! `publish`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Case, root, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_build_from_a_changed_tree_claims_no_clean_commit", a_build_from_a_changed_tree_claims_no_clean_commit),
        ("a_build_in_a_worktree_names_its_own_commit", a_build_in_a_worktree_names_its_own_commit),
        ("a_build_outside_of_git_names_no_commit", a_build_outside_of_git_names_no_commit),
    ]
}

const SOURCE: &str = "system/core/src/lib.rs";

/// A workspace whose one binary prints the stamp.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// A new one, which nobody tracks.
    fn write(home: &Path) -> Self {
        let workspace = Self { root: home.join("tree"), target: home.join("target") };
        workspace.edit("Cargo.toml", "[workspace]\nmembers = [\"harness/cli\"]\nresolver = \"3\"\n");
        let package = "[package]\nname = \"stamped\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
        workspace.edit("harness/cli/Cargo.toml", package);
        workspace.edit("harness/cli/src/main.rs", "fn main() { println!(env!(\"BANKSTORM_COMMIT\")) }\n");
        let script = std::fs::read_to_string(root().join("harness/cli/build.rs")).expect("our own");
        workspace.edit("harness/cli/build.rs", &script);
        workspace.edit(SOURCE, "// as committed\n");
        workspace.edit("README.md", "as committed\n");
        workspace
    }

    fn edit(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    fn cargo(&self, args: &[&str]) -> Output {
        let mut cargo = command(&self.root, env!("CARGO"));
        let output =
            cargo.args(args).arg("--offline").env("CARGO_TARGET_DIR", &self.target).output().expect("it starts");
        assert!(output.status.success(), "cargo {args:?}: {}", text(&output));
        output
    }

    /// What the binary says that is built now.
    fn stamp(&self) -> String {
        String::from_utf8(self.cargo(&["run", "--quiet"]).stdout).expect("text").trim().to_owned()
    }

    /// Where nothing has changed nothing is built.
    fn assert_fresh(&self) {
        let said = text(&self.cargo(&["build", "--verbose"]));
        assert!(said.contains("Fresh stamped"), "{said}");
    }

    fn git(&self, args: &[&str]) -> String {
        let output = command(&self.root, "git").args(args).output().expect("git is there");
        assert!(output.status.success(), "git {args:?}: {}", text(&output));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Commits everything below `folder`; the first twelve digits.
    fn commit(&self, folder: &str) -> String {
        self.git(&["add", folder]);
        let somebody = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"];
        self.git(&[&somebody[..], &["commit", "--quiet", "--message=a change"]].concat());
        self.git(&["rev-parse", "--short=12", "HEAD"])
    }
}

fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    // Whoever runs the tests from a hook of git means another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command
}

fn a_build_from_a_changed_tree_claims_no_clean_commit() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let tree = Workspace::write(home.path());
    tree.git(&["init", "--quiet"]);
    // Cargo writes its lock file, which belongs to what is committed.
    tree.cargo(&["generate-lockfile"]);
    let first = tree.commit(".");
    assert_eq!(tree.stamp(), first);
    tree.assert_fresh();
    tree.edit(SOURCE, "// changed\n");
    assert_eq!(tree.stamp(), format!("{first}+dirty"));
    tree.edit(SOURCE, "// as committed\n");
    assert_eq!(tree.stamp(), first, "it was taken back");
    tree.edit(SOURCE, "// changed\n");
    let second = tree.commit(".");
    assert_ne!(second, first);
    assert_eq!(tree.stamp(), second);
    tree.edit("README.md", "changed\n");
    tree.edit("harness/cli/src/main.rs", "fn main() { println!(\"{}\", env!(\"BANKSTORM_COMMIT\")) }\n");
    let third = tree.commit("harness");
    assert_eq!(tree.stamp(), third, "no binary is made of the README");
}

fn a_build_in_a_worktree_names_its_own_commit() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let main = Workspace::write(home.path());
    main.git(&["init", "--quiet"]);
    main.cargo(&["generate-lockfile"]);
    let first = main.commit(".");
    let tree = Workspace { root: home.path().join("other"), target: home.path().join("target-of-other") };
    main.git(&["worktree", "add", "--quiet", "-b", "other", &tree.root.display().to_string()]);
    assert_eq!(tree.stamp(), first);
    tree.assert_fresh();
    tree.edit(SOURCE, "// changed\n");
    assert_eq!(tree.stamp(), format!("{first}+dirty"));
    let second = tree.commit(".");
    assert_eq!(tree.stamp(), second, "its HEAD lies with those of the main tree");
    assert_eq!(main.stamp(), first);
}

fn a_build_outside_of_git_names_no_commit() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let tree = Workspace::write(home.path());
    assert_eq!(tree.stamp(), "unknown");
    tree.assert_fresh();
    tree.edit(SOURCE, "// changed\n");
    assert_eq!(tree.stamp(), "unknown");
    // Unpacked in somebody else's checkout, whose commits are of something else.
    let inside = tempfile::tempdir().expect("a temporary folder");
    let checkout = Workspace { root: inside.path().to_owned(), target: PathBuf::new() };
    checkout.git(&["init", "--quiet"]);
    checkout.edit("theirs.txt", "theirs\n");
    checkout.commit(".");
    assert_eq!(Workspace::write(inside.path()).stamp(), "unknown");
}
