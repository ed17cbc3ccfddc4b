//! A rate from the moments at which events were worked off.
//!
//! In: moments in nanoseconds. Out: events a second between the 5th and the 95th percentile of the moments, as the check of a backlog
//! reckons it (`check::drain`): at the beginning partitions are still being given away, and the last events have no company.

/// The fewest moments that make a rate.
pub const MOMENTS_LEAST: usize = 40;

/// Events a second; `None` with too few moments, or where they are all the same.
pub fn rate(moments_ns: &mut [i64]) -> Option<f64> {
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
    use super::rate;

    const MS: i64 = 1_000_000;

    #[test]
    fn both_ends_are_left_out_and_the_order_of_moments_does_not_matter() {
        let mut moments: Vec<i64> = (0..400).rev().map(|n| n * 10 * MS).collect();
        // Slow ends.
        moments[399] = -60_000 * MS;
        moments[0] = 90_000 * MS;
        assert_eq!(rate(&mut moments), Some(100.0));
    }

    #[test]
    fn too_few_moments_or_one_instant_make_no_rate() {
        assert_eq!(rate(&mut [0; 39]), None);
        assert_eq!(rate(&mut [7; 400]), None);
    }
}
