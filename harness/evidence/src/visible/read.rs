//! Raw visible logs: lines `at_ns account from_seq to_seq`, where serials `from_seq + 1 ..= to_seq` became visible at the host's
//! monotonic time `at_ns`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bankstorm_record::clock::Origin;

use super::{Stamp, Stamps};
use crate::error::EvidenceError;

impl Stamps {
    pub(super) fn read_log(&mut self, instance: &str, path: &Path, origin: Origin) -> Result<(), EvidenceError> {
        let instance = self.instance(instance);
        let mut log = BufReader::new(File::open(path).map_err(EvidenceError::read(path))?);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            log.read_until(b'\n', &mut line).map_err(EvidenceError::read(path))?;
            if line.last() != Some(&b'\n') {
                // Without its end a number may lack digits, so even a line that parses says nothing.
                self.torn_lines += u64::from(!line.is_empty());
                break;
            }
            let Some([at_ns, account, from_seq, to_seq]) = numbers(&line) else {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                return Err(EvidenceError::VisibleLine { path: path.to_owned(), line: number, text });
            };
            self.stamps.push(Stamp { account, to_seq, at_ns: origin.moment(at_ns), from_seq, instance });
        }
        Ok(())
    }
}

fn numbers(line: &[u8]) -> Option<[i64; 4]> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut numbers = [0; 4];
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    let [_, _, from_seq, to_seq] = numbers;
    (words.next().is_none() && 0 <= from_seq && from_seq < to_seq).then_some(numbers)
}
