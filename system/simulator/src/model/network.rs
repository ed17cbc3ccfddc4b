//! A model of the network: typed calls over directed links.
//!
//! In: a seed, who calls whom. Out: answers, or how a call ended without one. Elsewhere: what a request means (the handler of the
//! [`Endpoint`]), the process that it runs in (`process`), cuts, delays and faults of a link (`weather`), when they come (`world`).
//!
//! | what happens | what it is like |
//! |---|---|
//! | nobody listens at the moment of arrival | [`CallEnd::Refused`]: no effect |
//! | the listener is frozen | the request waits, as in its socket, and is handled once the process goes on |
//! | the listener is killed meanwhile | [`CallEnd::Lost`] at once |
//! | the caller gives up | its connection closes, and the handler's future is dropped, as hyper does; unless nobody can see the close: a frozen process takes the request up all the same and drops it then, and over a cut link it is worked to its end |
//! | a request or an answer is dropped, or meets a cut | the caller waits until its limit |
//! | a request is held | it arrives later, and is worked to its end, whether anybody still waits or not |
//! | a request is doubled | it is worked once more, later; nobody gets the second answer |

mod endpoint;
#[cfg(test)]
mod tests;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::hook::Hook;
use crate::trace;
use crate::trace::told::{Kinded, Told, seconds};
use crate::world::names;
pub use endpoint::{BoxFuture, Endpoint};
pub use weather::{AnswerFault, RequestFault, Way};
use weather::{Hooks, Weather};

/// Whose notes are the network's own.
const NETWORK: &str = "network";

/// Why a call got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// Definitely no effect: nobody listened.
    Refused,
    /// The connection broke, or no answer came within the limit: nobody can tell. Says which.
    Lost(&'static str),
}

impl fmt::Display for CallEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused: nobody listens"),
            Self::Lost(why) => write!(f, "lost: {why}"),
        }
    }
}

const BROKEN: CallEnd = CallEnd::Lost("the connection broke");
const LATE: CallEnd = CallEnd::Lost("no answer came within the limit");

/// All links of a world. Clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Links>);

struct Links {
    seed: u64,
    pace_ms: u64,
    links: Mutex<BTreeMap<String, Link>>,
}

impl Network {
    /// A network whose every transmission takes up to `pace_ms`, besides its yields.
    pub fn new(seed: u64, pace_ms: u64) -> Self {
        Self(Arc::new(Links { seed, pace_ms, links: Mutex::default() }))
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<String, Link>> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link `from>to`: the same one each time. To be looked up once, not per call.
    pub fn link(&self, from: &str, to: &str) -> Link {
        let name = format!("{from}>{to}");
        let mut links = self.links();
        let link = links.entry(name).or_insert_with_key(|name| {
            let chance = Chance::paced(self.0.seed, name, self.0.pace_ms);
            let (requests, answers, weather) = (Hooks::default(), Hooks::default(), Mutex::default());
            let caller = names::known(from).unwrap_or(NETWORK);
            Link(Arc::new(Line { name: name.clone(), caller, chance, requests, answers, weather }))
        });
        link.clone()
    }

    /// Cuts and delays end, and planned faults that have not struck are forgotten. What is held still arrives at its time.
    pub fn heal(&self) {
        for link in self.links().values() {
            *link.weather() = Weather::default();
            link.0.requests.cancel();
            link.0.answers.cancel();
        }
    }
}

/// One caller's way to one callee. Clones are the same link.
#[derive(Clone)]
pub struct Link(Arc<Line>);

struct Line {
    name: String,
    /// In whose name calls are noted.
    caller: &'static str,
    chance: Chance,
    requests: Hooks<RequestFault>,
    answers: Hooks<AnswerFault>,
    weather: Mutex<Weather>,
}

impl Link {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.0.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name: `from>to`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who calls over it.
    pub fn from(&self) -> &str {
        self.0.name.split('>').next().unwrap_or_default()
    }

    /// What requests meet, counted when they are sent.
    pub fn requests(&self) -> &Hook<RequestFault> {
        self.0.requests.all()
    }

