//! The other banks' book as evidence: what they credited and what they refused.
//!
//! In: the file that the banks keep (`adapters::bank_book`), one JSON line per definite answer. Out: `bank_network`, one row per id. Elsewhere:
//! what it must match (`check`: L6).
//!
//! The first line of an id is the answer that stands; every line that says `credited` counts. A killed process may leave a last line
//! without its end: it was never answered for, and is left out. Any other line that is not one is an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::CreditState;
use bankstorm_contracts::core_api::Party;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::BankNetworkRow;
use serde::Deserialize;

use crate::Evidence;
use crate::error::EvidenceError;

/// One line of the book.
#[derive(Deserialize)]
struct Line {
    id: TransferId,
    state: CreditState,
    credit: Option<Credit>,
}

/// Who was to be credited how much; absent where a cancel came before anything was decided.
#[derive(Deserialize)]
struct Credit {
    to: Party,
    amount: i64,
}

/// Reads the banks' book and writes `bank_network`.
///
/// # Errors
/// When the book cannot be read or has a bad line, or the file cannot be written.
pub fn collect_banks(book: &Path, folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    let mut writer = RowWriter::create(folder.evidence_file(BankNetworkRow::NAME))?;
    read(book)?.into_values().try_for_each(|row| writer.push(row))?;
    Ok(Evidence::from([(BankNetworkRow::NAME.to_owned(), writer.finish()?)]))
}

/// The book's rows by id.
fn read(book: &Path) -> Result<BTreeMap<u128, BankNetworkRow>, EvidenceError> {
    let mut file = BufReader::new(File::open(book).map_err(EvidenceError::read(book))?);
    let mut rows: BTreeMap<u128, BankNetworkRow> = BTreeMap::new();
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(EvidenceError::read(book))?;
        if text.last() != Some(&b'\n') {
            break;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|problem| {
            let problem = std::io::Error::other(format!("line {number}: {problem}"));
            EvidenceError::Read { path: book.to_owned(), source: problem }
        })?;
        let transfer = line.id.0.as_u128();
        let row = rows.entry(transfer).or_insert_with(|| {
            let (to, amount) = line.credit.map(|credit| (credit.to, credit.amount)).unzip();
            let (to_bank, to_account) = to.map(|to| (to.bank, to.account)).unzip();
            BankNetworkRow { transfer, state: line.state.as_str().to_owned(), to_bank, to_account, amount, credited: 0 }
        });
        row.credited = row.credited.saturating_add(u32::from(line.state == CreditState::Credited));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::folder_source::FolderSource;
    use bankstorm_record::rows::BankNetworkRow;
    use bankstorm_record::source::Source;

    use super::collect_banks;
    use crate::error::EvidenceError;

    const A: &str = "00000000-0000-0000-0000-00000000000a";
    const B: &str = "00000000-0000-0000-0000-00000000000b";

    fn collect(book: &str) -> Result<Vec<BankNetworkRow>, EvidenceError> {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (path, folder) = (root.path().join("banks.book"), RunFolder::new(root.path()));
        std::fs::write(&path, book).expect("written");
        let evidence = collect_banks(&path, &folder)?;
        let source = FolderSource::new(folder);
        let rows: Vec<_> = source.bank_network().collect::<Result<_, _>>().expect("readable evidence");
        assert_eq!(evidence["bank_network"].rows, rows.len() as u64);
        Ok(rows)
    }

    fn credit(id: &str, state: &str) -> String {
        format!(
            r#"{{"id":"{id}","state":"{state}","credit":{{"to":{{"bank":"088","account":"110-1"}},"amount":700}}}}"#
        ) + "\n"
    }

    #[test]
    fn the_first_answer_stands_every_credit_counts_and_a_torn_end_is_left_out() {
        let refused = format!(r#"{{"id":"{B}","state":"refused","credit":null}}"#) + "\n";
        let torn = r#"{"id":"00000000-0000-0000-0000-00000000000c","state":"cred"#;
        let book = refused + &credit(A, "credited") + &credit(A, "credited") + &credit(B, "credited") + torn;
        let rows = collect(&book).expect("a good book");
        let (bank, account) = (Some("088".to_owned()), Some("110-1".to_owned()));
        let credited = BankNetworkRow {
            transfer: 10,
            state: "credited".to_owned(),
            to_bank: bank,
            to_account: account,
            amount: Some(700),
            credited: 2,
        };
        let refused =
            BankNetworkRow { transfer: 11, state: "refused".to_owned(), credited: 1, ..BankNetworkRow::default() };
        assert_eq!(rows, [credited, refused]);
        assert_eq!(collect("").expect("an empty book"), []);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let book = credit(A, "credited") + "nonsense\n" + &credit(B, "refused");
        let error = collect(&book).expect_err("a bad line").to_string();
        assert!(error.contains("banks.book: line 2: "), "{error}");
    }
}
