//! How a bank's copies follow core: when they are compared, how often it is tried, what it costs.
//!
//! In: a file, a seed. Out: [`Following`], [`Repair`]. Elsewhere: what services make of them (`channel::config`), which protections are off
//! (`plan::protections`).
//!
//! Every field has a default, so that a plan which says nothing of it means the same for ever.

use serde::{Deserialize, Serialize};

/// How copies follow core. Times are in milliseconds of virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Following {
    /// When a read asks core first.
    pub read_sync: ReadSyncWhen,
    /// How long a read waits for core.
    pub read_budget_ms: u64,
    /// Pulls for reads and the button at once, in one channel.
    pub core_pulls: u32,
    /// Between two uses of the button on one account, in one channel.
    pub manual_every_ms: u64,
    /// Between two looks of the sweep.
    pub sweep_every_ms: u64,
    /// Most accounts of one look.
    pub sweep_accounts: u32,
    /// How often a record that may pass is tried before it becomes a dead letter.
    pub attempts: u32,
    /// The time over which these attempts are spread.
    pub attempts_for_ms: u64,
    /// Between two looks at the letters.
    pub redrive_every_ms: u64,
    /// How often a letter is driven before only the command drives it.
    pub redrive_most: u32,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            read_sync: ReadSyncWhen::Pending,
            read_budget_ms: 300,
            core_pulls: 8,
            manual_every_ms: 1_000,
            sweep_every_ms: 5_000,
            sweep_accounts: 1_000,
            attempts: 3,
            attempts_for_ms: 5_000,
            redrive_every_ms: 5_000,
            redrive_most: 5,
        }
    }
}

/// When a read asks core first (A12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadSyncWhen {
    /// While a transfer of the account is in progress.
    #[default]
    Pending,
    /// And while its copy is known to be behind.
    Suspect,
}

/// What mends a copy besides its events: each may be left out, to see whether a check fires that something else would heal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own, and any of them may be left out")]
pub struct Repair {
    /// What is missing before a record comes from core.
    pub fill: bool,
    /// Reads ask core.
    pub read_sync: bool,
    /// The button asks core.
    pub manual_sync: bool,
    /// The sweep compares copies with core.
    pub sweep: bool,
    /// Dead letters are driven again without a command.
    pub redrive: bool,
}

impl Repair {
    /// All of it.
    pub const ON: Self = Self { fill: true, read_sync: true, manual_sync: true, sweep: true, redrive: true };
    /// None of it.
    pub const OFF: Self = Self { fill: false, read_sync: false, manual_sync: false, sweep: false, redrive: false };

    /// Whether every copy comes to equal core, whatever records were lost.
    pub const fn heals(self) -> bool {
        self.sweep
    }

    /// Whether marks are taken away and letters that were overtaken closed, without anybody's command.
    pub const fn tidies(self) -> bool {
        self.sweep && self.redrive
    }

    /// Whether nothing is left out.
    pub fn is_on(&self) -> bool {
        *self == Self::ON
    }
}

impl Default for Repair {
    fn default() -> Self {
        Self::ON
    }
}
