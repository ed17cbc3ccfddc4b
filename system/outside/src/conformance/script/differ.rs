//! What is said of two transcripts that differ, and what a script is made smaller by.
//!
//! In: transcripts, scripts. Out: text, smaller scripts. Elsewhere: who runs the smaller ones (`adapters/tests`).

use std::fmt::Write as _;

use super::Step;

/// Both transcripts beside each other, with the first difference marked.
pub fn side_by_side(left: (&str, &[String]), right: (&str, &[String])) -> String {
    let lines = left.1.len().max(right.1.len());
    let first = (0..lines).find(|line| left.1.get(*line) != right.1.get(*line));
    let mut text = String::new();
    for line in 0..lines {
        let (ours, theirs) = (left.1.get(line), right.1.get(line));
        let none = "(nothing)".to_owned();
        if ours == theirs {
            let _ = writeln!(text, "    {}", ours.unwrap_or(&none));
            continue;
        }
        let mark = if Some(line) == first { ">>>" } else { "  |" };
        let _ = writeln!(text, "{mark} {:>10}: {}", left.0, ours.unwrap_or(&none));
        let _ = writeln!(text, "{mark} {:>10}: {}", right.0, theirs.unwrap_or(&none));
    }
    text
}

/// Smaller scripts, the smallest first: without a half, a quarter ..., a step, and without a session.
pub fn without(script: &[Step]) -> Vec<Vec<Step>> {
    let mut smaller = Vec::new();
    let mut size = script.len() / 2;
    while size > 0 {
        for from in (0..script.len()).step_by(size) {
            let to = (from + size).min(script.len());
            smaller.push([&script[..from], &script[to..]].concat());
        }
        size /= 2;
    }
    for session in 0..super::SESSIONS {
        let rest: Vec<Step> = script.iter().filter(|step| step.session != session).cloned().collect();
        if rest.len() < script.len() {
            smaller.push(rest);
        }
    }
    smaller.sort_by_key(Vec::len);
    smaller
}
