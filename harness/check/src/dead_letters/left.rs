//! What a bank that mends its copies has tidied up when it is at rest: letters that their accounts have overtaken are closed (R16), accounts whose
//! copies equal core are not marked dirty (D43). A letter above its account's head keeps both: what could not be read may stand for the next serial, and
//! after so many attempts only a command drives it (D2).
//!
//! In: the dead letters, the copy's heads and marks, core's heads. Out: `dlt-open`, `mark-left`. Elsewhere: whether the copies arrived (`converge`), how
//! long a run waits for this (`evidence::converge`).

use bankstorm_record::source::{ReadError, Source};

use crate::check::Tally;
use crate::ordered::{channel_accounts, core_accounts, dead_letters};

/// Letters that are open at the end, with a reason or without.
const OPEN: &str = "letters_open";
/// Accounts that are marked at the end although their copies equal core.
const MARKS: &str = "marks_left";

/// A letter that is open.
struct Open {
    account: i64,
    seq: i64,
    partition: i32,
    offset: i64,
}

/// Counts what is left; where it is promised that nothing is, each is a violation.
pub(super) fn judge(source: &dyn Source, is_promised: bool, tally: &mut Tally) -> Result<(), ReadError> {
    let open = open(source, tally)?;
    tally.count(MARKS, 0);
    let mut core = core_accounts(source);
    let mut copies = channel_accounts(source);
    while let Some(copy) = copies.take()? {
        let from = open.partition_point(|letter| letter.account < copy.account);
        let to = open.partition_point(|letter| letter.account <= copy.account);
        let has_overtaken = |letter: &&Open| letter.seq <= copy.last_seq;
        for letter in open[from..to].iter().filter(has_overtaken).filter(|_| is_promised) {
            tally.violated("dlt-open", || {
                let Open { account, seq, partition, offset } = letter;
                format!(
                    "the letter of partition {partition} offset {offset} (account {account} seq {seq}) is open, and the copy stands at seq {}",
                    copy.last_seq
                )
            });
        }
        while core.take_if(|key| key.0 < copy.account)?.is_some() {}
        let head = core.last_of(copy.account)?.0.map(|row| row.seq);
        let waits = open[from..to].iter().any(|letter| !has_overtaken(&letter));
        if copy.dirty && !waits && head == Some(copy.last_seq) {
            tally.count(MARKS, 1);
            if is_promised {
                tally.violated("mark-left", || {
                    format!("account {}: marked dirty, and the copy equals core at seq {}", copy.account, copy.last_seq)
                });
            }
        }
    }
    core.drain()
}

/// Open letters that say what they are about, by account.
fn open(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Open>, ReadError> {
    let mut open = Vec::new();
    let mut letters = dead_letters(source);
    tally.count(OPEN, 0);
    while let Some(row) = letters.take()? {
        if row.closed_us.is_some() {
            continue;
        }
        tally.count(OPEN, 1);
        if let (Some(account), Some(seq)) = (row.account, row.seq) {
            open.push(Open { account, seq, partition: row.partition, offset: row.record_offset });
        }
    }
    open.sort_by_key(|letter| letter.account);
    Ok(open)
}