    /// What requests of a [`Kinded::kind`] meet, counted among themselves from now on.
    pub fn requests_of(&self, kind: &str) -> Hook<RequestFault> {
        self.0.requests.of(kind)
    }

    /// What answers meet, counted when they are sent.
    pub fn answers(&self) -> &Hook<AnswerFault> {
        self.0.answers.all()
    }

    /// What answers to requests of a [`Kinded::kind`] meet, counted among themselves from now on.
    pub fn answers_of(&self, kind: &str) -> Hook<AnswerFault> {
        self.0.answers.of(kind)
    }

    /// From now on, for as long as this `lasts`, nothing arrives that way; what is sent or on its way meanwhile never does.
    pub fn cut(&self, way: Way, lasts: Duration) {
        trace::note_of(NETWORK, || {
            let what = match way {
                Way::Requests => "requests are",
                Way::Answers => "answers are",
                Way::Both => "both ways are",
            };
            format!("{}: {what} cut for {}", self.there(), seconds(lasts))
        });
        self.weather().cut(way, lasts);
    }

    /// What is sent from now on, for as long as this `lasts`, takes `by` longer, each way.
    pub fn slow(&self, by: Duration, lasts: Duration) {
        trace::note_of(NETWORK, || {
            format!("{}: slower by {} each way for {}", self.there(), seconds(by), seconds(lasts))
        });
        self.weather().slow(by, lasts);
    }

    /// Asks, and waits for the answer no longer than `limit`. The handler's future is driven by the caller's, so the caller must not
    /// live in a process that may be frozen: that is what [`Self::call_apart`] is for.
    ///
    /// # Errors
    /// [`CallEnd`] says what is known of the effect.
    pub async fn call<Q, A>(&self, to: &Endpoint<Q, A>, request: Q, limit: Duration) -> Result<A, CallEnd>
    where
        Q: Clone + Told + Kinded + Send + 'static,
        A: Told + Send + 'static,
    {
        let asked = self.note_call(&request);
        let end = timeout(limit, self.exchange(to, request)).await.unwrap_or(Err(LATE));
        self.note_end(asked.as_deref(), limit, &end);
        end
    }

    /// Like [`Self::call`], for callers in processes that may be frozen: the other side works on meanwhile. Costs a task.
    ///
    /// # Errors
    /// [`CallEnd`] says what is known of the effect.
    pub async fn call_apart<Q, A>(&self, to: &Endpoint<Q, A>, request: Q, limit: Duration) -> Result<A, CallEnd>
    where
        Q: Clone + Told + Kinded + Send + 'static,
        A: Told + Send + 'static,
    {
        let asked = self.note_call(&request);
        let (link, to) = (self.clone(), to.clone());
        let under_way = spawn(async move { link.exchange(&to, request).await });
        let _closed = Closed(under_way.abort_handle());
        let end = match timeout(limit, under_way).await {
            Ok(end) => end.unwrap_or(Err(BROKEN)),
            Err(_) => Err(LATE),
        };
        self.note_end(asked.as_deref(), limit, &end);
        end
    }

    /// `from -> to`.
    fn there(&self) -> String {
        self.0.name.replace('>', " -> ")
    }

    /// `to -> from`.
    fn back(&self) -> String {
        let (from, to) = self.0.name.split_once('>').unwrap_or((&self.0.name, ""));
        format!("{to} -> {from}")
    }

    /// Notes a question; its text, while somebody records.
    fn note_call(&self, request: &impl Told) -> Option<String> {
        let asked = trace::text(request)?;
        trace::note_of(self.0.caller, || format!("{}: {asked}", self.there()));
        Some(asked)
    }

    fn note_end<A: Told>(&self, asked: Option<&str>, limit: Duration, end: &Result<A, CallEnd>) {
        let Some(asked) = asked else { return };
        trace::note_of(self.0.caller, || match end {
            Ok(answer) if answer.stands_alone() => format!("{}: {}", self.back(), answer.told()),
            Ok(answer) => format!("{}: {} ({asked})", self.back(), answer.told()),
            Err(end) if *end == LATE => format!("{}: gave up after {}: {asked}", self.there(), seconds(limit)),
            Err(end) => format!("{}: {end}: {asked}", self.there()),
        });
    }

