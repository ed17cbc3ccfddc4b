//! What is done to a request that a rule has picked, and to its answer.
//!
//! In: an effect, the request. Out: an answer, none, or none yet. Elsewhere: who is picked (`rules`), plain forwarding (`http`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_faults::rule::Effect;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::upstream::{Forwarded, Server};
use super::{Answer, Door, Unanswered, Whole};
use crate::link::{Line, Link};

/// How long the server of a request whose caller may be gone is given: longer than any limit of a service.
const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

impl Door {
    pub(super) async fn carry_out(&self, effect: Effect, request: Whole) -> Result<Answer, Unanswered> {
        match effect {
            Effect::RequestDrop => std::future::pending().await,
            Effect::RequestHold(delay) => self.hold(request, Instant::now() + delay).await,
            Effect::RequestTwice(times) => {
                for _ in 1..times {
                    let copy = deliver(Arc::clone(&self.link), Arc::clone(&self.line), request.clone());
                    self.link.hold(async move { drop(copy.await) });
                }
                self.forward(request).await
            }
            Effect::ResponseDrop => {
                self.forward(request).await?;
                std::future::pending().await
            }
            Effect::ResponseHold(delay) => {
                let answer = self.forward(request).await?;
                sleep(delay).await;
                Ok(answer)
            }
            // The rules have no others for a request; bytes and commits meet theirs elsewhere.
            _ => self.forward(request).await,
        }
    }

    /// From here on the request is no more its caller's: it arrives at its time, and who still waits gets its answer.
    async fn hold(&self, request: Whole, due: Instant) -> Result<Answer, Unanswered> {
        let (tell, told) = oneshot::channel();
        let (link, line) = (Arc::clone(&self.link), Arc::clone(&self.line));
        self.link.hold(async move {
            sleep_until(due).await;
            // Nobody may be waiting any more.
            let _ = tell.send(deliver(link, line, request).await);
        });
        told.await.unwrap_or_else(|_| Err(Unanswered("the proxy ends".to_owned())))
    }
}

/// Delivers on a connection of its own, and waits for the answer: a server drops the request of a caller that hangs up.
async fn deliver(link: Arc<Link>, line: Arc<Line>, request: Whole) -> Result<Answer, Unanswered> {
    let delivery = async {
        match Server::open(&link, &line).await?.forward(request).await {
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
