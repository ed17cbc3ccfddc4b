//! A whole run: every deposit accounted for, every check holds, every file is there.

use bankstorm_record::parquet::read_rows;
use bankstorm_record::rows::{OperationRow, PageRow};
use bankstorm_record::run_json::{GuaranteeVerdict, SloVerdict, ValidityVerdict};

use crate::support::{Case, SHORT, bankstorm, code, output, short_run, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_run_accounts_for_every_deposit", a_run_accounts_for_every_deposit),
        ("a_run_leaves_every_file", a_run_leaves_every_file),
        ("the_exit_code_follows_the_verdicts", the_exit_code_follows_the_verdicts),
        ("a_stored_run_is_checked_and_reported_again", a_stored_run_is_checked_and_reported_again),
    ]
}

fn a_run_accounts_for_every_deposit() {
    let run = short_run();
    let json = run.json();
    let load = json.load["deposit"];
    let said = text(&run.output);
    assert_eq!((load.planned, load.ok), (1_200, 1_200), "{said}");
    assert_eq!((load.sent, load.rejected, load.failed, load.unknown), (1_200, 0, 0, 0), "{said}");
    assert_eq!((load.unresolved, load.missed), (0, 0), "{said}");
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{said}");
    assert!(json.guarantees.checks.len() >= 13, "every check ran: {:?}", json.guarantees.checks);
    for kind in ["response", "service", "send_lag", "sync_lag", "visible"] {
        assert_eq!(json.latency_us["deposit"][kind].count, 1_200, "{kind}: {said}");
    }
    let rows: Vec<OperationRow> =
        read_rows(run.folder().operations()).expect("operations").map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 1_800, "warm-up included");
    assert!(rows.iter().all(|row| row.visible_ns.is_some()), "every deposit has a visible time");
    assert!(rows.iter().all(|row| row.intended_ns <= row.sent_ns.expect("sent") && row.sent_ns < row.acked_ns));
    let mut shown = 0;
    for page in read_rows::<PageRow>(run.folder().evidence_file("page")).expect("pages") {
        let page = page.expect("a row");
        let Some(row) = page.op.map(|op| &rows[usize::try_from(op).expect("small")]) else { continue };
        let seq = row.seq.expect("looked up once answered");
        if (page.bottom_seq..=page.top_seq).contains(&seq) {
            assert!(
                row.visible_ns <= Some(page.completed_ns),
                "visible before the first read that shows it: {row:?} {page:?}"
            );
            shown += 1;
        }
    }
    assert!(shown > 0, "some deposits were looked up");
}

fn a_run_leaves_every_file() {
    let run = short_run();
    let folder = run.folder();
    for path in [
        folder.scenario(),
        folder.machine(),
        folder.operations(),
        folder.latency(),
        folder.samples(),
        folder.run_json(),
        folder.report_html(),
        folder.report_md(),
        folder.junit(),
        folder.logs().join("core.log"),
        folder.logs().join("channel-0.log"),
        folder.logs().join("channel-1.log"),
    ] {
        assert!(path.is_file(), "{} is missing\n{}", path.display(), text(&run.output));
    }
    for name in [
        "core_account",
        "core_entry",
        "core_transfer",
        "core_outbox",
        "channel_entry",
        "channel_account",
        "apply_journal",
        "visible",
        "page",
        "topic",
    ] {
        assert!(folder.evidence_file(name).is_file(), "{name}");
        assert!(run.json().evidence.contains_key(name), "{name} has a hash");
    }
    let schema: serde_json::Value = serde_json::from_slice(&output(&["schema", "run"]).stdout).expect("a schema");
    let text = std::fs::read_to_string(folder.run_json()).expect("run.json");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&document), "run.json follows its schema");
}

fn the_exit_code_follows_the_verdicts() {
    let run = short_run();
    let json = run.json();
    let expected = bankstorm_check::exit::code(json.guarantees.verdict, false, json.validity.verdict, json.slo.verdict);
    assert_eq!(code(&run.output), expected, "{}", text(&run.output));
    assert_eq!(json.exit_code, Some(expected));
    if json.validity.verdict != ValidityVerdict::Valid {
        assert_eq!(json.slo.verdict, SloVerdict::Unmeasured, "nothing is claimed of a run that is not valid");
        assert!(!json.validity.reasons.is_empty());
    }
    let said = String::from_utf8_lossy(&run.output.stdout).into_owned();
    assert!(said.contains("report.html"), "the report's path is printed: {said}");
}

fn a_stored_run_is_checked_and_reported_again() {
    let run = short_run();
    let folder = run.folder();
    let again = bankstorm(&["check"]).arg(folder.root()).output().expect("the binary starts");
    assert_eq!(code(&again), code(&run.output), "{}", text(&again));
    std::fs::remove_file(folder.report_html()).expect("the report");
    let report = bankstorm(&["report"]).arg(folder.root()).output().expect("the binary starts");
    assert_eq!(code(&report), 0, "{}", text(&report));
    assert!(folder.report_html().is_file());
    assert!(SHORT.contains(&"--seed=7") && run.json().seed == 7);
}
