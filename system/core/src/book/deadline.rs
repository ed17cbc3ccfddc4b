//! Whether a transfer's validity is over (D31).
//!
//! In: what the caller promised, how long the request has been here, the database's clock. Out: yes or no. Elsewhere: when it is asked
//! (`posting::steps`), and how a late request is stopped for certain: by the tombstone, not by any clock (`fence`).

use std::time::Duration;

use bankstorm_contracts::WallMicros;
use bankstorm_outside::core_store::Promise;

use crate::config::Deadline;

/// Whether it is over: `waited` since the request arrived, by core's monotonic clock; `now` by the database's. Without a promise it never is.
pub fn is_over(deadline: Deadline, promise: Option<Promise>, waited: Duration, now: WallMicros) -> bool {
    let Some(promise) = promise else { return false };
    match deadline {
        Deadline::Relative => waited >= Duration::from_millis(u64::from(promise.valid_for_ms)),
        Deadline::Absolute => {
            let valid_for = i64::from(promise.valid_for_ms) * 1_000;
            now.0 >= promise.requested_at.0.saturating_add(valid_for)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadline, Duration, Promise, WallMicros, is_over};

    const PROMISE: Promise = Promise { requested_at: WallMicros(1_000_000), valid_for_ms: 5_000 };

    #[test]
    fn relative_counts_from_the_arrival_whatever_the_clocks_say() {
        let over = |ms, now| is_over(Deadline::Relative, Some(PROMISE), Duration::from_millis(ms), WallMicros(now));
        for clock in [i64::MIN, 0, i64::MAX] {
            assert!(!over(4_999, clock));
            assert!(over(5_000, clock));
        }
    }

    #[test]
    fn absolute_counts_from_the_callers_clock_to_the_databases() {
        let over = |now| is_over(Deadline::Absolute, Some(PROMISE), Duration::from_secs(3_600), WallMicros(now));
        assert!(!over(5_999_999));
        assert!(over(6_000_000));
        let endless = Promise { requested_at: WallMicros(i64::MAX), valid_for_ms: 1 };
        assert!(!is_over(Deadline::Absolute, Some(endless), Duration::ZERO, WallMicros(0)));
    }

    #[test]
    fn what_promised_nothing_never_expires() {
        for deadline in [Deadline::Relative, Deadline::Absolute] {
            assert!(!is_over(deadline, None, Duration::MAX, WallMicros(i64::MAX)));
        }
    }
}
