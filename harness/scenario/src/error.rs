//! What is said when a scenario is not accepted: file, line, column, the key, the value, what would be accepted, the nearest known key.
//!
//! In: where in which source, and what is wrong there. Out: [`ScenarioError`], whose text is complete. Elsewhere: exit codes (`cli`).

use std::fmt::{self, Write as _};
use std::ops::Range;

/// Why there is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {problem}")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        problem: String,
    },
    /// Something in it is not accepted.
    #[error("{0}")]
    Refused(Box<Refused>),
}

/// What is not accepted, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where.
    pub place: Place,
    /// One sentence: the key, the value, what would be accepted.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file.
    File {
        /// Its path.
        path: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The whole line.
        text: String,
        /// How many characters are meant.
        length: usize,
    },
    /// In a `--set`.
    Set {
        /// As it was given.
        text: String,
    },
    /// The file as a whole: something is absent.
    Whole {
        /// Its path.
        path: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, line, column, text, length } => {
                let margin = " ".repeat(line.to_string().len());
                let before: String = text.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
                let marks = "^".repeat((*length).max(1));
                writeln!(f, "{path}:{line}:{column}: {}", self.message)?;
                writeln!(f, "{margin} |")?;
                writeln!(f, "{line} | {text}")?;
                write!(f, "{margin} | {before}{marks}")?;
            }
            Place::Set { text } => write!(f, "--set {text}: {}", self.message)?,
            Place::Whole { path } => write!(f, "{path}: {}", self.message)?,
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// The texts that a scenario is made of.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) sets: Vec<String>,
}

/// A part of one of the [`Sources`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Bytes of the file.
    File(Range<usize>),
    /// The `--set` of this number.
    Set(usize),
    /// Nothing in particular.
    Whole,
}

impl Sources {
    pub(crate) fn refuse(&self, mark: &Mark, message: impl Into<String>, help: Option<String>) -> ScenarioError {
        let place = match mark {
            Mark::File(span) => self.file_place(span),
            Mark::Set(number) => Place::Set { text: self.sets[*number].clone() },
            Mark::Whole => Place::Whole { path: self.file.clone() },
        };
        ScenarioError::Refused(Box::new(Refused { place, message: message.into(), help }))
    }

    fn file_place(&self, span: &Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |newline| start + newline);
        let end = span.end.clamp(start, line_end.max(start));
        Place::File {
            path: self.file.clone(),
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            text: self.text[line_start..line_end].trim_end().to_owned(),
            length: self.text[start..end].chars().count(),
        }
    }
}

/// "did you mean ..." for a word that is none of `known`, and the whole list where nothing is near.
pub(crate) fn nearest(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 2).max(1));
    let mut help = near.map_or_else(String::new, |(_, candidate)| format!("did you mean `{candidate}`? "));
    let list: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
    let _ = write!(help, "accepted here: {}", list.join(", "));
    help
}

/// Levenshtein's distance.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances_count_single_changes() {
        let cases =
            [("", "", 0), ("rate", "rate", 0), ("rat", "rate", 1), ("raet", "rate", 2), ("kitten", "sitting", 3)];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_far_word_gets_the_list_alone() {
        assert_eq!(nearest("raet", &["op", "rate"]), "did you mean `rate`? accepted here: `op`, `rate`");
        assert_eq!(nearest("connections", &["op", "rate"]), "accepted here: `op`, `rate`");
    }
}
