//! Writes every report of a run folder.
//!
//! In: a run folder. Out: `report.html`, `report.md`, `junit.xml` in it. Elsewhere: their content (`html`, `markdown`, `junit`).

use std::path::PathBuf;

use bankstorm_record::folder::RunFolder;

use crate::{ReportError, ReportInput, html, junit, markdown};

/// Writes `report.html`, `report.md` and `junit.xml` into `folder` from what is stored there, and names them in this order.
///
/// # Errors
/// When the folder holds nothing of a run, or a report cannot be written.
pub fn write_all(folder: &RunFolder) -> Result<Vec<PathBuf>, ReportError> {
    let input = ReportInput::read(folder)?;
    let reports = [
        (folder.report_html(), html(&input)?),
        (folder.report_md(), markdown(&input)),
        (folder.junit(), junit(&input.run)),
    ];
    let mut written = Vec::new();
    for (path, content) in reports {
        // Beside it first: an interrupted write must not leave half a report under the report's name.
        let draft = path.with_extension("part");
        std::fs::write(&draft, content)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|source| ReportError::Write { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::parquet::write_rows;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_whole_run_folder_gives_three_reports() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        let input = fixture::input(fixture::held());
        std::fs::write(folder.run_json(), serde_json::to_vec(&input.run).expect("a document")).expect("written");
        std::fs::write(folder.machine(), input.machine.to_string()).expect("written");
        std::fs::write(folder.scenario(), input.scenario.unwrap_or_default()).expect("written");
        let samples: Vec<_> =
            input.samples.iter().map(|sample| serde_json::to_string(sample).expect("a row")).collect();
        std::fs::write(folder.samples(), samples.join("\n")).expect("written");
        write_rows(folder.operations(), fixture::operations()).expect("written");

        let written = write_all(&folder).expect("three reports");
        assert_eq!(written, [folder.report_html(), folder.report_md(), folder.junit()]);
        let page = std::fs::read_to_string(folder.report_html()).expect("a page");
        assert!(page.contains("Response time") && page.contains("Per-second rate"));
        assert!(!page.contains("Not in the run folder"));
    }

    #[test]
    fn a_run_that_crashed_at_its_start_gives_reports_that_say_so() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        write_all(&folder).expect("three reports");
        let page = std::fs::read_to_string(folder.report_html()).expect("a page");
        assert!(page.contains("This run did not end"));
        assert!(page.contains("run.json is not there"));
        assert!(page.contains("operations.parquet is not there"));
    }
}
