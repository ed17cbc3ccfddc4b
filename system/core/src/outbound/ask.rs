//! One question to a bank, and what follows from its answer.
//!
//! In: a hold whose turn has come. Out: an ended hold, or its next turn. Elsewhere: when its turn comes (`known`), how it ends (`settle`).

use std::sync::Arc;

use bankstorm_contracts::banks_api::{Credit, CreditState};
use bankstorm_outside::bank_network::{BankNetwork, CreditReply};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::Outbound;
use super::known::Task;
use super::settle::{By, Definite};
use crate::busy::AtWork;
use crate::config::Voiding;
use crate::markers;

/// What a bank is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Have you credited it? If not, do.
    Credit,
    /// Have you credited it? If not, never do.
    Cancel,
}

/// What is to be asked about a hold; `None` voids it unasked. Decision point P32: an expired hold is cancelled at the bank, never just voided
/// (D39).
fn next_question(voiding: Voiding, expires_at: Instant, now: Instant) -> Option<Question> {
    if now < expires_at {
        return Some(Question::Credit);
    }
    match voiding {
        Voiding::DefiniteNo => Some(Question::Cancel),
        Voiding::OnExpiry => None,
    }
}

impl<O: CoreOutside> Outbound<O> {
    /// Asks, unless the answer is known, and ends the hold by it; otherwise its turn comes again.
    pub(super) async fn ask(self: Arc<Self>, task: Task, permit: OwnedSemaphorePermit, _at_work: AtWork) {
        let id = task.hold.transfer;
        let answer = match task.answer {
            Some(answer) => Some(answer),
            None => self.question(&task).await,
        };
        let ended = match answer {
            Some(definite) => match self.conclude(id, definite).await {
                Ok(_) => true,
                Err(trouble) => {
                    self.outside.metrics().count("core_outbound_errors_total", 1);
                    tracing::warn!(%id, ?trouble, "a hold is not ended; its turn comes again");
                    false
                }
            },
            None => false,
        };
        if !ended {
            self.known().again(id, Instant::now(), answer);
        }
        drop(permit);
        self.bell.notify_one();
    }

    /// The bank's definite answer, if it gave one in time.
    async fn question(&self, task: &Task) -> Option<Definite> {
        let (hold, banks) = (&task.hold, self.outside.banks());
        let voiding = self.config.protections.voiding;
        let Some(question) = next_question(voiding, task.expires_at, Instant::now()) else {
            return Some(Definite { state: CreditState::Refused, by: By::Age });
        };
        self.outside.metrics().count("core_outbound_asked_total", 1);
        let limit = self.config.outbound_call_wait;
        let call = async {
            match question {
                Question::Credit => {
                    let credit = Credit { id: hold.transfer, to: hold.party.clone(), amount: hold.amount };
                    timeout(limit, banks.credit(&credit)).await
                }
                Question::Cancel => {
                    self.outside.points().reached(markers::CANCEL_SENT);
                    timeout(limit, banks.cancel(hold.transfer)).await
                }
            }
        };
        let reply = tokio::select! {
            biased;
            () = self.outside.scope().stopping() => return None,
            reply = call => reply,
        };
        let by = match question {
            Question::Credit => By::Credit,
            Question::Cancel => By::Cancel,
        };
        match reply {
            Ok(Ok(CreditReply::Answer(state))) => return Some(Definite { state, by }),
            Ok(Ok(CreditReply::Accepted)) => {}
            Ok(Err(error)) => tracing::debug!(id = %hold.transfer, %error, "a bank gave no answer"),
            Err(_) => tracing::debug!(id = %hold.transfer, ?limit, "a bank gave no answer in time"),
        }
        self.outside.metrics().count("core_outbound_silent_total", 1);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Question, Voiding, next_question};

    #[test]
    fn an_expired_hold_is_cancelled_at_the_bank_and_no_other_one_is_d39() {
        let now = Instant::now();
        let at = |voiding, expires_at| next_question(voiding, expires_at, now);
        for voiding in [Voiding::DefiniteNo, Voiding::OnExpiry] {
            assert_eq!(at(voiding, now + Duration::from_millis(1)), Some(Question::Credit));
        }
        assert_eq!(at(Voiding::DefiniteNo, now), Some(Question::Cancel));
        assert_eq!(at(Voiding::OnExpiry, now), None, "P32 off: nobody is asked");
    }
}
