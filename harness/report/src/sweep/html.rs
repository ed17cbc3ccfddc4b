//! `report.html` of a sweep: one file that needs no network and no script, with a heat map a mode and cost.
//!
//! In: `sweep.json`. Out: the page. Elsewhere: its text and look (`templates/sweep.html`, `templates/sweep.css`, and `page.css`, which all
//! pages have), the rows (`sweep::tables`).
//!
//! A cell's colour is its rate on a logarithmic scale between the slowest and the fastest of its map: settings a hundred times apart are
//! told from each other, and so are those ten per cent apart among their neighbours by their figures.

use askama::Template;
use bankstorm_record::sweep_json::{CellSummary, SweepJson};

use super::{cpu, evidence, headline, of_grid, per_s, reasons, runs, verdict};
use crate::ReportError;
use crate::html::LOOK;
use crate::tables::TextTable;
use crate::words::{clean, count};

/// The most cells whose processor time and evidence are listed; sweep.json has them all.
const CELLS: usize = 150;
/// The most measurements that are listed.
const RUNS: usize = 200;
/// The faintest and the strongest that a cell is coloured.
const FAINT: f64 = 0.06;
const STRONG: f64 = 0.92;
/// From here on its text is light.
const LIGHT_TEXT: f64 = 0.7;

/// The page of `sweep`.
///
/// # Errors
/// When the template fails, which its tests rule out for any input they know.
pub fn html(sweep: &SweepJson) -> Result<String, ReportError> {
    Ok(Page::of(sweep).render()?)
}

/// A heat map: a row a number of partitions, a column a number of workers.
struct Map {
    heading: String,
    workers: Vec<u32>,
    rows: Vec<(u32, Vec<Spot>)>,
}

/// A cell of it.
struct Spot {
    alpha: String,
    light: bool,
    rate: String,
    spread: String,
    predicted: String,
    word: &'static str,
    tone: &'static str,
    why: String,
}

#[derive(Template)]
#[template(path = "sweep.html")]
struct Page<'a> {
    look: &'static str,
    css: &'static str,
    sweep: &'a SweepJson,
    headline: &'static str,
    meaning: &'static str,
    tone: &'static str,
    switched_off: String,
    facts: Vec<(&'static str, String)>,
    maps: Vec<Map>,
    anchor: Option<String>,
    grids: Vec<(String, TextTable)>,
    evidence: Vec<String>,
    reasons: Vec<String>,
    cpu: TextTable,
    runs: TextTable,
    left_out: usize,
    repeat: String,
}

impl<'a> Page<'a> {
    fn of(sweep: &'a SweepJson) -> Self {
        let (headline, meaning, tone) = headline(sweep);
        Self {
            look: LOOK,
            css: include_str!("../../templates/sweep.css"),
            sweep,
            headline,
            meaning,
            tone: tone.class(),
            switched_off: sweep.r#unsafe.join(", "),
            facts: facts(sweep),
            maps: maps(sweep),
            anchor: anchor(sweep),
            grids: super::grids(sweep),
            evidence: evidence(sweep, CELLS),
            reasons: reasons(sweep, CELLS),
            cpu: cpu(sweep, CELLS),
            runs: runs(sweep, RUNS),
            left_out: sweep.runs.len().saturating_sub(RUNS),
            repeat: format!("bankstorm sweep scenario.toml --env {} --seed {}", clean(&sweep.environment), sweep.seed),
        }
    }
}

fn facts(sweep: &SweepJson) -> Vec<(&'static str, String)> {
    let grid = &sweep.grid;
    let backlog = grid.backlog.map_or_else(|| "not posted".to_owned(), count);
    vec![
        ("measured", format!("{} of {}", count(sweep.runs.len() as u64), count(grid.planned))),
        ("began", sweep.started_at.clone()),
        ("ended", sweep.ended_at.clone().unwrap_or_else(|| "not yet".to_owned())),
        ("taken up again", format!("{} times", sweep.resumed)),
        ("environment", sweep.environment.clone()),
        ("channels", grid.channel_instances.to_string()),
        (
            "accounts",
            format!("{}, each with {} entries before", count(grid.accounts), count(grid.history_depth.into())),
        ),
        ("backlog", format!("{backlog} deposits, posted once through core, one an account")),
        ("build", format!("{} {} ({})", sweep.bankstorm.version, sweep.bankstorm.commit, sweep.bankstorm.profile)),
    ]
}

fn anchor(sweep: &SweepJson) -> Option<String> {
    let anchor = sweep.anchor.as_ref()?;
    let rates: Vec<String> = anchor.events_per_s.iter().map(|rate| per_s(*rate)).collect();
    let drift = anchor.drift.map(|drift| format!(": {:.1} % apart", drift * 100.0)).unwrap_or_default();
    let (partitions, workers) = (anchor.cell.partitions, anchor.cell.workers);
    let of = of_grid(&anchor.cell);
    let rates = rates.join(", ");
    Some(format!(
        "The same cell, {partitions} x {workers} ({of}), was measured first, in the middle and last, so that a machine that changes shows. \
         It gave {rates} events/s{drift}."
    ))
}

