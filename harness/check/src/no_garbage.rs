//! S1 no garbage: every row of the copy is core's row at the same account and serial.
//!
//! In: the copy's entries, core's entries. Out: `garbage`. Elsewhere: rows that the copy lacks (`converge`, `no_visible_hole`), doubled
//! rows (`no_dup`).

use bankstorm_record::rows::{ChannelEntryRow, CoreEntryRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{CoreAt, channel_entries};

/// S1.
pub struct NoGarbage;

impl Check for NoGarbage {
    fn id(&self) -> &'static str {
        "S1"
    }

    fn name(&self) -> &'static str {
        "no_garbage"
    }

    fn explains(&self) -> &'static str {
        "Every row of the channel's copy equals core's row at the same account and serial, field by field (garbage)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut copy = channel_entries(source);
        let mut core = CoreAt::new(source);
        while let Some(row) = copy.take()? {
            tally.look();
            let originals = core.seek((row.account, row.seq))?;
            if originals.iter().any(|original| difference(&row, original).is_none()) {
                continue;
            }
            tally.violated("garbage", || {
                let told = match originals.first() {
                    None => "core has no row there".to_owned(),
                    Some(original) => difference(&row, original).unwrap_or_default(),
                };
                format!("account {} seq {} (transfer {}): {told}", row.account, row.seq, uuid(row.transfer))
            });
        }
        core.drain()
    }
}

/// The first field in which the copy is not core.
fn difference(copy: &ChannelEntryRow, core: &CoreEntryRow) -> Option<String> {
    let told =
        |field: &str, copy: String, core: String| Some(format!("{field} is {copy} in the copy and {core} in core"));
    if copy.transfer != core.transfer {
        told("transfer", uuid(copy.transfer), uuid(core.transfer))
    } else if copy.amount != core.amount {
        told("amount", copy.amount.to_string(), core.amount.to_string())
    } else if Some(copy.balance_after) != core.balance_after {
        told("balance_after", copy.balance_after.to_string(), shown(core.balance_after))
    } else if copy.kind != core.kind {
        told("kind", copy.kind.clone(), core.kind.clone())
    } else if copy.posted_at_us != core.posted_at_us {
        told("posted_at_us", copy.posted_at_us.to_string(), core.posted_at_us.to_string())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, assert_only};

    #[test]
    fn each_field_is_compared_and_named() {
        type Change = fn(&mut bankstorm_record::rows::ChannelEntryRow);
        let changes: [(&str, Change); 4] = [
            ("transfer is", |row| row.transfer ^= 1),
            ("amount is", |row| row.amount += 1),
            ("kind is opening in the copy and deposit in core", |row| row.kind = "opening".to_owned()),
            ("posted_at_us is", |row| row.posted_at_us += 1),
        ];
        for (told, change) in changes {
            let mut bank = Bank::good();
            change(bank.channel_entry(1_000_001, 3));
            assert_only(&bank, &[("S1", told)]);
        }
        let mut bank = Bank::good();
        bank.channel_entry(1_000_001, 3).balance_after += 1;
        assert_only(&bank, &[("S1", "garbage: account 1000001 seq 3 ")]);
    }

    #[test]
    fn a_row_that_core_never_had() {
        let mut bank = Bank::good();
        let mut row = bank.channel_entry(1_000_002, 5).clone();
        row.seq = 6;
        bank.source.channel_entries.push(row);
        bank.source.channel_entries.sort_by_key(|row| (row.account, row.seq));
        bank.assert_fires("S1", "core has no row there");
    }
}
