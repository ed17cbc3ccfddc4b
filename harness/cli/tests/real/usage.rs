//! Help texts, lists, and mistakes of the user: exit code 2, the file, the line, the value, and what would be accepted.

use crate::support::{Case, bankstorm, code, output, root, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("help_names_every_command", help_names_every_command),
        ("lists_and_schemas_are_printed", lists_and_schemas_are_printed),
        ("a_mistake_in_a_scenario_is_exit_2_with_its_place", a_mistake_in_a_scenario_is_exit_2_with_its_place),
        ("a_mistake_on_the_command_line_is_exit_2", a_mistake_on_the_command_line_is_exit_2),
        ("a_weaker_protection_that_is_not_allowed_is_exit_2", a_weaker_protection_that_is_not_allowed_is_exit_2),
        ("a_folder_that_is_no_run_is_exit_2", a_folder_that_is_no_run_is_exit_2),
        ("the_map_names_every_room_and_no_path_that_is_not_there", the_map_names_every_room),
    ]
}

fn help_names_every_command() {
    let help = output(&["--help"]);
    assert_eq!(code(&help), 0);
    let help = text(&help);
    for command in [
        "run",
        "up",
        "serve",
        "simulate",
        "ablate",
        "replay",
        "shrink",
        "check",
        "report",
        "doctor",
        "scenarios",
        "checks",
        "schema",
    ] {
        assert!(help.contains(&format!("  {command}")), "{command}: {help}");
        let own = output(&[command, "--help"]);
        assert_eq!(code(&own), 0, "{command} --help: {}", text(&own));
    }
    assert!(help.contains("Exit codes"), "{help}");
}

fn lists_and_schemas_are_printed() {
    let checks = text(&output(&["checks"]));
    for id in ["L1", "L2", "L3", "L4", "O1", "O2", "O3", "S1", "S2", "S3", "S4", "S5", "T1", "T2", "V1", "V2", "V3"] {
        assert!(checks.contains(id), "{id}: {checks}");
    }
    assert!(text(&output(&["scenarios"])).contains("scenarios/smoke.toml"));

    let schema = output(&["schema", "scenario"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("a JSON Schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    let mut files = 0;
    for entry in std::fs::read_dir(root().join("scenarios")).expect("the scenarios") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let scenario: serde_json::Value = toml::from_str(&text).expect("TOML");
        let wrong: Vec<String> = validator.iter_errors(&scenario).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{} follows the printed schema: {wrong:?}", path.display());
        files += 1;
    }
    assert!(files >= 6, "scenarios were looked at: {files}");
    for of in ["run", "simulate"] {
        let printed = output(&["schema", of]);
        let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("a JSON Schema");
        assert!(jsonschema::validator_for(&printed).is_ok(), "{of}");
    }
}

/// A scenario with one line changed; what the error must say.
const MISTAKES: [(&str, &str, &[&str]); 6] = [
    ("rate = ", "rate = \"0/s\"", &["rate", "0"]),
    ("rate = ", "rate = \"-5/s\"", &["rate", "-5"]),
    ("warm_up = ", "warm_up = \"5 parsecs\"", &["warm_up", "parsecs"]),
    ("op = ", "op = \"deposits\"", &["deposits", "deposit"]),
    ("measure = ", "mesure = \"20s\"", &["mesure", "measure"]),
    ("count = ", "count = -1", &["count", "-1"]),
];

fn a_mistake_in_a_scenario_is_exit_2_with_its_place() {
    let smoke = std::fs::read_to_string(root().join("scenarios/smoke.toml")).expect("smoke");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (line_begins, instead, said) in MISTAKES {
        let number = 1 + smoke.lines().position(|line| line.starts_with(line_begins)).expect(line_begins);
        let lines = smoke.lines().map(|line| if line.starts_with(line_begins) { instead } else { line });
        let path = folder.path().join("mistake.toml");
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("a file");
        let out = folder.path().join("out");
        let run = bankstorm(&["run"]).arg(&path).arg("--out").arg(&out).output().expect("the binary starts");
        let text = text(&run);
        assert_eq!(code(&run), 2, "{instead}: {text}");
        assert!(text.contains(&format!("mistake.toml:{number}")), "{instead}: file and line {number}: {text}");
        assert!(said.iter().all(|word| text.contains(word)), "{instead}: {said:?}: {text}");
        assert!(!out.exists(), "{instead}: nothing was begun");
    }
}

fn a_mistake_on_the_command_line_is_exit_2() {
    for args in [
        &["run", "scenarios/smoke.toml", "--set=load.0.rat=5/s"][..],
        &["run", "scenarios/smoke.toml", "--set=load.0.rate=0/s"],
        &["run", "scenarios/none.toml"],
        &["run", "scenarios/smoke.toml", "--env=moon"],
        &["simulate", "--seeds=5..3"],
        &["simulate", "--seeds=0..100000001"],
        &["simulate", "--jobs=0"],
        &["simulate", "--planted=gremlin"],
        &["simulate", "--seeds=0..1", "--out=README.md"],
        &["replay", "no-such-plan.json"],
        &["replay", "README.md"],
        &["shrink", "no-such-plan.json"],
        &["fly"],
    ] {
        let ended = output(args);
        assert_eq!(code(&ended), 2, "{args:?}: {}", text(&ended));
    }
}

fn a_weaker_protection_that_is_not_allowed_is_exit_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smoke = root().join("scenarios/smoke.toml");
    let mut run = bankstorm(&["run", "--set", "system.protections.fence=plain_read"]);
    run.arg(smoke).arg("--out").arg(folder.path().join("out"));
    let refused = run.output().expect("the binary starts");
    let said = text(&refused);
    assert_eq!(code(&refused), 2, "{said}");
    assert!(said.contains("switches P6 off") && said.contains("allow_unsafe = true"), "{said}");
    let process = ["serve", "core", "--database=d", "--kafka=k", "--listen=127.0.0.1:0", "--unsafe=fence=read"];
    let refused = output(&process);
    assert_eq!(code(&refused), 2, "{}", text(&refused));
}

fn a_folder_that_is_no_run_is_exit_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for command in ["check", "report"] {
        let ended = bankstorm(&[command]).arg(folder.path()).output().expect("the binary starts");
        assert_eq!(code(&ended), 2, "{command}: {}", text(&ended));
    }
}

fn the_map_names_every_room() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    let named: Vec<&str> = map.split('`').skip(1).step_by(2).collect();
    let parts = ["system", "chaos", "harness"];
    let is_path = |name: &str| {
        parts
            .iter()
            .chain(&["docs", "deploy", "scenarios", "benches"])
            .any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('/') && !rest.contains(['*', '{'])))
    };
    let absent: Vec<&&str> = named.iter().filter(|name| is_path(name) && !root().join(name).exists()).collect();
    assert!(absent.is_empty(), "ARCHITECTURE.md names what is not there: {absent:?}");
    for part in parts {
        for room in std::fs::read_dir(root().join(part)).expect(part) {
            let room = room.expect("an entry").path();
            let name = format!("{part}/{}", room.file_name().expect("a name").to_string_lossy());
            let is_room = room.join("Cargo.toml").is_file();
            assert!(!is_room || named.contains(&name.as_str()), "ARCHITECTURE.md does not name {name}");
        }
    }
}
