//! Commits are cut where they come, also when more was sent ahead; the server's side is in the test's own hands.

use std::io::ErrorKind;

use bankstorm_faults::rule::{Effect, Hits, Keys, Picks, Rule};
use bankstorm_proxy::Protocol;
use tokio::io::AsyncWriteExt;

use super::caller::Caller;
use super::rig::{Rig, all, run};
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_session_passes_as_it_is", pass),
        ("a_commit_that_is_cut_before_never_reaches_the_server", cut_before),
        ("a_commit_that_is_cut_after_is_carried_out_and_not_told", cut_after),
        ("a_commit_that_the_server_refuses_is_told", refused),
        ("a_commit_whose_rule_is_taken_away_before_its_answer_is_told", rule_gone),
        ("a_server_that_ends_before_it_answers_a_commit_holds_nobody_up", server_ends),
        ("a_commit_whose_caller_has_gone_is_not_cut_off", caller_gone),
        ("every_second_commit_of_a_link_is_cut", every_second),
    ]
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(4 + body.len() as u32).to_be_bytes(), body].concat()
}

fn startup(code: u32, body: &[u8]) -> Vec<u8> {
    [&(8 + body.len() as u32).to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

/// Bind, Execute and Sync of a prepared statement.
fn execute(statement: &str) -> Vec<u8> {
    let bind = format!("\0{statement}\0\0\0\0\0\0\0");
    [message(b'B', bind.as_bytes()), message(b'E', &[0; 5]), message(b'S', &[])].concat()
}

impl Rig {
    /// Both ends of a session that has begun, with `COMMIT` prepared as s1.
    async fn session(&self) -> (Caller, Caller) {
        let mut caller = self.proxy.caller().await;
        let encryption = startup(80_877_103, &[]);
        caller.write(&encryption).await;
        let mut server = self.accepted().await;
        pass_on(&mut caller, &mut server, &[], &encryption).await;
        pass_on(&mut server, &mut caller, b"N", b"N").await;
        let begin = startup(196_608, b"user\0me\0\0");
        pass_on(&mut caller, &mut server, &begin, &begin).await;
        let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        pass_on(&mut server, &mut caller, &welcome, &welcome).await;
        let prepare = [message(b'P', b"s1\0COMMIT\0\0\0"), message(b'S', &[])].concat();
        pass_on(&mut caller, &mut server, &prepare, &prepare).await;
        let prepared = [message(b'1', &[]), message(b'Z', b"I")].concat();
        pass_on(&mut server, &mut caller, &prepared, &prepared).await;
        (caller, server)
    }
}

async fn pass_on(from: &mut Caller, to: &mut Caller, sent: &[u8], expected: &[u8]) {
    from.write(sent).await;
    assert_eq!(to.bytes(expected.len()).await, expected);
}

fn told(tag: &[u8], status: &[u8]) -> Vec<u8> {
    [message(b'2', &[]), message(b'C', tag), message(b'Z', status)].concat()
}

fn pass() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = rig.session().await;
        let row = [message(b'D', &[7; 100_000]), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
        let question = message(b'Q', b"SELECT 1\0");
        pass_on(&mut caller, &mut server, &question, &question).await;
        pass_on(&mut server, &mut caller, &row, &row).await;
        drop(caller);
        assert_eq!(server.end().await, None);
    });
}

fn cut_before() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = rig.session().await;
        rig.proxy.put("1", all(Effect::CommitCutBefore)).await;
        // The write that goes ahead of it arrives, and so does the COMMIT's Bind, which commits nothing.
        let write = execute("s7");
        caller.write(&[write.clone(), execute("s1")].concat()).await;
        let bind = message(b'B', b"\0s1\0\0\0\0\0\0\0");
        let (came, ended) = server.rest().await;
        assert_eq!(ended, Some(ErrorKind::ConnectionReset));
        assert!([write, bind].concat().starts_with(&came), "nothing of it: {came:?}");
        assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));
        let hits = rig.proxy.take("1").await;
        assert_eq!(hits, Hits { seen: 1, hits: 1, keys: 1, first_ns: hits.first_ns, ..Hits::default() });
    });
}

