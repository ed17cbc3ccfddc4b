//! Places: nodes and links that the scenario has, of those that a kind can be done to.
//!
//! In: a place as typed. Out: the links that a `*` means, or what would be accepted. Elsewhere: which nodes and links there are
//! (`resolved::system`), what a kind can be done to (`bankstorm_faults::catalogue`).

use bankstorm_faults::nodes::ends;
use bankstorm_faults::plan::Kind;

use super::Around;
use crate::error::nearest;
use crate::file;
use crate::resolve::Refusal;

/// The faults that `typed` stands for: one for each link that its place means. What means none stays as it is, and is refused as such.
pub(super) fn spread(typed: &file::Fault, links: &[String]) -> Vec<file::Fault> {
    let meant: Vec<_> = links.iter().filter(|link| means(&typed.place, link)).collect();
    if meant.is_empty() {
        return vec![typed.clone()];
    }
    meant.into_iter().map(|link| file::Fault { place: link.clone(), ..typed.clone() }).collect()
}

/// Whether a place with a `*` in either end means this link.
fn means(place: &str, link: &str) -> bool {
    match (ends(place), ends(link)) {
        (Some((from, to)), Some((of, at))) => is_numbered(from, of) && is_numbered(to, at),
        _ => false,
    }
}

/// Whether `name` is `pattern`, in which `*` stands for a number.
fn is_numbered(pattern: &str, name: &str) -> bool {
    let Some((begin, end)) = pattern.split_once('*') else { return pattern == name };
    let number = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the place is there, and the kind can be done to it.
pub(super) fn check(index: usize, typed: &file::Fault, kind: Kind, around: &Around) -> Result<(), Refusal> {
    let (place, on) = (&typed.place, kind.entry().on);
    let is_link = ends(place).is_some();
    let refuse = |message: String, known: &[&str]| {
        let refusal = Refusal::new(format!("fault.{index}.place"), message);
        Err(Refusal { help: Some(nearest(place, known)), ..refusal })
    };
    let known: Vec<&str> = (if is_link { &around.links } else { &around.nodes }).iter().map(String::as_str).collect();
    if is_link == on.is_link() && !known.contains(&place.as_str()) {
        let what = if is_link { "which is no link of this scenario" } else { "which this scenario does not have" };
        return refuse(format!("is \"{place}\", {what}"), &known);
    }
    if on.fits(place) {
        return Ok(());
    }
    let fitting = around.nodes.iter().chain(&around.links).filter(|place| on.fits(place));
    let fitting: Vec<_> = fitting.map(|place| format!("`{place}`")).collect();
    let (what, word) = (if is_link { ", a link," } else { "," }, kind.word());
    let message = format!("is \"{place}\"{what} to which {word} cannot be done; accepted here: {}", fitting.join(", "));
    Err(Refusal::new(format!("fault.{index}.place"), message))
}
