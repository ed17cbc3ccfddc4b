//! What may be set at the other banks, with units and defaults.
//!
//! In: nothing. Out: [`BanksConfig`]. Elsewhere: addresses and the book's file (`adapters::process`), scenario keys (`harness/scenario`).

use std::ops::RangeInclusive;
use std::time::Duration;

/// The other banks' settings. Shares are in thousandths of all credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanksConfig {
    /// Credits that are taken on, and decided after a while of `late_for`. Default 0.
    pub late_permille: u32,
    /// Credits whose first request learns nothing, and that nobody calls back about. Default 0.
    pub never_permille: u32,
    /// Credits that core is told about twice. Default 0.
    pub twice_permille: u32,
    /// Credits that are refused for good, however that is told. Independent of the other shares. Default 0.
    pub refused_permille: u32,
    /// How long a late decision, and the second callback of two, take. Default 100 ms to 2 s.
    pub late_for: RangeInclusive<Duration>,
    /// How long a request that gets no answer is held open, unless its caller goes first. Default 60 s.
    pub silent_for: Duration,
    /// What tempers are drawn from, together with the transfer's id.
    pub seed: u64,
    /// Credits and cancels in work at once; beyond it the answer is 503 not-started. Default 1,000.
    pub in_work_max: usize,
    /// How long a request waits for the book to be read at the start; beyond it the answer is 503 not-started. Default 1 s.
    pub open_wait: Duration,
    /// The pause before the book is tried again by what must not give up. Default 100 ms.
    pub book_pause: Duration,
    /// How often one callback is tried; after that core has to ask. Default 3.
    pub tell_tries: u32,
    /// The pause between those tries. Default 1 s.
    pub tell_pause: Duration,
}

impl Default for BanksConfig {
    fn default() -> Self {
        Self {
            late_permille: 0,
            never_permille: 0,
            twice_permille: 0,
            refused_permille: 0,
            late_for: Duration::from_millis(100)..=Duration::from_secs(2),
            silent_for: Duration::from_secs(60),
            seed: 0,
            in_work_max: 1_000,
            open_wait: Duration::from_secs(1),
            book_pause: Duration::from_millis(100),
            tell_tries: 3,
            tell_pause: Duration::from_secs(1),
        }
    }
}

impl BanksConfig {
    /// Says what does not fit together: which setting, its value, what would be accepted.
    pub fn check(&self) -> Result<(), String> {
        let told = [self.late_permille, self.never_permille, self.twice_permille];
        if told.iter().map(|share| u64::from(*share)).sum::<u64>() > 1_000 {
            let [late, never, twice] = told;
            return Err(format!(
                "late, never and twice are {late}, {never} and {twice} thousandths of the credits; accepted is at most 1000 in all"
            ));
        }
        if self.refused_permille > 1_000 {
            let refused = self.refused_permille;
            return Err(format!("refused is {refused} thousandths of the credits; accepted is at most 1000"));
        }
        if self.late_for.is_empty() {
            let (from, to) = (self.late_for.start(), self.late_for.end());
            return Err(format!(
                "late_for is {from:?} to {to:?}; accepted is a range whose end is not before its start"
            ));
        }
        if self.in_work_max == 0 {
            return Err("in_work_max is 0; accepted are 1 and more".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::BanksConfig;

    #[test]
    fn settings_that_do_not_fit_are_named() {
        assert_eq!(BanksConfig::default().check(), Ok(()));
        let whole =
            BanksConfig { late_permille: 500, never_permille: 300, twice_permille: 200, ..BanksConfig::default() };
        assert_eq!(BanksConfig { refused_permille: 1_000, ..whole.clone() }.check(), Ok(()));
        let (long, short) = (Duration::from_secs(2), Duration::from_secs(1));
        for (config, part) in [
            (BanksConfig { twice_permille: 201, ..whole }, "500, 300 and 201"),
            (BanksConfig { refused_permille: 1_001, ..BanksConfig::default() }, "refused is 1001"),
            (BanksConfig { late_for: long..=short, ..BanksConfig::default() }, "2s to 1s"),
            (BanksConfig { in_work_max: 0, ..BanksConfig::default() }, "in_work_max"),
        ] {
            let refusal = config.check().expect_err(part);
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