fn cut_after() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = rig.session().await;
        rig.proxy.put("1", all(Effect::CommitCutAfter)).await;
        let (write, commit) = (execute("s7"), execute("s1"));
        // What was sent ahead of the answer, beyond the COMMIT, waits for it.
        caller.write(&[write.clone(), commit.clone(), execute("s8")].concat()).await;
        assert_eq!(server.bytes(write.len() + commit.len()).await, [write, commit].concat());
        let written = told(b"INSERT 0 1\0", b"T");
        pass_on(&mut server, &mut caller, &written, &written).await;
        assert!(server.hears_nothing());
        assert_eq!(rig.proxy.hits("1").await.hits, 0, "not before it is carried out");
        server.write(&told(b"COMMIT\0", b"I")).await;
        // Only that its Bind was read may still be told.
        let (came, ended) = caller.rest().await;
        assert_eq!(ended, Some(ErrorKind::ConnectionReset));
        assert!(message(b'2', &[]).starts_with(&came), "{came:?}");
        let hits = rig.proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits, hits.keys), (1, 1, 1));
    });
}

fn refused() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = rig.session().await;
        rig.proxy.put("1", all(Effect::CommitCutAfter)).await;
        let commit = message(b'Q', b"commit\0");
        let next = message(b'Q', b"SELECT 2\0");
        caller.write(&[commit.clone(), next.clone()].concat()).await;
        assert_eq!(server.bytes(commit.len()).await, commit);
        let answer = [message(b'C', b"ROLLBACK\0"), message(b'Z', b"I")].concat();
        pass_on(&mut server, &mut caller, &answer, &answer).await;
        assert_eq!(server.bytes(next.len()).await, next);
        let hits = rig.proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits), (1, 0));
    });
}

/// A session with a commit that is to be cut after it was carried out; the server has it, and has said nothing.
async fn waited_for(rig: &Rig) -> (Caller, Caller) {
    let (mut caller, mut server) = rig.session().await;
    rig.proxy.put("1", all(Effect::CommitCutAfter)).await;
    let commit = message(b'Q', b"COMMIT\0");
    pass_on(&mut caller, &mut server, &commit, &commit).await;
    (caller, server)
}

fn committed() -> Vec<u8> {
    [message(b'C', b"COMMIT\0"), message(b'Z', b"I")].concat()
}

fn rule_gone() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = waited_for(&rig).await;
        let next = message(b'Q', b"SELECT 2\0");
        caller.write(&next).await;
        assert_eq!(rig.proxy.take("1").await, Hits { seen: 1, ..Hits::default() });
        pass_on(&mut server, &mut caller, &committed(), &committed()).await;
        assert_eq!(server.bytes(next.len()).await, next, "and the session goes on");
    });
}

fn server_ends() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = waited_for(&rig).await;
        server.stream.shutdown().await.expect("its way ends");
        assert_eq!(caller.end().await, None, "which is passed on");
        let next = message(b'X', &[]);
        pass_on(&mut caller, &mut server, &next, &next).await;
        drop(caller);
        assert_eq!(server.end().await, None, "nothing is left of the connection");
        assert_eq!(rig.proxy.take("1").await, Hits { seen: 1, ..Hits::default() });
    });
}

fn caller_gone() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let (mut caller, mut server) = waited_for(&rig).await;
        // As a client does that leaves; it would still hear what comes.
        let goodbye = message(b'X', &[]);
        caller.write(&goodbye).await;
        caller.stream.shutdown().await.expect("its way ends");
        assert_eq!(server.rest().await, (goodbye, None), "the server is told at once");
        pass_on(&mut server, &mut caller, &committed(), &committed()).await;
        assert_eq!(rig.proxy.take("1").await, Hits { seen: 1, ..Hits::default() });
    });
}

fn every_second() {
    run(async {
        let rig = Rig::new(Protocol::Postgres).await;
        let picks = Picks { of: None, keys: Keys::Every(2), nth: None };
        rig.proxy.put("1", Rule { effect: Effect::CommitCutBefore, picks }).await;
        for _ in 0..2 {
            let (mut caller, mut server) = rig.session().await;
            let commit = message(b'Q', b"COMMIT\0");
            pass_on(&mut caller, &mut server, &commit, &commit).await;
            pass_on(&mut server, &mut caller, &committed(), &committed()).await;
            caller.write(&commit).await;
            assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));
        }
        let hits = rig.proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits, hits.keys), (4, 2, 2));
    });
}
