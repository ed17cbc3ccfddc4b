//! Customers who press the button: each press is one request, and its answer says what it came to.
//!
//! In: planned presses. Out: one [`Seen`] and one row per press that was begun. Elsewhere: what the button does (`channel`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::SyncAnswer;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::SyncRow;
use bytes::Bytes;
use hyper::Method;
use tokio::sync::{Mutex, mpsc};

use crate::answer::Ending;
use crate::ask::{Asked, Asking, ask, connect_ahead};
use crate::pacer::Ready;
use crate::sender::{Connection, Saw, Seen};
use crate::stop::Stop;
use crate::tally::{Count, Tally};

/// One connection over which the button is pressed.
pub(crate) struct Presser {
    pub(crate) ring: Arc<Mutex<mpsc::Receiver<Ready>>>,
    pub(crate) connection: Connection,
    pub(crate) origin: Origin,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
}

impl Presser {
    pub(crate) async fn run(mut self) -> Saw {
        connect_ahead(&mut self.connection.client, &self.stop).await;
        let mut saw = Saw::default();
        loop {
            // Connections wait in line for the ring, so each takes its turn.
            let next = self.ring.lock().await.recv().await;
            let Some(operation) = next else { return saw };
            let left = u64::try_from(operation.deadline_ns - monotonic_ns()).ok().filter(|left_ns| *left_ns > 0);
            let why = match left {
                _ if self.stop.is_raised() => "the load was ended early",
                Some(left_ns) => {
                    let seen = self.press(&operation, Duration::from_nanos(left_ns), &mut saw).await;
                    saw.seen.push(seen);
                    continue;
                }
                None => "no connection was free before its timeout",
            };
            self.tally.add(Count::Missed);
            saw.seen.push(Seen::Missed { op: operation.op, why });
        }
    }

    async fn press(&mut self, operation: &Ready, left: Duration, saw: &mut Saw) -> Seen {
        self.tally.add(Count::Started);
        let path = format!("/v1/accounts/{}/sync", operation.account);
        let (method, body) = (Method::POST, Bytes::new());
        let asking = Asking { method: &method, path: &path, body: &body, left };
        let Asked { begun_ns, sent_ns, acked_ns, exchange } =
            ask(&mut self.connection.client, asking, &self.stop).await;
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(why) => {
                self.tally.add(Count::NeverSent);
                return Seen::Missed { op: operation.op, why };
            }
        };
        let is_away = exchange.is_err();
        let (ending, answer) = Ending::of_read::<SyncAnswer>(exchange);
        self.tally.ended(sent_ns.is_some(), ending.outcome);
        saw.syncs.push(SyncRow {
            account: operation.account,
            invoked_ns: self.origin.moment(begun_ns),
            completed_ns: self.origin.moment(acked_ns),
            instance: self.connection.instance().unwrap_or_default().to_owned(),
            op: Some(operation.op),
            outcome: ending.outcome.as_str().to_owned(),
            result: answer.map(|answer| answer.result.as_str().to_owned()),
            as_of_seq: answer.map_or(0, |answer| answer.as_of_seq),
        });
        if is_away {
            self.connection.turn_away();
        }
        Seen::Begun { op: operation.op, sent_ns, acked_ns, ending, attempts: 1 }
    }
}
