//! The engine's times of day, and where they lie on the clock that all records share: pure, but for the look at the clocks.

use nix::time::{ClockId, clock_gettime};

use crate::reaper::monotonic_ns;

/// Nanoseconds since 1970 of a time as the engine writes it: `2026-11-22T10:27:26.123456789Z`. The year 1 stands for never.
pub(super) fn since_epoch_ns(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = seconds.splitn(3, ':').map(str::parse::<i64>);
    let seconds = parts.next()?.ok()? * 3_600 + parts.next()?.ok()? * 60 + parts.next()?.ok()?;
    let nanos = format!("{fraction:0<9}").get(..9)?.parse::<i64>().ok()?;
    if year < 1970 {
        return None;
    }
    (days(year, month, day) * 86_400 + seconds - offset(zone)?).checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Seconds that a zone is ahead of UTC: `Z`, `+01:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, text) = zone.split_at(1);
    let (hours, minutes) = text.split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Days since 1970-01-01 of the calendar that everybody uses: the years are counted from March, so that the odd day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// CLOCK_MONOTONIC in nanoseconds at a moment of the engine's clock, which is this machine's; never later than now.
pub(super) fn monotonic_at(since_epoch_ns: i64) -> u64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec());
    let ago = u64::try_from(now.saturating_sub(since_epoch_ns)).unwrap_or_default();
    monotonic_ns().saturating_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-03-01T00:00:00.5Z", Some(951_868_800_500_000_000)),
            ("2026-11-22T10:27:26.123456789Z", Some(1_795_343_246_123_456_789)),
            ("2026-11-22T11:27:26.123456789+01:00", Some(1_795_343_246_123_456_789)),
            ("0001-01-01T00:00:00Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(since_epoch_ns(text), expected, "{text}");
        }
    }

    #[test]
    fn a_moment_of_the_future_is_now() {
        let before = monotonic_ns();
        let at = monotonic_at(i64::MAX);
        assert!(before <= at && at <= monotonic_ns());
    }
}
