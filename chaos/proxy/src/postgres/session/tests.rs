//! Commits are known by their messages, and their answers by counting.

use bankstorm_faults::rule::{Effect, Picks, Rule};

use super::{Answered, Asked, Session};
use crate::postgres::framing::Frame;
use crate::rules::{Book, Commit};
use crate::settings::Protocol;

fn message(tag: u8, body: &[u8]) -> Frame {
    let bytes = [&[tag][..], &(4 + body.len() as u32).to_be_bytes(), body].concat();
    Frame::Message { tag, bytes: bytes.into(), is_whole: true }
}

fn started() -> Session {
    let mut session = Session::default();
    session.asks(&Frame::Startup(vec![0; 8].into()));
    assert_eq!(session.answers(&message(b'R', &[0, 0, 0, 0])), Answered::Passes);
    assert_eq!(session.answers(&message(b'Z', b"I")), Answered::Passes);
    session
}

/// Whether each message is a commit.
fn commits(session: &mut Session, messages: &[(u8, &[u8])]) -> Vec<bool> {
    messages.iter().map(|(tag, body)| session.asks(&message(*tag, body)).is_commit).collect()
}

fn picked() -> Commit {
    let mut book = Book::new(Protocol::Postgres);
    book.put("1", Rule { effect: Effect::CommitCutAfter, picks: Picks::default() }, 0, 0).expect("a rule");
    book.commit().expect("all are picked")
}

#[test]
fn a_query_is_a_commit_by_its_words() {
    for (text, expected) in [
        ("COMMIT", true),
        ("commit", true),
        (" Commit Work ; ", true),
        ("END TRANSACTION", true),
        ("COMMIT PREPARED 'x'", false),
        ("ROLLBACK", false),
        ("SELECT 'COMMIT'", false),
        ("", false),
    ] {
        let body = [text.as_bytes(), b"\0"].concat();
        let asked = started().asks(&message(b'Q', &body));
        assert_eq!(asked, Asked { is_commit: expected, ends_group: true }, "{text}");
    }
}

#[test]
fn a_prepared_commit_is_known_by_the_names_of_statement_and_portal() {
    let mut session = started();
    let prepared: &[(u8, &[u8])] = &[
        (b'P', b"s1\0COMMIT\0\0\0"),
        (b'P', b"s2\0SELECT 1\0\0\0"),
        (b'S', b""),
        (b'B', b"\0s1\0\0\0\0\0\0\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'S', b""),
        (b'B', b"\0s2\0\0\0\0\0\0\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'B', b"p1\0s1\0\0\0\0\0\0\0"),
        (b'E', b"p1\0\0\0\0\0"),
        (b'C', b"Ss1\0"),
        (b'B', b"p1\0s1\0\0\0\0\0\0\0"),
        (b'E', b"p1\0\0\0\0\0"),
        (b'P', b"\0commit;\0\0\0"),
        (b'B', b"\0\0\0\0\0\0\0\0"),
        (b'E', b"\0\0\0\0\0"),
    ];
    let found: Vec<usize> =
        commits(&mut session, prepared).into_iter().enumerate().filter_map(|(at, is)| is.then_some(at)).collect();
    assert_eq!(found, [4, 9, 15]);
}

#[test]
fn the_answer_to_a_commit_is_found_among_those_to_what_was_sent_before() {
    let mut session = started();
    // Two transactions sent ahead; the second commit is waited for.
    let sent: &[(u8, &[u8])] = &[(b'Q', b"COMMIT\0"), (b'Q', b"BEGIN\0"), (b'Q', b"COMMIT\0")];
    assert_eq!(commits(&mut session, sent), [true, false, true]);
    session.waits_for(picked());
    let answers = [
        (b'C', &b"COMMIT\0"[..], Answered::Passes),
        (b'Z', b"I", Answered::Passes),
        (b'C', b"BEGIN\0", Answered::Passes),
        (b'Z', b"T", Answered::Passes),
        (b'C', b"COMMIT\0", Answered::Committed(picked())),
    ];
    for (tag, body, expected) in answers {
        assert_eq!(session.answers(&message(tag, body)), expected, "{}", tag as char);
    }
    assert!(!session.is_waiting());
}

#[test]
fn a_commit_that_was_not_carried_out_lets_its_caller_go_on() {
    for (tag, body) in [(b'C', &b"ROLLBACK\0"[..]), (b'E', b"SERROR\0\0")] {
        let mut session = started();
        assert_eq!(commits(&mut session, &[(b'Q', b"COMMIT\0")]), [true]);
        session.waits_for(picked());
        assert_eq!(session.answers(&message(tag, body)), Answered::Passes);
        assert!(session.is_waiting());
        assert_eq!(session.answers(&message(b'Z', b"I")), Answered::Refused);
        assert!(!session.is_waiting());
    }
}

#[test]
fn nothing_is_waited_for_once_one_side_has_ended() {
    let mut session = started();
    assert_eq!(commits(&mut session, &[(b'Q', b"COMMIT\0")]), [true]);
    session.waits_for(picked());
    session.ends();
    assert!(!session.is_waiting());
    assert_eq!(session.answers(&message(b'C', b"COMMIT\0")), Answered::Passes);
    assert_eq!(commits(&mut session, &[(b'Q', b"COMMIT\0")]), [true]);
    session.waits_for(picked());
    assert!(!session.is_waiting(), "nor from then on");
}

#[test]
fn a_copy_reads_the_sync_before_its_end_and_answers_only_the_one_after_it() {
    let mut session = started();
    let copy: &[(u8, &[u8])] = &[
        (b'P', b"\0COPY t FROM STDIN\0\0\0"),
        (b'B', b"\0\0\0\0\0\0\0\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'S', b""),
        (b'd', b"1\n"),
        (b'c', b""),
        (b'S', b""),
        (b'Q', b"COMMIT\0"),
    ];
    assert_eq!(commits(&mut session, copy).last(), Some(&true));
    session.waits_for(picked());
    for (tag, body) in [(b'G', &b"\0\0\0"[..]), (b'C', b"COPY 1\0"), (b'Z', b"T")] {
        assert_eq!(session.answers(&message(tag, body)), Answered::Passes);
    }
    assert_eq!(session.answers(&message(b'C', b"COMMIT\0")), Answered::Committed(picked()));
}

#[test]
fn a_server_that_encrypts_is_not_understood_any_more() {
    let mut session = Session::default();
    session.asks(&Frame::Encryption(vec![0; 8].into()));
    assert!(session.byte_is_due());
    session.has_byte(b'N');
    assert!(!session.byte_is_due() && !session.is_sealed());
    session.asks(&Frame::Encryption(vec![0; 8].into()));
    session.has_byte(b'S');
    assert!(session.is_sealed());
}
