//! What each process used: processor time of the measured phase, and its most memory.
//!
//! In: `run.json`. Out: a table, the busiest first. Elsewhere: how they are sampled (`evidence::sampler`), curves over time (`html::curves`).

use std::collections::BTreeSet;

use bankstorm_record::run_json::RunJson;

use super::{Row, TextTable, columns};
use crate::words::count;

/// One row a process; none where nothing was sampled. A run from before memory was kept has none of it.
pub(crate) fn processes(run: &RunJson) -> TextTable {
    let head = columns(&[("process", false), ("CPU seconds", true), ("most memory, MB", true)]);
    let (cpu, memory) = (&run.system.cpu_seconds, &run.system.memory_peak_bytes);
    let names: BTreeSet<&String> = cpu.keys().chain(memory.keys()).collect();
    let mut rows: Vec<_> =
        names.into_iter().map(|name| (cpu.get(name).copied(), memory.get(name).copied(), name)).collect();
    rows.sort_by(|a, b| b.0.unwrap_or(0.0).total_cmp(&a.0.unwrap_or(0.0)).then(b.1.cmp(&a.1)));
    let rows = rows.into_iter().map(|(seconds, bytes, name)| {
        let seconds = seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
        let megabytes = bytes.map_or_else(|| "-".to_owned(), |bytes| count((bytes + 500_000) / 1_000_000));
        Row::plain(vec![name.clone(), seconds, megabytes])
    });
    TextTable { head, rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use super::processes;
    use crate::fixture;

    #[test]
    fn the_busiest_process_is_first_and_what_was_not_seen_is_no_zero() {
        let mut run = fixture::held();
        run.system.cpu_seconds =
            [("banks", 0.0), ("core", 4.21), ("kafka-1", 11.3)].map(|(name, s)| (name.to_owned(), s)).into();
        run.system.memory_peak_bytes =
            [("core", 27_901_952), ("harness", 1_250_499_999)].map(|(name, b)| (name.to_owned(), b)).into();
        let cells: Vec<String> = processes(&run).rows.iter().map(|row| row.cells.join(" ")).collect();
        assert_eq!(cells, ["kafka-1 11.3 -", "core 4.2 28", "harness - 1,250", "banks 0.0 -"]);
        run.system = Default::default();
        assert_eq!(processes(&run).rows, []);
    }
}
