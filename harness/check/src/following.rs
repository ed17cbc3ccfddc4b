//! What a run says of how its channel follows core: what readers are promised, and the limits that checks go by.
//!
//! In: a scenario's `[system]` (cli) or a plan (simulator). Out: [`Following`], a part of [`crate::Context`]. Elsewhere: the settings
//! themselves (`channel::config`), what each check makes of them (a file each).
//!
//! It says what was *promised*, whatever sees to it: a protection that is switched off takes no promise back, or nothing would notice.

use serde::{Deserialize, Serialize};

/// How the channel follows core. Runs from before it was told say nothing, and are not judged by S6, S8, T3, T4, T5 and G1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Following {
    /// Which reads the channel promises to sync with core first (A12, D6).
    pub read_sync: ReadSync,
    /// Where histories are read from (A19).
    pub history: History,
    /// What a cursor is (P28).
    pub cursor: Cursor,
    /// How long a read waits for core, in milliseconds (D4).
    pub read_budget_ms: i64,
    /// How many pulls for reads and for the button one instance has under way at once.
    pub core_pulls: u64,
    /// How long after one use of the button an instance asks core about the same account again, in milliseconds; 0 where nobody said.
    pub manual_every_ms: i64,
    /// Marks are taken away and letters that were overtaken closed, without anybody's command, before the run is over.
    pub tidies: bool,
    /// How often a record is tried before it counts as a dead letter for a transient cause (D1).
    pub attempts: i64,
    /// How many databases the channels have (A21). Of several each has a group of its own, whose commits, owners and letters no file tells
    /// apart: T3, T4 and T5 are then not judged.
    pub databases: u32,
    /// The load presses the button, so that S8 needs evidence.
    pub button: bool,
    /// No fault was planned. Only then is it judged that a page was stale without need, when calls came and how many there were: a network
    /// that holds, repeats or loses messages makes all of this happen to a channel that does nothing wrong.
    pub calm: bool,
    /// The wall clock at the run's origin, in microseconds since the epoch: what makes moments of the run comparable with those of brokers and
    /// databases. Absent where they are not, and then T3 is not judged.
    pub origin_wall_us: Option<i64>,
    /// [`bankstorm_record::rows::ApplyJournalRow::commit`] is a moment in microseconds since the epoch (PostgreSQL), not a count (a model).
    pub commits_are_moments: bool,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            read_sync: ReadSync::Pending,
            history: History::Copy,
            cursor: Cursor::Keyset,
            read_budget_ms: 300,
            core_pulls: 8,
            manual_every_ms: 0,
            tidies: false,
            attempts: 3,
            databases: 1,
            button: false,
            calm: false,
            origin_wall_us: None,
            commits_are_moments: false,
        }
    }
}

/// Which reads are promised to be as fresh as core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadSync {
    /// Those of an account with a transfer in progress.
    #[default]
    Pending,
    /// Those too where the copy is suspected to be behind.
    Suspect,
    /// None: this run repairs nothing.
    Off,
}

/// Where histories are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// The copy.
    #[default]
    Copy,
    /// Core, on every read.
    CoreByPeriod,
}

/// What a page's cursor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// The lowest serial of the page above.
    #[default]
    Keyset,
    /// How many rows to pass over.
    Offset,
}

impl Following {
    /// Whether all channels are of one consumer group.
    pub(crate) const fn has_one_group(&self) -> bool {
        self.databases <= 1
    }

    /// A moment of the run as wall time in microseconds; `None` where nothing ties the two together.
    pub(crate) fn wall_us(&self, at_ns: i64) -> Option<i64> {
        Some(self.origin_wall_us?.saturating_add(at_ns.div_euclid(1_000)))
    }

    /// [`Self::read_budget_ms`] in nanoseconds.
    pub(crate) const fn read_budget_ns(&self) -> i64 {
        self.read_budget_ms.saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Following;

    #[test]
    fn moments_before_the_origin_are_wall_time_too() {
        let following = Following { origin_wall_us: Some(1_000), ..Following::default() };
        assert_eq!(following.wall_us(2_999), Some(1_002));
        assert_eq!(following.wall_us(-1), Some(999));
        assert_eq!(Following::default().wall_us(5), None);
    }
}
