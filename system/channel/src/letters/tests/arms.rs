//! The same with protections off.

use std::time::Duration;

use bankstorm_contracts::dead_letter::Class;
use tokio::time::sleep;

use super::{A_WHILE, ATTEMPTS, by_hand, entry, quiet};
use crate::config::{ChannelConfig, DeadLetters, Gaps, HoleMarker, Retrying};
use crate::transfer::tests::bench::{Bench, OPENED};
use crate::transfer::tests::fakes::End;

#[tokio::test(start_paused = true)]
async fn p17_off_gives_up_on_what_would_have_passed() {
    let bench = Bench::open(ChannelConfig { retrying: Retrying::None, ..by_hand() });
    sleep(A_WHILE).await;
    bench.fake.data().ends.push_back(End::Failed);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    bench.fake.data().core_down = true;
    bench.event(&entry(OPENED + 3));
    sleep(A_WHILE).await;
    let early = |seq, code: &str| (Some(seq), Class::Transient, code.to_owned(), 1, true);
    assert_eq!(bench.letters(), [early(OPENED + 1, "store_unavailable"), early(OPENED + 3, "no_answer_from_core")]);
    assert_eq!((bench.stored(), bench.committed()), (vec![], Some(2)));
}

#[tokio::test(start_paused = true)]
async fn p18_off_forgets_the_record() {
    let bench = Bench::open(ChannelConfig { dead_letters: DeadLetters::Drop, ..quiet() });
    bench.poison(OPENED + 1);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.letters(), bench.mark(), bench.committed()), (vec![], None, Some(1)));
    assert_eq!((bench.produced(), bench.fake.count("channel_dropped_total")), (0, 1));
}

/// The control of P19: with gap detection off, the hole alone keeps the copy without gaps.
#[tokio::test(start_paused = true)]
async fn p15_off_shows_a_gap_unless_a_hole_is_marked() {
    for (hole_marker, stored) in [(HoleMarker::On, vec![]), (HoleMarker::Off, vec![OPENED + 2, OPENED + 3])] {
        let bench = Bench::open(ChannelConfig { gaps: Gaps::Ignore, hole_marker, ..by_hand() });
        bench.poison(OPENED + 1);
        bench.event(&entry(OPENED + 1));
        sleep(A_WHILE).await;
        bench.event(&entry(OPENED + 2));
        bench.event(&entry(OPENED + 3));
        sleep(ATTEMPTS * 2).await;
        assert_eq!(bench.stored(), stored, "{hole_marker:?}");
        // Without the mark, the letter is taken for overtaken.
        let open = if hole_marker == HoleMarker::On { 3 } else { 0 };
        assert_eq!((bench.open_letters(), bench.committed()), (open, Some(3)), "{hole_marker:?}");
        assert_eq!(bench.fake.data().purposes, [], "core is not asked");
    }
}

#[tokio::test(start_paused = true)]
async fn with_repair_off_a_gap_waits_for_its_record_and_is_parked() {
    let bench = Bench::open(ChannelConfig { gaps: Gaps::Wait, ..by_hand() });
    bench.fake.data().booked.extend([OPENED + 1, OPENED + 2].map(entry));
    bench.event(&entry(OPENED + 2));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.letters(), []);
    sleep(ATTEMPTS).await;
    assert_eq!(bench.letters(), [(Some(OPENED + 2), Class::Transient, "gap".to_owned(), 3, true)]);
}
