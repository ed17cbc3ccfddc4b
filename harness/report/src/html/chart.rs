//! One chart as inline SVG: lines over seconds, limits, faults.
//!
//! In: a [`Chart`]. Out: a [`Drawn`] chart: the SVG of the plot, and tick labels that the page places around it as text. Elsewhere: which
//! charts there are (`html::curves`), faults in lanes of their own (`html::lanes`), their look (`templates/report.css`).
//!
//! The plot stretches to the page's width while text keeps its size, hence no text inside the SVG but titles. Long runs are drawn in at
//! most [`POINTS`] points.

use std::fmt::Write as _;

use crate::html::scale::Scale;
use crate::words::escape;

/// The most points of a line; further seconds share one.
const POINTS: usize = 240;
/// The plot's own coordinates.
const WIDTH: f64 = 1000.0;
pub(super) const HEIGHT: f64 = 240.0;

/// How several seconds become one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// The worst of them.
    Max,
    /// Their mean.
    Mean,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the legend.
    pub(crate) label: String,
    /// Which of the page's colours, from 1.
    pub(crate) colour: usize,
    /// Drawn dashed: what was asked for, beside what was got.
    pub(crate) dashed: bool,
    /// One value per entry of [`Chart::at_s`].
    pub(crate) values: Vec<Option<f64>>,
}

/// A span that is marked in every chart: a fault.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// The fault's id.
    pub(crate) id: String,
    /// What it is and where.
    pub(crate) label: String,
    /// Begin, in seconds.
    pub(crate) from_s: f64,
    /// End, in seconds; to the end of the chart where it is not known.
    pub(crate) to_s: Option<f64>,
    /// When the bank had recovered, in seconds; absent for a fault that was not healed or not planned.
    pub(crate) recovered_s: Option<f64>,
    /// Whether the scenario planned it.
    pub(crate) planned: bool,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Unique on the page.
    pub(crate) id: &'static str,
    /// Heading.
    pub(crate) title: &'static str,
    /// Unit of the values.
    pub(crate) unit: &'static str,
    /// What is seen, and how it was counted.
    pub(crate) about: String,
    /// The moment of each value, in seconds since measuring began.
    pub(crate) at_s: Vec<f64>,
    /// How long one value lasts.
    pub(crate) step_s: f64,
    /// Lines.
    pub(crate) lines: Vec<Line>,
    /// Horizontal limits: label and value.
    pub(crate) limits: Vec<(String, f64)>,
    /// How several seconds become one point.
    pub(crate) join: Join,
    /// The scale may become logarithmic where a spike would flatten all else.
    pub(crate) may_be_log: bool,
}

/// What all charts of a page have in common.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// First and last second shown.
    pub(crate) domain_s: (f64, f64),
    /// Faults.
    pub(crate) marks: Vec<Mark>,
}

/// A label beside the plot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Its place, in percent from the left or the bottom.
    pub(crate) at: String,
    /// Its text.
    pub(crate) label: String,
    /// Left out where there is little room.
    pub(crate) minor: bool,
}

/// A legend's entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Legend {
    pub(crate) class: String,
    pub(crate) label: String,
    pub(crate) note: String,
}

/// A chart, drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: String,
    pub(crate) about: String,
    /// Escaped already.
    pub(crate) svg: String,
    pub(crate) x_ticks: Vec<Tick>,
    pub(crate) y_ticks: Vec<Tick>,
    pub(crate) legend: Vec<Legend>,
}

