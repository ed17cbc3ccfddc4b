//! The breaker: core that gives no answers is left alone for a while (D4, A18). Pure.
//!
//! In: moments, what was heard of core. Out: who may ask. Elsewhere: markers and gauges (`pulls`).
//!
//! Closed, everybody asks. After `after` questions in a row without an answer it opens: for `rest` nobody asks. Then one does; his answer
//! closes it, and its absence opens it for another `rest`.

use std::time::Duration;

use tokio::time::Instant;

/// The breaker of one process.
#[derive(Debug)]
pub(super) struct Breaker {
    after: u32,
    rest: Duration,
    /// Questions without an answer in a row, while it is closed.
    failures: u32,
    /// While it is open: when one may ask.
    open_until: Option<Instant>,
    /// Whether that one is asking.
    probing: bool,
}

/// Leave to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admit {
    /// The breaker was closed.
    Call,
    /// It was open: he is the one who sees whether core answers again.
    Probe,
}

/// What was heard of core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer.
    Answer,
    /// No answer.
    Nothing,
    /// Nobody can tell: something else failed.
    Unsaid,
}

/// What became of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// It is as before.
    Not,
    /// It is closed now.
    Closed,
    /// It is open now, or again.
    Opened,
}

impl Breaker {
    pub(super) const fn new(after: u32, rest: Duration) -> Self {
        Self { after, rest, failures: 0, open_until: None, probing: false }
    }

    /// Whether [`Breaker::admit`] would let somebody through.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| now >= until && !self.probing)
    }

    /// Leave to ask, if it is given. Each one is to be judged.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Admit> {
        if !self.lets_through(now) {
            return None;
        }
        if self.open_until.is_none() {
            return Some(Admit::Call);
        }
        self.probing = true;
        Some(Admit::Probe)
    }

    /// What came of a question.
    pub(super) fn judge(&mut self, admit: Admit, heard: Heard, now: Instant) -> Turned {
        match (admit, heard) {
            (Admit::Probe, heard) => {
                self.probing = false;
                match heard {
                    Heard::Answer => {
                        (self.failures, self.open_until) = (0, None);
                        Turned::Closed
                    }
                    Heard::Nothing => self.open(now),
                    // The next one asks.
                    Heard::Unsaid => Turned::Not,
                }
            }
            // Asked before it opened: says nothing about now.
            (Admit::Call, _) if self.open_until.is_some() => Turned::Not,
            (Admit::Call, Heard::Answer) => {
                self.failures = 0;
                Turned::Not
            }
            (Admit::Call, Heard::Nothing) => {
                self.failures += 1;
                if self.failures >= self.after { self.open(now) } else { Turned::Not }
            }
            (Admit::Call, Heard::Unsaid) => Turned::Not,
        }
    }

    /// Core answered a question that needed no leave. While nobody gets through that says nothing of what was asked before.
    pub(super) const fn answered(&mut self) {
        if self.open_until.is_none() {
            self.failures = 0;
        }
    }

    fn open(&mut self, now: Instant) -> Turned {
        self.open_until = Some(now + self.rest);
        Turned::Opened
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Admit, Breaker, Heard, Turned};

    const REST: Duration = Duration::from_secs(1);

    fn after_failures(count: u32, now: Instant) -> Breaker {
        let mut breaker = Breaker::new(3, REST);
        for number in 1..=count {
            let turned = if number == 3 { Turned::Opened } else { Turned::Not };
            assert_eq!(breaker.admit(now), Some(Admit::Call));
            assert_eq!(breaker.judge(Admit::Call, Heard::Nothing, now), turned);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn d4_it_opens_after_failures_in_a_row_and_an_answer_between_them_begins_anew() {
        let now = Instant::now();
        let mut breaker = after_failures(2, now);
        assert_eq!(breaker.judge(Admit::Call, Heard::Answer, now), Turned::Not);
        for _ in 0..2 {
            assert_eq!(breaker.judge(Admit::Call, Heard::Nothing, now), Turned::Not);
            assert_eq!(breaker.judge(Admit::Call, Heard::Unsaid, now), Turned::Not);
        }
        assert_eq!(breaker.judge(Admit::Call, Heard::Nothing, now), Turned::Opened);
        assert_eq!(breaker.admit(now + REST - Duration::from_millis(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn d4_open_it_lets_one_see_after_its_rest() {
        let now = Instant::now();
        let mut breaker = after_failures(3, now);
        // Those who had asked before say nothing any more.
        assert_eq!(breaker.judge(Admit::Call, Heard::Answer, now), Turned::Not);
        assert_eq!(breaker.admit(now), None);
        let later = now + REST;
        assert_eq!((breaker.admit(later), breaker.admit(later)), (Some(Admit::Probe), None), "one alone");
        assert_eq!(breaker.judge(Admit::Probe, Heard::Unsaid, later), Turned::Not);
        assert_eq!(breaker.admit(later), Some(Admit::Probe), "he found nothing out: the next one asks");
        assert_eq!(breaker.judge(Admit::Probe, Heard::Nothing, later), Turned::Opened);
        assert!(!breaker.lets_through(later));
        let latest = later + REST;
        assert_eq!(breaker.admit(latest), Some(Admit::Probe));
        assert_eq!(breaker.judge(Admit::Probe, Heard::Answer, latest), Turned::Closed);
        assert_eq!((breaker.admit(latest), breaker.admit(latest)), (Some(Admit::Call), Some(Admit::Call)));
    }
}