fn maps(sweep: &SweepJson) -> Vec<Map> {
    let mut maps: Vec<(String, Vec<&CellSummary>)> = Vec::new();
    for summary in &sweep.cells {
        let heading = of_grid(&summary.cell);
        match maps.last_mut().filter(|(last, _)| *last == heading) {
            Some((_, cells)) => cells.push(summary),
            None => maps.push((heading, vec![summary])),
        }
    }
    maps.into_iter().map(|(heading, cells)| map(sweep, heading, &cells)).collect()
}

fn map(sweep: &SweepJson, heading: String, cells: &[&CellSummary]) -> Map {
    let rates = cells.iter().filter_map(|summary| summary.events_per_s.map(|spread| spread.median));
    let (least, most) = rates.fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
    let rows = sweep.grid.partitions.iter().map(|partitions| {
        let of_row = cells.iter().filter(|summary| summary.cell.partitions == *partitions);
        (*partitions, of_row.map(|summary| spot(summary, least, most)).collect())
    });
    Map { heading, workers: sweep.grid.workers.clone(), rows: rows.collect() }
}

fn spot(summary: &CellSummary, least: f64, most: f64) -> Spot {
    let (word, tone) = verdict(summary.verdict);
    let spread = summary.events_per_s;
    let alpha = spread.map_or(0.0, |spread| heat(spread.median, least, most));
    let predicted = spread.zip(summary.predicted_per_s).map(|(spread, predicted)| {
        format!("{:.0} % of {} predicted", spread.median / predicted * 100.0, per_s(predicted))
    });
    let range = spread.filter(|spread| spread.count > 1);
    Spot {
        alpha: format!("{alpha:.2}"),
        light: alpha >= LIGHT_TEXT,
        rate: spread.map_or_else(|| "-".to_owned(), |spread| per_s(spread.median)),
        spread: range.map(|spread| format!("{} to {}", per_s(spread.min), per_s(spread.max))).unwrap_or_default(),
        predicted: predicted.unwrap_or_default(),
        word,
        tone: tone.class(),
        why: summary.bound_by.as_ref().map(|bound| bound.resource.clone()).unwrap_or_default(),
    }
}

/// How strongly a rate is coloured between the least and the greatest of its map.
fn heat(rate: f64, least: f64, most: f64) -> f64 {
    let span = (most / least).ln();
    let share = if span > 0.0 { (rate / least).ln() / span } else { 0.5 };
    FAINT + (STRONG - FAINT) * share.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::sweep_json::{CellVerdict, SweepState};

    use super::{LOOK, heat, html};
    use crate::sweep::fixture;

    #[test]
    fn the_page_of_sixty_cells_is_small_and_asks_nobody_for_anything() {
        // 10 x 3 x 2 costs, each measured twice.
        let page = html(&fixture::sweep(10, 3)).expect("a page");
        assert!(page.len() <= 300_000, "{} bytes", page.len());
        assert_eq!(page.matches("class=\"spot").count(), 60);
        for request in
            ["http://", "https://", "//cdn", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe"]
        {
            assert!(!page.contains(request), "{request}");
        }
        assert!(page.contains("default-src 'none'"), "and could not if it wanted to");
        assert!(
            page.contains(LOOK) && !page.contains(".lanes{"),
            "the look of all pages, and nothing of a run's charts"
        );
    }

    #[test]
    fn what_is_measured_and_what_is_predicted_stand_together() {
        let page = html(&fixture::sweep(2, 3)).expect("a page");
        assert!(page.contains("97 % of 10.0 predicted"), "{page}");
        assert!(page.contains("slots, 100 ms a sync") && page.contains("slots, a sync costs nothing"));
        assert!(page.contains("1.0 % apart") && page.contains("postgres-channel"));
        assert!(page.contains("Every cell is as predicted"));
    }

    #[test]
    fn a_sweep_that_was_broken_off_says_so_first() {
        let mut sweep = fixture::sweep(2, 2);
        sweep.state = SweepState::Interrupted;
        sweep.reasons = vec!["</title><script>alert(1)</script>".to_owned()];
        sweep.cells[0].verdict = Some(CellVerdict::Failed);
        (sweep.cells[1].verdict, sweep.cells[1].events_per_s) = (None, None);
        let told = &mut sweep.runs[2];
        (told.verdict, told.reason) = (CellVerdict::Unexplained, Some("nothing was full".to_owned()));
        let page = html(&sweep).expect("a page");
        assert!(page.contains(": unexplained: nothing was full"), "the reason of every repeat stands there");
        assert!(page.contains("The sweep was broken off") && page.contains("not measured") && page.contains("FAILED"));
        assert!(!page.contains("<script"), "text from outside cannot become markup");
    }

    #[test]
    fn colours_follow_orders_of_magnitude() {
        assert!((heat(10.0, 10.0, 1_000.0) - 0.06).abs() < 1e-9);
        assert!((heat(100.0, 10.0, 1_000.0) - 0.49).abs() < 1e-9);
        assert!((heat(1_000.0, 10.0, 1_000.0) - 0.92).abs() < 1e-9);
        assert!((heat(7.0, 7.0, 7.0) - 0.49).abs() < 1e-9, "one rate is neither");
    }
}
