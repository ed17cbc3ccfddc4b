//! Looks at the machine and its processes, taken when somebody asks and not once a second.
//!
//! In: process ids by name. Out: [`SampleRow`]s without metrics and lag. Elsewhere: the figures themselves (`processes`, `machine`), who
//! needs them at two moments that he knows best (`cli`: a sweep's cells).

use bankstorm_record::clock::Origin;
use bankstorm_record::marks::SampleRow;

use super::machine::MachineReader;
use super::processes::ProcessReader;
use super::{Pids, usage};

/// Remembers the look before: shares are of the time between two.
pub struct Looks {
    origin: Origin,
    processes: ProcessReader,
    machine: MachineReader,
}

impl Looks {
    /// Nothing was looked at yet.
    pub fn new(pids: Pids, origin: Origin) -> Self {
        Self { origin, processes: ProcessReader::new(pids), machine: MachineReader::default() }
    }

    /// What was used up to now, and since the look before.
    pub fn look(&mut self) -> SampleRow {
        let at_ns = self.origin.elapsed_ns();
        let mut row = SampleRow { at_ms: at_ns / 1_000_000, ..SampleRow::default() };
        usage(&mut row, &mut self.processes, &mut self.machine, at_ns);
        row
    }
}
