//! How late the generator was with pages: its own lag, judged like that of other operations.
//!
//! In: lags by operation, the parts of the run. Out: their p99. Elsewhere: what a page may wait for (`bankstorm_load`), the limit
//! (`bankstorm_check`).

use std::collections::BTreeMap;

use bankstorm_check::recover::{During, Windows};
use bankstorm_load::run::PacingLag;
use bankstorm_record::latency::{Kind, microseconds};
use bankstorm_record::rows::OperationRow;

/// p99 in microseconds over the pages of the steady part, or over all of them where no part is given; none where there was no page.
pub(super) fn scroll_lag_p99_us(
    operations: &[OperationRow],
    lags_ns: &BTreeMap<u64, u64>,
    parts: Option<&Windows>,
) -> Option<u64> {
    let is_judged =
        |row: &&OperationRow| parts.is_none_or(|windows| windows.part_of(row, Kind::SendLag) == During::Steady);
    let judged = operations.iter().filter(is_judged).filter_map(|row| lags_ns.get(&row.op).copied());
    let lag = PacingLag::of(judged);
    (lag.count > 0).then(|| microseconds(lag.p99_ns))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_check::recover::{Windows, windows};
    use bankstorm_record::rows::OperationRow;
    use bankstorm_record::run_json::{FaultRecord, RecoveryRecord};

    use super::scroll_lag_p99_us;

    const SECOND: i64 = 1_000_000_000;

    /// A fault from second 10 to 20, after which the bank is itself at once.
    fn parts() -> Windows {
        let fault = FaultRecord {
            id: "f".to_owned(),
            planned: true,
            fired: true,
            started_ms: Some(10_000),
            healed_ms: Some(20_000),
            ..FaultRecord::default()
        };
        let recovered = RecoveryRecord {
            fault: "f".to_owned(),
            first_ok_ms: Some(0),
            rate_90_ms: Some(0),
            lag_normal_ms: Some(0),
            ..RecoveryRecord::default()
        };
        windows(&[fault], &[recovered])
    }

    #[test]
    fn pages_that_a_fault_held_up_are_not_the_generators_doing() {
        // One page a second; those due in the fault, or answered in it, are written 3 s late.
        let page = |op: u64| {
            let intended_ns = i64::try_from(op).expect("small") * SECOND;
            OperationRow { op, intended_ns, acked_ns: Some(intended_ns + 2 * SECOND), ..OperationRow::default() }
        };
        let rows: Vec<_> = (0..30).map(page).collect();
        let late = |op: u64| if (8..20).contains(&op) { 3_000_000_000 } else { 100_000 + op };
        let lags: BTreeMap<_, _> = (0..30).map(|op| (op, late(op))).collect();
        assert_eq!(scroll_lag_p99_us(&rows, &lags, Some(&parts())), Some(101));
        assert_eq!(scroll_lag_p99_us(&rows, &lags, None), Some(3_000_000), "where the bank never was itself");
        assert_eq!(scroll_lag_p99_us(&rows, &BTreeMap::new(), None), None, "nobody scrolled");
    }
}