    fn note_fault(&self, fault: RequestFault, request: &impl Told) {
        trace::note_of(NETWORK, || {
            let what = match fault {
                RequestFault::Dropped => "dropped".to_owned(),
                RequestFault::Held(by) => format!("held for {}", seconds(by)),
                RequestFault::Doubled(after) => format!("doubled, once more after {}", seconds(after)),
            };
            format!("{}: {what}: {}", self.there(), request.told())
        });
    }

    async fn exchange<Q, A>(&self, to: &Endpoint<Q, A>, request: Q) -> Result<A, CallEnd>
    where
        Q: Clone + Told + Kinded + Send + 'static,
        A: Told + Send + 'static,
    {
        let kind = request.kind();
        let fault = self.0.requests.call(kind);
        if let Some(fault) = fault {
            self.note_fault(fault, &request);
        }
        let end = match fault {
            None => self.carry(to, request).await,
            Some(RequestFault::Dropped) => return never().await,
            // Whoever keeps it had taken the connection: the caller cannot tell a refusal from a break.
            Some(RequestFault::Held(by)) => self.keep(to, request, by).await.unwrap_or(Err(BROKEN)).or(Err(BROKEN)),
            Some(RequestFault::Doubled(after)) => {
                // Nobody waits for this one. Whoever doubles had taken the connection, as above.
                drop(self.keep(to, request.clone(), after));
                self.carry(to, request).await.or(Err(BROKEN))
            }
        };
        if let Ok(answer) = &end
            && let Some(fault) = self.0.answers.call(kind)
        {
            trace::note_of(NETWORK, || match fault {
                AnswerFault::Dropped => format!("{}: dropped: {}", self.back(), answer.told()),
                AnswerFault::Held(by) => format!("{}: held for {}: {}", self.back(), seconds(by), answer.told()),
            });
            match fault {
                AnswerFault::Dropped => return never().await,
                AnswerFault::Held(by) => sleep(by).await,
            }
        }
        // Word of a refusal or of a break travels like an answer.
        if self.travels(Way::Answers).await { end } else { never().await }
    }

    /// Keeps a request for a while, then delivers it: on nobody's behalf, so it is worked to its end.
    fn keep<Q, A>(&self, to: &Endpoint<Q, A>, request: Q, by: Duration) -> JoinHandle<Result<A, CallEnd>>
    where
        Q: Told + Send + 'static,
        A: Send + 'static,
    {
        let (link, to) = (self.clone(), to.clone());
        spawn(async move {
            sleep(by).await;
            trace::note_of(NETWORK, || {
                format!("{}: what was kept for {} goes on: {}", link.there(), seconds(by), request.told())
            });
            link.carry(&to, request).await
        })
    }

    /// Takes a request to whoever listens when it arrives, and waits for the answer there.
    async fn carry<Q: Send + 'static, A: Send + 'static>(&self, to: &Endpoint<Q, A>, request: Q) -> Result<A, CallEnd> {
        if !self.travels(Way::Requests).await {
            return never().await;
        }
        let Some(work) = to.begin(request, self.clone()) else { return Err(CallEnd::Refused) };
        work.end().await.map_err(|_| BROKEN)
    }

    /// Whether something that is sent now arrives; completes when it does or would.
    async fn travels(&self, way: Way) -> bool {
        let (left, slow) = {
            let mut weather = self.weather();
            (!weather.is_cut(way), weather.slowness())
        };
        self.0.chance.pause().await;
        if !slow.is_zero() {
            sleep(slow).await;
        }
        left && !self.weather().is_cut(way)
    }

    /// Whether word of a closed connection does not get through at this moment.
    fn hides_a_close(&self) -> bool {
        self.weather().is_cut(Way::Requests)
    }
}

/// Nothing comes: the caller's limit ends it.
async fn never<T>() -> T {
    std::future::pending().await
}

/// Ends what is under way when the caller is gone.
struct Closed(AbortHandle);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "what is on the network is in no process, and survives them")]
fn spawn<T: Send + 'static>(transmission: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(transmission)
}
