//! Two transcripts side by side, and scripts with a step less.
//!
//! In: transcripts that differ, the script they differ on. Out: text; smaller scripts to try. Elsewhere: who runs them.

use std::fmt::Write;

use super::{Script, Transcript};

/// The width of the left column, in characters.
const LEFT: usize = 78;

/// Every script that lacks one of the steps of this one.
pub fn shorter(script: &Script) -> Vec<Script> {
    let without = |index: usize| {
        let mut shorter = script.clone();
        shorter.steps.remove(index);
        shorter
    };
    (0..script.steps.len()).map(without).collect()
}

/// Both transcripts in columns, the first line that differs marked with `>`. Nothing when they are the same.
pub fn side_by_side(left: (&str, &Transcript), right: (&str, &Transcript)) -> Option<String> {
    if left.1.lines == right.1.lines {
        return None;
    }
    let mut text = format!("  {:LEFT$} | {}\n", left.0, right.0);
    let mut marked = false;
    for index in 0..left.1.lines.len().max(right.1.lines.len()) {
        let line = |transcript: &Transcript| transcript.lines.get(index).cloned();
        let (a, b) = (line(left.1), line(right.1));
        let mark = if a != b && !marked { '>' } else { ' ' };
        marked |= a != b;
        let (a, b) = (a.unwrap_or_else(|| "-".to_owned()), b.unwrap_or_else(|| "-".to_owned()));
        // A string takes any write.
        let _ = writeln!(text, "{mark} {a:LEFT$} | {b}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::{Script, Transcript};
    use super::{shorter, side_by_side};

    fn transcript(lines: &[&str]) -> Transcript {
        Transcript { lines: lines.iter().map(|line| (*line).to_owned()).collect(), ..Transcript::default() }
    }

    #[test]
    fn the_first_difference_is_marked_and_equal_ones_say_nothing() {
        let (left, right) = (transcript(&["a", "b", "c"]), transcript(&["a", "x"]));
        assert_eq!(side_by_side(("left", &left), ("right", &left)), None);
        let text = side_by_side(("left", &left), ("right", &right)).expect("they differ");
        let marked: Vec<_> = text.lines().filter(|line| line.starts_with('>')).collect();
        assert_eq!(marked.len(), 1, "{text}");
        assert!(marked[0].starts_with("> b") && marked[0].ends_with("| x"), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.ends_with("| -")), "{text}");
    }

    #[test]
    fn each_shorter_script_lacks_one_step() {
        let script = Script::draw(1);
        let all = shorter(&script);
        assert_eq!(all.len(), script.steps.len());
        assert!(all.iter().all(|shorter| shorter.steps.len() + 1 == script.steps.len()));
    }
}