/// A number as short as its size allows.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 99.95 || v == 0.0 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let Some((whole, fraction)) = text.split_once('.') else {
        return match value.round() {
            v if v >= 0.0 => crate::words::count(v as u64),
            _ => text,
        };
    };
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Draws `chart`.
pub(crate) fn draw(mut chart: Chart, frame: &Frame) -> Drawn {
    let highest: Vec<_> = chart
        .lines
        .iter()
        .map(|line| line.values.iter().flatten().copied().fold(None, |m, v| Some(f64::max(m.unwrap_or(v), v))))
        .collect();
    let shared = thin(&mut chart);
    let scale = Scale::of(&chart);
    let (from, to) = frame.domain_s;
    let x = |second: f64| ((second - from) / (to - from)).clamp(0.0, 1.0) * WIDTH;

    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}, {}</title><desc id=\"{id}-d\">{}</desc>",
        escape(chart.title),
        escape(chart.unit),
        escape(&description(&chart, &highest)),
        id = chart.id,
    );
    // Writing to a string cannot fail.
    if from < 0.0 {
        let _ = write!(svg, "<rect class=\"warm\" x=\"0\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"/>", x(0.0));
    }
    for mark in &frame.marks {
        let (left, right) = (x(mark.from_s), x(mark.to_s.unwrap_or(to)));
        let class = if mark.planned { "fault" } else { "fault unplanned" };
        let width = (right - left).max(3.0);
        let _ =
            write!(svg, "<rect class=\"{class}\" x=\"{left:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>");
        let after = mark.recovered_s.map_or(0.0, |recovered| x(recovered) - right);
        if after > 0.0 {
            let _ = write!(
                svg,
                "<rect class=\"fault recovering\" x=\"{right:.1}\" y=\"0\" width=\"{after:.1}\" height=\"{HEIGHT}\"/>"
            );
        }
    }
    for tick in scale.ticks() {
        let y = scale.y(tick);
        let _ = write!(svg, "<path class=\"grid\" d=\"M0 {y:.1}H{WIDTH}\"/>");
    }
    for (_, limit) in &chart.limits {
        let y = scale.y(*limit);
        let _ = write!(svg, "<path class=\"limit\" d=\"M0 {y:.1}H{WIDTH}\"/>");
    }
    for line in &chart.lines {
        let class =
            if line.dashed { format!("line c{} dashed", line.colour) } else { format!("line c{}", line.colour) };
        let _ = write!(svg, "<path class=\"{class}\" d=\"{}\"/>", path(&chart.at_s, &line.values, &scale, &x));
    }
    tips(&mut svg, &chart, frame, &x);
    svg.push_str("</svg>");

    let mut about = chart.about.clone();
    if shared > 1 {
        let how = if chart.join == Join::Max { "the worst" } else { "the mean" };
        let _ = write!(about, " Each point is {how} of {shared} samples.");
    }
    let unit = if scale.log { format!("{}, logarithmic scale", chart.unit) } else { chart.unit.to_owned() };
    Drawn {
        id: chart.id,
        title: chart.title,
        unit,
        about,
        svg,
        x_ticks: x_ticks(frame.domain_s),
        y_ticks: y_ticks(&scale),
        legend: legend(&chart, &highest, frame),
    }
}

