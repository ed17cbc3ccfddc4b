//! A rate from the moments at which events were worked off.
//!
//! In: moments in nanoseconds, and when all partitions were seen to have owners. Out: seconds, events a second. Elsewhere: what workers and
//! cost predict (`predict`).
//!
//! A cell with a prediction is held against what its workers do while all of them have work: its rate is between the 5th and the 95th
//! percentile of the moments, as the check of a backlog reckons it (`check::drain`), because the last events of it have no company, which
//! says nothing of the workers. Where nothing is predicted there is nothing to hold it against, and such a window could cut a standstill
//! out: the rate is that of all events over all of the time.

/// The fewest moments that make a rate.
pub const MOMENTS_LEAST: usize = 40;

/// From the moment at which all partitions were seen to have owners (`owned_ns`), or the first event where that was earlier, to the last
/// event, in seconds; `None` without moments.
pub fn lasted_s(moments_ns: &[i64], owned_ns: i64) -> Option<f64> {
    let (first, last) = (moments_ns.iter().min()?, moments_ns.iter().max()?);
    Some((last - owned_ns.min(*first)) as f64 / 1e9)
}

/// Events a second, all of them over all of [`lasted_s`]; `None` with too few moments, or where they lasted no time.
pub fn overall(moments_ns: &[i64], owned_ns: i64) -> Option<f64> {
    let seconds = lasted_s(moments_ns, owned_ns).filter(|seconds| *seconds > 0.0)?;
    (moments_ns.len() >= MOMENTS_LEAST).then(|| moments_ns.len() as f64 / seconds)
}

/// Events a second between the 5th and the 95th percentile; `None` with too few moments, or where they are all the same.
pub fn between_percentiles(moments_ns: &mut [i64]) -> Option<f64> {
    if moments_ns.len() < MOMENTS_LEAST {
        return None;
    }
    moments_ns.sort_unstable();
    let (from, to) = (moments_ns.len() / 20, moments_ns.len() * 19 / 20);
    let seconds = (moments_ns[to] - moments_ns[from]) as f64 / 1e9;
    (seconds > 0.0).then(|| (to - from) as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::{between_percentiles, lasted_s, overall};

    const MS: i64 = 1_000_000;

    #[test]
    fn both_ends_are_left_out_and_the_order_of_moments_does_not_matter() {
        let mut moments: Vec<i64> = (0..400).rev().map(|n| n * 10 * MS).collect();
        // Slow ends.
        moments[399] = -60_000 * MS;
        moments[0] = 90_000 * MS;
        assert_eq!(between_percentiles(&mut moments), Some(100.0));
    }

    #[test]
    fn a_standstill_at_an_end_is_part_of_what_nothing_is_predicted_of() {
        // As it was measured: a twentieth of the events, nine tenths of a second of nothing, then all others within a fifth of one.
        let mut moments: Vec<i64> = (0..1_000).map(|n| n * MS / 10).collect();
        moments.extend((0..19_000).map(|n| 1_000 * MS + n * 10_000));
        let window = between_percentiles(&mut moments).expect("a rate");
        assert!(window > 80_000.0, "{window}");
        let all = overall(&moments, -10 * MS).expect("a rate");
        assert!((16_600.0..16_700.0).contains(&all), "20,000 in 1.2 s: {all}");
    }

    #[test]
    fn time_begins_with_the_owners_or_the_first_event_whichever_came_first() {
        let moments: Vec<i64> = (1..=100).map(|n| n * 10 * MS).collect();
        assert_eq!((lasted_s(&moments, 0), overall(&moments, 0)), (Some(1.0), Some(100.0)));
        assert_eq!(lasted_s(&moments, 500 * MS), Some(0.99), "the owners were seen late");
    }

    #[test]
    fn too_few_moments_or_one_instant_make_no_rate() {
        assert_eq!(between_percentiles(&mut [0; 39]), None);
        assert_eq!(between_percentiles(&mut [7; 400]), None);
        assert_eq!(overall(&[5 * MS; 39], 0), None);
        assert_eq!(overall(&[7; 400], 7), None);
        assert_eq!(lasted_s(&[], 0), None);
    }
}
