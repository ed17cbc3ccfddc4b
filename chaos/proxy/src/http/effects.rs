//! What is done to a request that rules have picked, and to its answer.
//!
//! In: its fate, the request. Out: an answer, none, or none yet. Elsewhere: who is picked and what is counted (`rules`), plain forwarding
//! (`http`).
//!
//! Whatever hangs on the server or the caller is told to the rules when it happens: an answer is dropped or held once there is one, a
//! request is doubled once it was sent.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_faults::rule::Effect;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::upstream::{Forwarded, Server};
use super::{Answer, Door, Unanswered, Whole};
use crate::link::{InHand, Line, Link};
use crate::rules::{Fate, Picked};

/// How long the server of a request whose caller may be gone is given: longer than any limit of a service.
const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

impl Door {
    pub(super) async fn carry_out(&self, fate: Fate, request: Whole) -> Result<Answer, Unanswered> {
        let answer = match &fate.there {
            Some(picked) => self.send(picked, request).await?,
            None => self.forward(request, || ()).await?,
        };
        match &fate.back {
            Some(picked) => Ok(self.give_back(picked, answer).await),
            None => Ok(answer),
        }
    }

    /// The request's way there.
    async fn send(&self, picked: &Picked, request: Whole) -> Result<Answer, Unanswered> {
        match picked.effect {
            Effect::RequestDrop => std::future::pending().await,
            Effect::RequestHold(delay) => self.hold(picked, request, Instant::now() + delay).await,
            Effect::RequestTwice(times) => {
                let copy = request.clone();
                self.forward(request, || self.send_copies(picked, times - 1, &copy)).await
            }
            // The rules have no others for a request; bytes and commits meet theirs elsewhere.
            _ => self.forward(request, || ()).await,
        }
    }

    /// The way back of an answer that has come, for a caller who waits.
    async fn give_back(&self, picked: &Picked, answer: Answer) -> Answer {
        match picked.effect {
            Effect::ResponseDrop if self.link.done(picked, 0) => std::future::pending().await,
            Effect::ResponseHold(delay) if self.link.done(picked, 1) => {
                let mut in_hand = self.link.in_hand(picked);
                sleep(delay).await;
                in_hand.arrived();
                answer
            }
            _ => answer,
        }
    }

    /// Right after the first, which is on its way: none of them overtakes it.
    fn send_copies(&self, picked: &Picked, copies: u32, request: &Whole) {
        if !self.link.done(picked, u64::from(copies)) {
            return;
        }
        for _ in 0..copies {
            let (link, line, in_hand) = (Arc::clone(&self.link), Arc::clone(&self.line), self.link.in_hand(picked));
            let copy = deliver(link, line, request.clone(), in_hand);
            self.link.hold(async move { drop(copy.await) });
        }
    }

    /// From here on the request is no more its caller's: it arrives at its time, and who still waits gets its answer.
    async fn hold(&self, picked: &Picked, request: Whole, due: Instant) -> Result<Answer, Unanswered> {
        let (tell, told) = oneshot::channel();
        let (link, line, in_hand) = (Arc::clone(&self.link), Arc::clone(&self.line), self.link.in_hand(picked));
        self.link.hold(async move {
            sleep_until(due).await;
            // Nobody may be waiting any more.
            let _ = tell.send(deliver(link, line, request, in_hand).await);
        });
        told.await.unwrap_or_else(|_| Err(Unanswered("the proxy ends".to_owned())))
    }
}

/// Delivers on a connection of its own, and waits for the answer: a server drops the request of a caller that hangs up.
async fn deliver(link: Arc<Link>, line: Arc<Line>, request: Whole, mut in_hand: InHand) -> Result<Answer, Unanswered> {
    let delivery = async {
        if !line.delivers() {
            return Err(Unanswered("the link lost it".to_owned()));
        }
        match Server::open(&link, &line).await?.forward(request, || in_hand.arrived()).await {
            Forwarded::Answered(answer) => Ok(answer),
            Forwarded::Untouched(_) => Err(Unanswered("the server closed the connection".to_owned())),
            Forwarded::Lost(error) => Err(Unanswered(error)),
        }
    };
    match timeout(DELIVERY_LIMIT, delivery).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::info!(%error, "a request was delivered without an answer, or not at all");
            Err(error)
        }
        Err(_) => Err(Unanswered(format!("no answer within {DELIVERY_LIMIT:?}"))),
    }
}
