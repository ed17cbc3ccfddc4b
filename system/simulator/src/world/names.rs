//! The names of a world's processes and databases, as plans and traces write them.
//!
//! In: numbers. Out: names. Elsewhere: who they are (`bank`).

/// The most channels of a world.
pub const MOST_CHANNELS: usize = 8;

pub(crate) const CORE: &str = "core";
pub(crate) const POSTGRES_CORE: &str = "postgres-core";
pub(crate) const POSTGRES_CHANNEL: &str = "postgres-channel";
/// The other banks.
pub(crate) const BANKS: &str = "banks";
pub(crate) const KAFKA: &str = "kafka";
/// Who sends operations.
pub(crate) const CUSTOMERS: &str = "customers";
/// Who resolves and looks at the end; its links are never broken.
pub(crate) const HARNESS: &str = "harness";

/// A channel's name.
pub(crate) const CHANNELS: [&str; MOST_CHANNELS] =
    ["channel-0", "channel-1", "channel-2", "channel-3", "channel-4", "channel-5", "channel-6", "channel-7"];

/// A process's or caller's name, to keep; `None` when there is none of this name.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    [CORE, BANKS, CUSTOMERS, HARNESS].into_iter().chain(CHANNELS).find(|known| *known == name)
}
