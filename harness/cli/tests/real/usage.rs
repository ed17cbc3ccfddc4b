//! Help texts, lists, and mistakes of the user: exit code 2, the file, the line, the value, and what would be accepted.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{Case, bankstorm, code, output, root, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("help_names_every_command", help_names_every_command),
        ("lists_and_schemas_are_printed", lists_and_schemas_are_printed),
        ("a_mistake_in_a_scenario_is_exit_2_with_its_place", a_mistake_in_a_scenario_is_exit_2_with_its_place),
        ("a_mistake_on_the_command_line_is_exit_2", a_mistake_on_the_command_line_is_exit_2),
        ("a_weaker_protection_that_is_not_allowed_is_exit_2", a_weaker_protection_that_is_not_allowed_is_exit_2),
        ("an_arm_that_is_not_there_is_exit_2", an_arm_that_is_not_there_is_exit_2),
        ("redrive_prints_what_became_of_the_letters", redrive_prints_what_became_of_the_letters),
        ("redrive_without_a_channel_is_exit_3_and_without_an_address_2", redrive_without_a_channel),
        ("a_folder_that_is_no_run_is_exit_2", a_folder_that_is_no_run_is_exit_2),
        ("the_map_names_every_room_and_no_path_that_is_not_there", the_map_names_every_room),
        ("the_night_plays_every_scenario_and_each_part_has_a_limit", the_night_plays_every_scenario),
    ]
}

fn help_names_every_command() {
    let help = output(&["--help"]);
    assert_eq!(code(&help), 0);
    let help = text(&help);
    for command in [
        "run",
        "up",
        "sweep",
        "serve",
        "proxy",
        "calibrate",
        "simulate",
        "ablate",
        "replay",
        "shrink",
        "check",
        "report",
        "publish",
        "redrive",
        "doctor",
        "scenarios",
        "checks",
        "faults",
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
    let faults = text(&output(&["faults"]));
    for told in
        ["node.kill", "resp.drop", "pg.commit_cut", "node.storm", "links to core, banks, channel-*", "probability?"]
    {
        assert!(faults.contains(told), "{told}: {faults}");
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
    for of in ["run", "simulate", "ablate", "calibrate", "sweep", "index", "manifest", "bench"] {
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
        &["proxy", "--listen=127.0.0.1:0", "--upstream=nowhere", "--protocol=http"],
        &["proxy", "--listen=127.0.0.1:0", "--upstream=127.0.0.1:1", "--protocol=smtp"],
        &["calibrate"],
        &["calibrate", "--proxy", "--seconds=0"],
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
    for command in ["check", "report", "publish"] {
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

fn the_night_plays_every_scenario() {
    let mut night = std::process::Command::new("sh");
    night.arg("deploy/nightly.sh").current_dir(root()).env("DRY", "1").env_remove("ONLY");
    let listed = night.output().expect("a shell");
    let (code, text) = (code(&listed), text(&listed));
    assert_eq!(code, 0, "{text}");
    let names = |line: &str, name: &str| {
        line.ends_with(&format!("min  scenario {name}")) || line.ends_with(&format!("min  sweep {name}"))
    };
    for entry in std::fs::read_dir(root().join("scenarios")).expect("the scenarios") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(text.lines().filter(|line| names(line, &name)).count(), 1, "{name}: {text}");
    }
    for part in
        ["simulate 0..100000", "ablate", "scripts on PostgreSQL", "scripts on Kafka", "scenario smoke, containers"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn an_arm_that_is_not_there_is_exit_2() {
    let refused = output(&["run", "scenarios/scroll-deep.toml", "--arm", "keyset", "--live=off"]);
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(text(&refused).contains("no such arm; it has offset"), "{}", text(&refused));
    let both = output(&["run", "scenarios/scroll-deep.toml", "--arm", "offset", "--no-arms"]);
    assert_eq!(code(&both), 2, "{}", text(&both));
    let unknown = output(&["run", "scenarios/lost-answer.toml", "--set=arm.0.by=[\"O99\"]", "--live=off"]);
    assert_eq!(code(&unknown), 2, "{}", text(&unknown));
    assert!(text(&unknown).contains("\"O99\" is no check of a guarantee; accepted are L1"), "{}", text(&unknown));
}

/// Answers one request, and gives back what was asked.
fn stub(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut asked = Vec::new();
        let mut part = [0; 1_024];
        while !asked.ends_with(b"}") {
            let read = stream.read(&mut part).expect("a request");
            asked.extend(&part[..read]);
        }
        stream.write_all(answer.as_bytes()).expect("answered");
        String::from_utf8(asked).expect("text")
    });
    (format!("http://{address}"), served)
}

fn redrive_prints_what_became_of_the_letters() {
    let answer = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n\
                  {\"taken\": 3, \"closed\": 2, \"failed\": 1, \"open\": 4, \"oldest_ms\": 61500}";
    let (url, served) = stub(answer);
    let redriven = output(&["redrive", "--channel", &url, "--limit", "3"]);
    assert_eq!(code(&redriven), 0, "{}", text(&redriven));
    let asked = served.join().expect("it answered");
    assert!(asked.starts_with("POST /v1/dead-letters/redrive ") && asked.ends_with("{\"limit\":3}"), "{asked}");
    let said = text(&redriven);
    assert!(said.contains("taken 3, closed 2, failed again 1"), "{said}");
    assert!(said.contains("still open 4, the oldest for 61.5 s"), "{said}");

    let (url, served) = stub("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"title\": \"the store is away\"}");
    let refused = output(&["redrive", "--channel", &url]);
    served.join().expect("it answered");
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(text(&refused).contains("status 503: {\"title\": \"the store is away\"}"), "{}", text(&refused));
}

fn redrive_without_a_channel() {
    // Bound and given back: nobody listens there now.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let nobody = output(&["redrive", "--channel", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(code(&nobody), 3, "{}", text(&nobody));
    for args in [
        &["redrive", "--channel", "127.0.0.1:7101"][..],
        &["redrive", "--channel", "http://h:1/v1/dead-letters"],
        &["redrive", "--channel", "http://h:1", "--limit", "0"],
        &["redrive"],
    ] {
        let refused = output(args);
        assert_eq!(code(&refused), 2, "{args:?}: {}", text(&refused));
    }
}
