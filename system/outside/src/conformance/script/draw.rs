//! Draws scripts.
//!
//! In: a seed, which store. Out: steps. Elsewhere: what becomes of them (`run`).
//!
//! Sessions mostly go the way of the services (begin, claim, lock, write, commit) and now and then do not. Every sixth script begins with
//! a deadlock, half of them with transfers that stand.

use super::{ACCOUNTS, Act, IDS, Kind, Read, SESSIONS, Step, Wait, What};

/// `SplitMix64`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn small(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).expect("below a byte")
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One to `most` distinct numbers below `bound`.
    fn some(&mut self, bound: u8, most: u8) -> Vec<u8> {
        let wanted = usize::from(1 + self.small(most)).min(usize::from(bound));
        let mut all: Vec<u8> = (0..bound).collect();
        let mut taken = Vec::new();
        while taken.len() < wanted {
            let place = usize::try_from(self.below(all.len() as u64)).expect("an index");
            taken.push(all.swap_remove(place));
        }
        taken
    }

    fn wait(&mut self) -> Wait {
        if self.one_in(4) { Wait::Short } else { Wait::Long }
    }
}

/// The script of a seed.
pub fn draw(kind: Kind, seed: u64) -> Vec<Step> {
    let mut draw = Draw(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (kind as u64));
    let sessions = 2 + draw.below(SESSIONS as u64 - 1);
    let length = 12 + draw.below(22);
    // Few things make for many meetings.
    let (ids, accounts) = (2 + draw.small(3), 2 + draw.small(2));
    let mut stages = [0_u8; SESSIONS];
    let mut steps = match draw.below(6) {
        0 => crossing(&mut draw, kind),
        1..=3 => standing(&mut draw, kind),
        _ => Vec::new(),
    };
    for _ in 0..length {
        let session = usize::try_from(draw.below(sessions)).expect("an index");
        let stage = &mut stages[session];
        let act = act(&mut draw, kind, stage, ids, accounts);
        steps.push(Step { session, act });
    }
    steps
}

/// Two or three sessions that take a thing each, and then each the next one's: the last one closes a circle.
fn crossing(draw: &mut Draw, kind: Kind) -> Vec<Step> {
    let sessions = 2 + draw.small(2);
    let take = |thing: u8, row: bool| {
        let thing = thing % sessions;
        if row { Act::Lock(vec![thing], Some(Wait::Long)) } else { Act::Claim(vec![(thing, false)], Wait::Long) }
    };
    let rows: Vec<bool> = (0..sessions).map(|_| kind == Kind::Channel || draw.one_in(2)).collect();
    let row = |thing: u8| rows[usize::from(thing % sessions)];
    let steps = (0..sessions).map(|session| (session, Act::Begin));
    let steps = steps.chain((0..sessions).map(|session| (session, take(session, row(session)))));
    let steps = steps.chain((0..sessions).map(|session| (session, take(session + 1, row(session + 1)))));
    steps.map(|(session, act)| Step { session: usize::from(session), act }).collect()
}

/// Transfers that stand in the channel, guarded or not, or whose holds are open in core.
fn standing(draw: &mut Draw, kind: Kind) -> Vec<Step> {
    let mut acts = vec![Act::Begin];
    match kind {
        Kind::Core => {
            let claims = if draw.one_in(2) { vec![(0, false), (2, false)] } else { vec![(0, false)] };
            let rows = draw.some(2, 2);
            acts.push(Act::ClaimAndLock(claims, Wait::Long, rows, Some(Wait::Long)));
            acts.push(Act::WriteAndCommit(What::Hold));
        }
        Kind::Channel => {
            acts.push(Act::Open(0, Some(0), Wait::Long));
            if draw.one_in(2) {
                acts.push(Act::Open(1, guard(draw), Wait::Long));
            }
            acts.push(Act::Commit);
        }
    }
    acts.into_iter().map(|act| Step { session: 0, act }).collect()
}

fn guard(draw: &mut Draw) -> Option<u8> {
    if draw.one_in(5) { None } else { Some(draw.small(2)) }
}

