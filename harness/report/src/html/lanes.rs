//! Fault lanes: under each chart a line for every fault, from its start to its heal and on to recovery, along the chart's own time axis.
//!
//! In: the marks of a [`Frame`]. Out: [`Lane`]s, which the page draws as boxes. Elsewhere: the shades behind the curves (`html::chart`).

use crate::html::chart::{Frame, Mark, short};

/// The most lanes; further faults share the last one.
const LANES: usize = 12;
/// A fault's name is written behind it where this share of the lane, in percent, is free there or before it.
const ROOM: f64 = 35.0;

/// One line under a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lane {
    /// The fault's id; of a shared lane, how many share it.
    pub(crate) name: String,
    /// What is told on pointing at it.
    pub(crate) about: String,
    /// What lies in it.
    pub(crate) spans: Vec<Span>,
    /// Kind and place beside the span, with the style that puts it there; absent in a shared lane.
    pub(crate) label: Option<(String, String)>,
}

/// A box in a lane, in percent from the left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    /// Its class in the style sheet.
    pub(crate) class: &'static str,
    /// Where it begins.
    pub(crate) left: String,
    /// How long it is.
    pub(crate) width: String,
}

/// The lanes of a page's charts, in the order of the faults. Faults outside the charts' time have none.
pub(crate) fn draw(frame: &Frame) -> Vec<Lane> {
    let (from, to) = frame.domain_s;
    let marks: Vec<&Mark> =
        frame.marks.iter().filter(|mark| mark.from_s <= to && mark.to_s.is_none_or(|end| end >= from)).collect();
    let own = if marks.len() > LANES { LANES - 1 } else { marks.len() };
    let (own, shared) = marks.split_at(own);
    let percent = |second: f64| 100.0 * ((second - from) / (to - from)).clamp(0.0, 1.0);
    let mut lanes: Vec<Lane> = own.iter().map(|mark| lane(mark, to, percent)).collect();
    if !shared.is_empty() {
        lanes.push(Lane {
            name: format!("{} more", shared.len()),
            about: shared.iter().map(|mark| about(mark)).collect::<Vec<_>>().join("; "),
            spans: shared.iter().flat_map(|mark| spans(mark, to, percent)).collect(),
            label: None,
        });
    }
    lanes
}

fn lane(mark: &Mark, to: f64, percent: impl Fn(f64) -> f64) -> Lane {
    let left = percent(mark.from_s);
    let end = mark.to_s.unwrap_or(to);
    let right = percent(mark.recovered_s.map_or(end, |recovered| recovered.max(end)));
    let place = match 100.0 - right {
        free if free >= ROOM => format!("left:{right:.2}%"),
        _ if left >= ROOM => format!("right:{:.2}%", 100.0 - left),
        _ => format!("left:{left:.2}%"),
    };
    let label = if mark.planned { mark.label.clone() } else { format!("unplanned: {}", mark.label) };
    Lane { name: mark.id.clone(), about: about(mark), spans: spans(mark, to, percent), label: Some((label, place)) }
}

fn spans(mark: &Mark, to: f64, percent: impl Fn(f64) -> f64) -> Vec<Span> {
    let span = |class, from_s: f64, to_s: f64| {
        let (left, right) = (percent(from_s), percent(to_s));
        Span { class, left: format!("{left:.2}"), width: format!("{:.2}", right - left) }
    };
    let end = mark.to_s.unwrap_or(to);
    let mut spans = vec![span(if mark.planned { "fault" } else { "fault unplanned" }, mark.from_s, end)];
    spans.extend(mark.recovered_s.filter(|at| *at > end).map(|recovered| span("recovering", end, recovered)));
    spans
}

fn about(mark: &Mark) -> String {
    let planned = if mark.planned { "" } else { ", unplanned" };
    let healed = match mark.to_s {
        Some(end) if mark.planned => format!(", healed at {} s", short(end)),
        _ => String::new(),
    };
    let recovered = mark.recovered_s.map_or_else(String::new, |at| format!(", recovering until {} s", short(at)));
    format!("{} {}{planned}: from {} s{healed}{recovered}", mark.id, mark.label, short(mark.from_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(id: &str, from_s: f64, to_s: Option<f64>) -> Mark {
        Mark {
            id: id.to_owned(),
            label: "node.kill core".to_owned(),
            from_s,
            to_s,
            recovered_s: to_s.map(|to| to + 5.0),
            planned: true,
        }
    }

    fn lanes(marks: Vec<Mark>) -> Vec<Lane> {
        draw(&Frame { domain_s: (-10.0, 90.0), marks })
    }

    #[test]
    fn a_fault_lies_where_the_chart_has_its_seconds() {
        let lane = &lanes(vec![mark("fault-0", 10.0, Some(15.0))])[0];
        let at = |span: &Span| (span.class, span.left.clone(), span.width.clone());
        let spans: Vec<_> = lane.spans.iter().map(at).collect();
        let told = |class, left: &str, width: &str| (class, left.to_owned(), width.to_owned());
        assert_eq!(spans, [told("fault", "20.00", "5.00"), told("recovering", "25.00", "5.00")]);
        assert_eq!(lane.about, "fault-0 node.kill core: from 10 s, healed at 15 s, recovering until 20 s");
        assert_eq!(lane.label, Some(("node.kill core".to_owned(), "left:30.00%".to_owned())));
    }

    #[test]
    fn what_was_never_healed_lasts_to_the_end_and_what_began_later_is_left_out() {
        let lanes = lanes(vec![mark("a", 80.0, None), mark("b", 95.0, Some(96.0))]);
        assert_eq!((lanes.len(), lanes[0].spans[0].width.as_str()), (1, "10.00"));
        assert_eq!(lanes[0].label.as_ref().map(|(_, place)| place.as_str()), Some("right:10.00%"));
    }

    #[test]
    fn an_unplanned_fault_is_marked_as_one() {
        let lanes = lanes(vec![Mark { planned: false, recovered_s: None, ..mark("unplanned-0", 3.0, Some(3.0)) }]);
        assert_eq!(lanes[0].spans[0].class, "fault unplanned");
        assert!(lanes[0].about.contains(", unplanned: from 3 s"));
        assert!(lanes[0].label.as_ref().is_some_and(|(label, _)| label.starts_with("unplanned: ")));
    }

    #[test]
    fn no_fault_is_dropped_when_there_are_many() {
        let lanes = lanes((0..40).map(|i| mark(&i.to_string(), f64::from(i), Some(f64::from(i) + 0.5))).collect());
        assert_eq!((lanes.len(), lanes[LANES - 1].name.as_str()), (LANES, "29 more"));
        assert_eq!(lanes[LANES - 1].spans.len(), 58);
        assert!(lanes[LANES - 1].about.contains("39 node.kill core"));
    }
}
