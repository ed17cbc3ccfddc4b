//! What of a session's messages is a commit, and which of the server's answers is the answer to it.
//!
//! In: frames of both ways, in their order. Out: which are commits, and how a commit that is waited for ended. Elsewhere: where messages
//! end (`framing`), what is done (`postgres`).
//!
//! Pure. Callers send ahead: answers are matched by counting. Each group of messages, ended by a Query or a Sync, is answered by one
//! ReadyForQuery; the session's first message is answered by one too. Within its group a commit is known by its number among the group's
//! commits. A COMMIT among several statements of one Query is not looked for.

use std::collections::BTreeSet;

use crate::rules::Commit;

use super::framing::Frame;

/// The statements that commit, in small letters.
const COMMITS: [&str; 6] = ["commit", "commit work", "commit transaction", "end", "end work", "end transaction"];
/// The tag with which a server says that it has committed; a transaction that had failed is answered ROLLBACK.
const COMMITTED: &[u8] = b"COMMIT\0";
/// Tag and length, before a message's body.
const HEADER: usize = 5;

/// What a message of the caller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// It commits.
    pub(super) is_commit: bool,
    /// The group ends with it.
    pub(super) ends_group: bool,
}

/// What a message of the server says of the commit that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing.
    Passes,
    /// It was carried out.
    Committed(Commit),
    /// It was not.
    Refused,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Names of prepared statements that commit, and of portals of theirs.
    statements: BTreeSet<Vec<u8>>,
    portals: BTreeSet<Vec<u8>>,
    /// Groups that the caller has ended.
    ended: u64,
    /// Of them, those ended by a Sync since something was last executed.
    synced: u64,
    /// Commits in the group that has not ended.
    commits: u64,
    /// Group and number of the latest commit.
    latest: (u64, u64),
    /// Groups that the server has answered.
    answered: u64,
    /// Commits that it has told of the next one.
    told: u64,
    waiting: Option<Waiting>,
    /// One side has ended: no answer is waited for any more.
    is_over: bool,
    /// Requests for encryption that are not answered.
    bytes_due: u32,
    is_sealed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    commit: Commit,
    group: u64,
    number: u64,
}

impl Session {
    /// What the caller sends.
    pub(super) fn asks(&mut self, frame: &Frame) -> Asked {
        match frame {
            Frame::Encryption(_) => self.bytes_due += 1,
            Frame::Startup(_) => self.ended += 1,
            Frame::Message { tag, bytes, is_whole } => return self.message(*tag, &bytes[HEADER..], *is_whole),
            Frame::Part(_) => {}
        }
        Asked::default()
    }

    fn message(&mut self, tag: u8, body: &[u8], is_whole: bool) -> Asked {
        let is_commit = match tag {
            b'Q' => is_whole && commits(text(body)),
            b'E' => self.portals.contains(text(body)),
            _ => false,
        };
        if is_commit {
            self.commits += 1;
            self.latest = (self.ended, self.commits);
        }
        match tag {
            b'P' => {
                let (name, query) = two_texts(body);
                note(&mut self.statements, name, is_whole && commits(query));
            }
            b'B' => {
                let (portal, statement) = two_texts(body);
                let is_commits = self.statements.contains(statement);
                note(&mut self.portals, portal, is_commits);
            }
            b'C' => self.closes(body),
            // A copy that the caller feeds: what it synced since the statement was read as part of the copy, and is never answered.
            b'c' | b'f' => self.ended -= std::mem::take(&mut self.synced),
            b'E' | b'Q' | b'F' => self.synced = 0,
            _ => {}
        }
        self.synced += u64::from(tag == b'S');
        let ends_group = matches!(tag, b'Q' | b'F' | b'S');
        if ends_group {
            self.ended += 1;
            self.commits = 0;
        }
        Asked { is_commit, ends_group }
    }

    fn closes(&mut self, body: &[u8]) {
        let Some((kind, name)) = body.split_first() else { return };
        let names = if *kind == b'S' { &mut self.statements } else { &mut self.portals };
        names.remove(text(name));
    }

    /// From now on the answer to the latest commit is waited for, unless another one is or nobody is left to give or to take it.
    pub(super) fn waits_for(&mut self, commit: Commit) {
        let (group, number) = self.latest;
        if !self.is_over {
            self.waiting.get_or_insert(Waiting { commit, group, number });
        }
    }

    /// One side has ended.
    pub(super) fn ends(&mut self) {
        self.is_over = true;
        self.waiting = None;
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// What the server sends.
    pub(super) fn answers(&mut self, frame: &Frame) -> Answered {
        let Frame::Message { tag, bytes, .. } = frame else { return Answered::Passes };
        match tag {
            b'C' if bytes[HEADER..] == *COMMITTED => self.commit_told(),
            b'Z' => {
                self.answered += 1;
                self.told = 0;
                match self.waiting.take_if(|waiting| waiting.group < self.answered) {
                    Some(_) => Answered::Refused,
                    None => Answered::Passes,
                }
            }
            _ => Answered::Passes,
        }
    }

    fn commit_told(&mut self) -> Answered {
        self.told += 1;
        let place = (self.answered, self.told);
        match self.waiting.take_if(|waiting| (waiting.group, waiting.number) == place) {
            Some(waiting) => Answered::Committed(waiting.commit),
            None => Answered::Passes,
        }
    }

    /// Whether the server's next byte answers a request for encryption.
    pub(super) const fn byte_is_due(&self) -> bool {
        self.bytes_due > 0 && !self.is_sealed
    }

    /// That byte came. Unless it says no, nothing is understood from here on, either way.
    pub(super) fn has_byte(&mut self, byte: u8) {
        self.bytes_due -= 1;
        self.is_sealed = byte != b'N';
    }

    /// Whether nothing is understood any more.
    pub(super) const fn is_sealed(&self) -> bool {
        self.is_sealed
    }
}

/// Whether a statement commits.
fn commits(statement: &[u8]) -> bool {
    let words: Vec<&[u8]> =
        statement.split(|byte| byte.is_ascii_whitespace() || *byte == b';').filter(|word| !word.is_empty()).collect();
    let words = words.join(&b' ').to_ascii_lowercase();
    COMMITS.iter().any(|commit| commit.as_bytes() == words)
}

/// Up to the zero that ends a text.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn two_texts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut texts = bytes.split(|byte| *byte == 0);
    (texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
}

/// A name now stands for something that commits, or no more.
fn note(names: &mut BTreeSet<Vec<u8>>, name: &[u8], is_commit: bool) {
    if is_commit {
        names.insert(name.to_vec());
    } else {
        names.remove(name);
    }
}

#[cfg(test)]
mod tests;