fn act(draw: &mut Draw, kind: Kind, stage: &mut u8, ids: u8, accounts: u8) -> Act {
    if draw.one_in(9) {
        return Act::Read(read(draw, kind));
    }
    if *stage > 0 && draw.one_in(14) {
        let act = match draw.below(8) {
            0..=2 => Act::Drop,
            3..=4 => Act::Cancel,
            // Whoever is killed does not know it, and goes on.
            _ => return Act::Kill,
        };
        *stage = 0;
        return act;
    }
    match *stage {
        0 => {
            *stage = 1;
            Act::Begin
        }
        1 => taking(draw, kind, stage, ids, accounts),
        2 => {
            *stage = 3;
            match draw.below(6) {
                0 | 1 => {
                    *stage = 2;
                    Act::Lock(rows(draw, kind, accounts), mode(draw))
                }
                2 | 3 => {
                    *stage = 0;
                    Act::WriteAndCommit(what(draw))
                }
                _ => Act::Write(what(draw)),
            }
        }
        _ => {
            *stage = 0;
            match draw.below(12) {
                0 => Act::CutBefore,
                1 => Act::CutAfter,
                2 => Act::Drop,
                3 => {
                    *stage = 3;
                    Act::Write(what(draw))
                }
                4 => {
                    *stage = 3;
                    Act::Lock(rows(draw, kind, accounts), mode(draw))
                }
                _ => Act::Commit,
            }
        }
    }
}

/// The first thing that a transaction takes.
fn taking(draw: &mut Draw, kind: Kind, stage: &mut u8, ids: u8, accounts: u8) -> Act {
    // The rows come next, or once more something else.
    if kind == Kind::Core && draw.one_in(4) {
        *stage = 1 + draw.small(2);
        return Act::Reopen(draw.some(ids, 2), draw.wait());
    }
    if kind == Kind::Channel && draw.one_in(2) {
        *stage = 1 + draw.small(2);
        return if draw.one_in(2) {
            Act::Open(draw.small(ids), guard(draw), draw.wait())
        } else {
            Act::LockTransfers(draw.some(ids, 2), draw.wait())
        };
    }
    *stage = 2;
    match (kind, draw.below(4)) {
        (Kind::Core, 0) => Act::ClaimAndLock(claims(draw, ids), draw.wait(), rows(draw, kind, accounts), mode(draw)),
        (Kind::Core, 1 | 2) => {
            // The rows come next, or once more an id.
            *stage = 1 + draw.small(2);
            Act::Claim(claims(draw, ids), draw.wait())
        }
        _ => Act::Lock(rows(draw, kind, accounts), mode(draw)),
    }
}

fn claims(draw: &mut Draw, ids: u8) -> Vec<(u8, bool)> {
    draw.some(ids, 2).into_iter().map(|id| (id, draw.one_in(5))).collect()
}

/// Places from [`ACCOUNTS`] on do not stand when a script begins.
fn rows(draw: &mut Draw, kind: Kind, accounts: u8) -> Vec<u8> {
    let mut rows = draw.some(accounts, 2);
    let odds = if kind == Kind::Core { 12 } else { 3 };
    if draw.one_in(odds) {
        rows.push(ACCOUNTS + draw.small(2));
    }
    rows
}

fn mode(draw: &mut Draw) -> Option<Wait> {
    if draw.one_in(4) { None } else { Some(draw.wait()) }
}

fn what(draw: &mut Draw) -> What {
    match draw.below(20) {
        0 => What::Quiet,
        1 => What::Release,
        2 | 3 => What::TakenSerial,
        4 => What::Twice,
        5 => What::NotHeld,
        6 => What::NotClaimed,
        7..=9 => What::Hold,
        _ => What::Sound,
    }
}

fn read(draw: &mut Draw, kind: Kind) -> Read {
    let entries = |draw: &mut Draw| Read::Entries(draw.small(ACCOUNTS + 1), draw.small(6));
    match (kind, draw.below(6)) {
        (_, 4) => Read::Transfer(draw.small(IDS)),
        (Kind::Core, 5) => Read::Holds,
        (Kind::Channel, 5) => Read::TakeDue(1 + draw.small(4)),
        (Kind::Core, 0) => Read::Unsent(1 + draw.small(6)),
        (Kind::Core, 1) => Read::MarkSent(1 + draw.small(2)),
        (_, 2) => Read::Heads,
        _ => entries(draw),
    }
}