/// Joins neighbouring values until no line has more than [`POINTS`]; says how many share a point.
fn thin(chart: &mut Chart) -> usize {
    let shared = chart.at_s.len().div_ceil(POINTS).max(1);
    if shared == 1 {
        return 1;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    chart.at_s = chart.at_s.chunks(shared).map(mean).collect();
    chart.step_s *= shared as f64;
    for line in &mut chart.lines {
        let join = |values: &[Option<f64>]| {
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            match (known.is_empty(), chart.join) {
                (true, _) => None,
                (_, Join::Mean) => Some(mean(&known)),
                (_, Join::Max) => known.into_iter().reduce(f64::max),
            }
        };
        line.values = line.values.chunks(shared).map(join).collect();
    }
    shared
}

/// A line's path; where a value is absent the pen is lifted.
fn path(at_s: &[f64], values: &[Option<f64>], scale: &Scale, x: &impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut down = false;
    for (at, value) in at_s.iter().zip(values) {
        if let Some(value) = value {
            let _ = write!(path, "{}{:.1} {:.1}", if down { 'L' } else { 'M' }, x(*at), scale.y(*value));
            if !down {
                // So that a lone point is a dot.
                path.push_str("h0");
            }
        }
        down = value.is_some();
    }
    path
}

/// Invisible columns that tell their second's values when pointed at.
fn tips(svg: &mut String, chart: &Chart, frame: &Frame, x: &impl Fn(f64) -> f64) {
    for (i, at) in chart.at_s.iter().enumerate() {
        let (left, right) = (x(at - chart.step_s / 2.0), x(at + chart.step_s / 2.0));
        let values: Vec<_> =
            chart.lines.iter().filter_map(|line| Some(format!("{} {}", line.label, short(line.values[i]?)))).collect();
        let during: Vec<_> = frame
            .marks
            .iter()
            .filter(|mark| {
                mark.from_s <= at + chart.step_s / 2.0 && mark.to_s.is_none_or(|to| to >= at - chart.step_s / 2.0)
            })
            .map(|mark| mark.label.clone())
            .collect();
        let text = [values, during].concat().join(", ");
        let second = short((at - chart.step_s / 2.0).round());
        let _ = write!(
            svg,
            "<rect class=\"tip\" x=\"{left:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"><title>{second} s: {}</title></rect>",
            right - left,
            escape(&text)
        );
    }
}

/// For those who do not see the plot.
fn description(chart: &Chart, highest: &[Option<f64>]) -> String {
    let peaks = chart
        .lines
        .iter()
        .zip(highest)
        .filter_map(|(line, high)| Some(format!("{} up to {}", line.label, short((*high)?))));
    format!("{} Highest values: {} {}.", chart.about, peaks.collect::<Vec<_>>().join(", "), chart.unit)
}

fn legend(chart: &Chart, highest: &[Option<f64>], frame: &Frame) -> Vec<Legend> {
    let mut legend: Vec<Legend> = Vec::new();
    for (line, high) in chart.lines.iter().zip(highest) {
        let class = if line.dashed { format!("c{} dashed", line.colour) } else { format!("c{}", line.colour) };
        let note = high.map(|high| format!("max {}", short(high))).unwrap_or_default();
        legend.push(Legend { class, label: line.label.clone(), note });
    }
    for (label, value) in &chart.limits {
        legend.push(Legend { class: "limit".to_owned(), label: label.clone(), note: short(*value) });
    }
    let mut band = |class: &str, label: &str, is_such: fn(&Mark) -> bool| {
        if frame.marks.iter().any(is_such) {
            legend.push(Legend { class: format!("band {class}"), label: label.to_owned(), note: String::new() });
        }
    };
    band("planned", "planned fault", |mark| mark.planned);
    band("recovering", "recovering from it", |mark| mark.recovered_s.is_some());
    band("unplanned", "unplanned fault", |mark| !mark.planned);
    legend
}

fn y_ticks(scale: &Scale) -> Vec<Tick> {
    let tick =
        |value: f64| Tick { at: format!("{:.2}", 100.0 * scale.share(value)), label: short(value), minor: false };
    scale.ticks().into_iter().map(tick).collect()
}

/// Marks on a round number of seconds, 0 among them; every second one may be left out.
fn x_ticks((from, to): (f64, f64)) -> Vec<Tick> {
    const STEPS: [f64; 16] =
        [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0];
    let step = STEPS.into_iter().find(|step| (to - from) / step <= 10.0).unwrap_or(86400.0);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    let tick = |i: i64| {
        let second = i as f64 * step;
        let label = if second < 0.0 { format!("\u{2212}{}", short(-second)) } else { short(second) };
        Tick { at: format!("{:.2}", 100.0 * (second - from) / (to - from)), label, minor: i % 2 != 0 }
    };
    (first..=last).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>) -> Chart {
        Chart {
            id: "c",
            title: "Title",
            unit: "ms",
            about: "About.".to_owned(),
            at_s: (0..values.len()).map(|i| i as f64 + 0.5).collect(),
            step_s: 1.0,
            lines: vec![Line { label: "a<b".to_owned(), colour: 1, dashed: false, values }],
            limits: vec![],
            join: Join::Max,
            may_be_log: true,
        }
    }

    fn frame(to: f64) -> Frame {
        Frame { domain_s: (0.0, to), marks: vec![] }
    }

    #[test]
    fn a_spike_makes_the_scale_logarithmic_and_the_axis_says_so() {
        let drawn = draw(chart(vec![Some(2.0), Some(1000.0), Some(3.0)]), &frame(3.0));
        assert_eq!(drawn.unit, "ms, logarithmic scale");
        let labels: Vec<_> = drawn.y_ticks.iter().map(|t| t.label.as_str()).collect();
        assert_eq!(labels, ["10", "100", "1,000"]);
    }

    #[test]
    fn an_even_line_starts_its_axis_at_zero() {
        let drawn = draw(chart(vec![Some(290.0), Some(300.0)]), &frame(2.0));
        let labels: Vec<_> = drawn.y_ticks.iter().map(|t| t.label.as_str()).collect();
        assert_eq!((drawn.unit.as_str(), labels), ("ms", vec!["0", "100", "200", "300"]));
    }

    #[test]
    fn a_hole_lifts_the_pen_and_names_are_escaped() {
        let drawn = draw(chart(vec![Some(1.0), None, Some(1.0)]), &frame(3.0));
        assert!(drawn.svg.contains("d=\"M166.7 0.0h0M833.3 0.0h0\""), "{}", drawn.svg);
        assert!(drawn.svg.contains("a&lt;b") && !drawn.svg.contains("a<b"));
    }

    #[test]
    fn a_day_of_seconds_stays_small_and_keeps_its_worst_second() {
        let mut values = vec![Some(5.0); 86_400];
        values[40_000] = Some(140.0);
        let drawn = draw(chart(values), &frame(86_400.0));
        assert!(drawn.svg.len() < 50_000, "{}", drawn.svg.len());
        assert_eq!(drawn.legend[0].note, "max 140");
        assert!(drawn.about.contains("the worst of 360 samples"));
        assert!(drawn.x_ticks.len() <= 11);
    }

    #[test]
    fn nothing_measured_draws_an_empty_plot() {
        let drawn = draw(chart(vec![None, None]), &frame(2.0));
        assert!(drawn.svg.contains("d=\"\"") && !drawn.svg.contains("NaN"));
    }
}
