//! Whether a copy, after a cell, is what core has: every row, no sampling.
//!
//! In: the entries that were published, and everything that the copy has beyond the serial before them. Out: how many rows agree, or the
//! first thing that does not. Elsewhere: reading both (`evidence::backlog`); the same promises in a run with load (`check`: S1 to S5).

use std::collections::BTreeMap;

use bankstorm_contracts::{AccountNo, Entry, Seq, Won};

/// What a copy has beyond the serial that all its accounts had before.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Entries, by account and serial.
    pub entries: &'a [Entry],
    /// Accounts that are not where they were, or are marked: account, serial, balance, marked.
    pub heads: &'a [(AccountNo, Seq, Won, bool)],
    /// Lines of the journal: account, from serial, to serial, whether an event alone was the cause.
    pub journal: &'a [(AccountNo, Seq, Seq, bool)],
    /// When each became visible: account and serial.
    pub stamps: &'a [(AccountNo, Seq)],
    /// Dead letters.
    pub letters: u64,
    /// Entries up to that serial.
    pub earlier: u64,
    /// How many there were before.
    pub loaded: u64,
}

/// How many rows agree with `published`, one entry an account.
///
/// # Errors
/// The first thing that does not agree, in a sentence.
pub fn agrees(published: &[Entry], found: &Found<'_>) -> Result<u64, String> {
    let wanted: BTreeMap<AccountNo, &Entry> = published.iter().map(|entry| (entry.account, entry)).collect();
    counts(&wanted, found)?;
    entries(&wanted, found.entries)?;
    for (account, seq, balance, marked) in found.heads {
        let fits = wanted.get(account).is_some_and(|entry| (entry.seq, entry.balance_after) == (*seq, *balance));
        if !fits || *marked {
            let marked = if *marked { ", and is marked" } else { "" };
            return Err(format!("the head of account {account} stands at serial {seq} and balance {balance}{marked}"));
        }
    }
    for (account, from, to, by_event) in found.journal {
        let fits = wanted.get(account).is_some_and(|entry| (entry.seq - 1, entry.seq) == (*from, *to));
        if !fits || !by_event {
            let cause = if *by_event { "by its event" } else { "by something else than its event" };
            return Err(format!("the journal says that account {account} went from {from} to {to} {cause}"));
        }
    }
    once("has two heads", found.heads.iter().map(|head| head.0))?;
    once("moved twice", found.journal.iter().map(|line| line.0))?;
    once("became visible twice", found.stamps.iter().map(|stamp| stamp.0))?;
    Ok(found.entries.len() as u64)
}

fn counts(wanted: &BTreeMap<AccountNo, &Entry>, found: &Found<'_>) -> Result<(), String> {
    let count = wanted.len();
    for (what, there) in [
        ("entries", found.entries.len()),
        ("heads that moved", found.heads.len()),
        ("lines in the journal", found.journal.len()),
        ("visible stamps", found.stamps.len()),
    ] {
        if there != count {
            return Err(format!("{count} entries were published, and the copy has {there} {what}"));
        }
    }
    if found.letters > 0 {
        return Err(format!("{} records became dead letters", found.letters));
    }
    if found.earlier != found.loaded {
        return Err(format!("of {} entries from before, the copy has {}", found.loaded, found.earlier));
    }
    Ok(())
}

fn entries(wanted: &BTreeMap<AccountNo, &Entry>, found: &[Entry]) -> Result<(), String> {
    for entry in found {
        match wanted.get(&entry.account) {
            None => {
                return Err(format!("nothing of account {} was published, and the copy has {entry:?}", entry.account));
            }
            Some(core) if *core != entry => return Err(format!("core has {core:?}, and the copy {entry:?}")),
            Some(_) => {}
        }
    }
    once("has an entry twice", found.iter().map(|entry| entry.account))
}

fn once(twice: &str, accounts: impl Iterator<Item = AccountNo>) -> Result<(), String> {
    let mut seen: Vec<AccountNo> = accounts.collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("account {} {twice}", pair[0])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{AccountNo, Entry, EntryKind, Seq, TransferId, WallMicros, Won};
    use uuid::Uuid;

    use super::{Found, agrees};

    type Head = (AccountNo, Seq, Won, bool);
    type Line = (AccountNo, Seq, Seq, bool);

    fn entry(number: i64) -> Entry {
        Entry {
            account: AccountNo::new(1_000_000 + number),
            seq: 2,
            amount: Won::new(5),
            balance_after: Won::new(1_005),
            transfer: TransferId(Uuid::from_u128(number.unsigned_abs().into())),
            kind: EntryKind::Deposit,
            posted_at: WallMicros(number),
        }
    }

    struct Copy {
        entries: Vec<Entry>,
        heads: Vec<Head>,
        journal: Vec<Line>,
        stamps: Vec<(AccountNo, Seq)>,
        letters: u64,
        earlier: u64,
    }

    /// A copy of the first three entries.
    fn copy() -> Copy {
        let entries: Vec<Entry> = (0..3).map(entry).collect();
        Copy {
            heads: entries.iter().map(|entry| (entry.account, 2, Won::new(1_005), false)).collect(),
            journal: entries.iter().map(|entry| (entry.account, 1, 2, true)).collect(),
            stamps: entries.iter().map(|entry| (entry.account, 2)).collect(),
            entries,
            letters: 0,
            earlier: 10,
        }
    }

    fn judged(copy: &Copy) -> Result<u64, String> {
        let published: Vec<Entry> = (0..3).rev().map(entry).collect();
        let Copy { entries, heads, journal, stamps, letters, earlier } = copy;
        let (letters, earlier, loaded) = (*letters, *earlier, 10);
        agrees(&published, &Found { entries, heads, journal, stamps, letters, earlier, loaded })
    }

    #[test]
    fn a_copy_that_has_cores_rows_agrees_in_whatever_order_they_were_published() {
        assert_eq!(judged(&copy()), Ok(3));
    }

    #[test]
    fn whatever_is_planted_is_found_and_named() {
        type Plant = (&'static str, fn(&mut Copy));
        let plants: [Plant; 13] = [
            ("has 2 entries", |copy| {
                copy.entries.pop();
            }),
            ("the copy Entry", |copy| copy.entries[1].amount = Won::new(6)),
            ("the copy Entry", |copy| copy.entries[1].seq = 3),
            ("nothing of account 1000009", |copy| copy.entries[1].account = AccountNo::new(1_000_009)),
            ("account 1000000 has an entry twice", |copy| copy.entries[1] = copy.entries[0].clone()),
            ("has 4 heads that moved", |copy| copy.heads.push((AccountNo::new(1_000_007), 2, Won::new(1), false))),
            ("balance 1004", |copy| copy.heads[2].2 = Won::new(1_004)),
            ("and is marked", |copy| copy.heads[2].3 = true),
            ("has 4 lines in the journal", |copy| copy.journal.push(copy.journal[0])),
            ("by something else than its event", |copy| copy.journal[0].3 = false),
            ("account 1000000 became visible twice", |copy| copy.stamps[1] = copy.stamps[0]),
            ("1 records became dead letters", |copy| copy.letters = 1),
            ("of 10 entries from before, the copy has 9", |copy| copy.earlier = 9),
        ];
        for (told, plant) in plants {
            let mut copy = copy();
            plant(&mut copy);
            let said = judged(&copy).expect_err(told);
            assert!(said.contains(told), "{told}: {said}");
        }
    }
}
