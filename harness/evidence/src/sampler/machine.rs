//! The machine's processors: busy, stolen and waiting for disks, as shares of all cores since the sample before.
//!
//! In: /proc/stat. Out: [`Shares`]; absent where there is no such file.

/// Shares of all cores' time, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    /// Neither idle nor waiting for a disk nor stolen.
    pub(super) busy: f64,
    pub(super) steal: f64,
    pub(super) iowait: f64,
}

/// Ticks since boot, all cores together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) total: u64,
    pub(super) idle: u64,
    pub(super) iowait: u64,
    pub(super) steal: u64,
}

#[derive(Default)]
pub(super) struct MachineReader {
    before: Option<Ticks>,
}

impl MachineReader {
    /// The shares since the read before; absent at the first read.
    pub(super) fn read(&mut self) -> Option<Shares> {
        let now = ticks();
        let before = std::mem::replace(&mut self.before, now)?;
        shares(before, now?)
    }
}

pub(super) fn shares(before: Ticks, now: Ticks) -> Option<Shares> {
    let total = now.total.checked_sub(before.total).filter(|total| *total > 0)?;
    // The kernel may take a tick of these back, so they are not trusted to rise.
    let share = |now: u64, before: u64| now.saturating_sub(before) as f64 / total as f64;
    let steal = share(now.steal, before.steal);
    let iowait = share(now.iowait, before.iowait);
    let busy = (1.0 - share(now.idle, before.idle) - iowait - steal).max(0.0);
    Some(Shares { busy, steal, iowait })
}

#[cfg(target_os = "linux")]
fn ticks() -> Option<Ticks> {
    use procfs::CurrentSI;
    let all = procfs::KernelStats::current().ok()?.total;
    let (iowait, steal) = (all.iowait.unwrap_or(0), all.steal.unwrap_or(0));
    let irq = all.irq.unwrap_or(0) + all.softirq.unwrap_or(0);
    // Guest time is part of user time already.
    let total = all.user + all.nice + all.system + all.idle + iowait + irq + steal;
    Some(Ticks { total, idle: all.idle, iowait, steal })
}

#[cfg(not(target_os = "linux"))]
const fn ticks() -> Option<Ticks> {
    None
}

#[cfg(test)]
mod tests {
    use super::{Ticks, shares};

    #[test]
    fn shares_are_of_the_time_between() {
        let before = Ticks { total: 1_000, idle: 500, iowait: 10, steal: 0 };
        let now = Ticks { total: 1_200, idle: 540, iowait: 30, steal: 20 };
        let shares = super::shares(before, now).expect("time went by");
        assert!((shares.busy - 0.6).abs() < 1e-9, "{shares:?}");
        assert!((shares.iowait - 0.1).abs() < 1e-9 && (shares.steal - 0.1).abs() < 1e-9, "{shares:?}");
        assert_eq!(self::shares(now, now), None);
    }
}
