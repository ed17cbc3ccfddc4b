//! The other banks as a service: one `handle` for every request.
//!
//! In: requests with their caller. Out: responses, callbacks. Elsewhere: JSON and status codes (`adapters::http`).
//!
//! A handler's future may be dropped at any await (core gave up): effects run in tasks of the process, which handlers merely await.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{OWN_BANK, validate_amount};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_outside::bundle::BanksOutside;
use bankstorm_outside::core_api::CallError;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::{Semaphore, oneshot};

use crate::config::BanksConfig;
use crate::ledger::{Ledger, Standing, Turn};
use crate::markers;
use crate::tell::{pause, tell};
use crate::temper::{Manner, Temper, temper};

/// The other banks, running. Clones are handles to the same ones.
pub struct Banks<O: BanksOutside>(Arc<Inner<O>>);

struct Inner<O: BanksOutside> {
    outside: O,
    config: BanksConfig,
    ledger: Ledger<O::Book>,
    places: Arc<Semaphore>,
    /// Credits that were asked for once and are not decided: late ones, and those that were left without an answer.
    met: Mutex<BTreeMap<TransferId, Credit>>,
}

/// What a request's task comes to.
enum Reply {
    /// An answer.
    Response(BanksResponse),
    /// None.
    Silence,
}

impl<O: BanksOutside> Clone for Banks<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: BanksOutside> Banks<O> {
    /// Starts reading the book, as a task of `outside`'s scope; requests wait for it.
    pub fn start(outside: O, config: BanksConfig) -> Self {
        let inner = Arc::new(Inner {
            ledger: Ledger::new(outside.book().clone()),
            places: Arc::new(Semaphore::new(config.in_work_max)),
            met: Mutex::default(),
            outside,
            config,
        });
        let opening = Arc::clone(&inner);
        inner.outside.scope().spawn("banks-open", async move { opening.open().await });
        Self(inner)
    }

    /// Waits until the book was read, at most [`BanksConfig::open_wait`]; whether it was.
    pub async fn opened(&self) -> bool {
        self.0.ledger.opened(self.0.config.open_wait).await
    }

    /// Answers one request of `caller` (a name for logs, such as the peer's address).
    pub async fn handle(&self, caller: &str, request: BanksRequest) -> BanksResponse {
        tracing::trace!(caller, ?request, "request");
        let id = match &request {
            BanksRequest::Credit(credit) => credit.id,
            BanksRequest::Cancel(id) => *id,
        };
        match self.reply(request).await {
            Ok(Reply::Response(response)) => response,
            Ok(Reply::Silence) => {
                // Whoever asked has gone long before, unless he is very patient.
                pause(self.0.outside.scope(), self.0.config.silent_for).await;
                BanksResponse::Accepted(id)
            }
            Err(problem) => BanksResponse::Problem(problem),
        }
    }

    async fn reply(&self, request: BanksRequest) -> Result<Reply, Problem> {
        let not_started = |detail: String| Problem::new(ProblemKind::NotStarted, detail);
        if let BanksRequest::Credit(credit) = &request {
            validate(credit)?;
        }
        if self.0.outside.scope().is_stopping() {
            return Err(not_started("the banks are stopping".to_owned()));
        }
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| {
            self.0.outside.metrics().count("banks_not_admitted_total", 1);
            not_started(format!("the banks are full: {} requests are in work", self.0.config.in_work_max))
        })?;
        if !self.opened().await {
            let limit = self.0.config.open_wait;
            return Err(not_started(format!("the book was not read within open_wait = {limit:?}")));
        }
        let (ask, answer) = oneshot::channel();
        let inner = Arc::clone(&self.0);
        self.0.outside.scope().spawn("banks-request", async move {
            let reply = match request {
                BanksRequest::Credit(credit) => inner.credit(credit).await,
                BanksRequest::Cancel(id) => inner.cancel(id).await,
            };
            drop(place);
            // Nobody may be listening any more.
            let _ = ask.send(reply);
        });
        answer
            .await
            .unwrap_or_else(|_| Err(Problem::new(ProblemKind::Unknown, "the task that was to answer has ended")))
    }
}

impl<O: BanksOutside> Inner<O> {
    async fn open(&self) {
        loop {
            match self.ledger.open().await {
                Ok(stand) => {
                    tracing::info!(stand, "the book was read");
                    return;
                }
                Err(error) => tracing::warn!(%error, pause = ?self.config.book_pause, "the book was not read"),
            }
            if !pause(self.outside.scope(), self.config.book_pause).await {
                return;
            }
        }
    }

    async fn credit(self: &Arc<Self>, credit: Credit) -> Result<Reply, Problem> {
        let turn = self.ledger.turn(credit.id).await;
        if let Some(standing) = self.standing(&turn, credit.id).await.map_err(unknown)? {
            return self.again(&credit, &standing);
        }
        let first = self.meet(&credit)?;
        let Temper { state, manner } = temper(&self.config, credit.id);
        let answer = CreditAnswer { id: credit.id, state };
        let (definite, taken_on) = (BanksResponse::Answer(answer), BanksResponse::Accepted(credit.id));
        let response = match manner {
            Manner::Late(_) if !first => taken_on,
            Manner::Late(delay) => {
                let late = Arc::clone(self).decide_late(credit, state, delay);
                self.outside.scope().spawn("banks-late", late);
                taken_on
            }
            Manner::Never { decided, answered } if first => {
                if decided {
                    self.decide(&turn, state, &credit).await.map_err(unknown)?;
                }
                self.outside.points().reached(markers::NEVER);
                if !answered {
                    return Ok(Reply::Silence);
                }
                taken_on
            }
            Manner::Twice { answered, again } => {
                self.decide(&turn, state, &credit).await.map_err(unknown)?;
                self.outside.scope().spawn("banks-twice", Arc::clone(self).tell_twice(answer, again));
                if answered { definite } else { taken_on }
            }
            Manner::Prompt | Manner::Never { .. } => {
                self.decide(&turn, state, &credit).await.map_err(unknown)?;
                definite
            }
        };
        Ok(Reply::Response(response))
    }

    /// The answer that stands on an id. What has one need not be remembered, whoever wrote it: an append may stand although it failed.
    async fn standing(&self, turn: &Turn<'_, O::Book>, id: TransferId) -> Result<Option<Standing>, CallError> {
        let standing = turn.standing().await?;
        if standing.is_some() {
            self.met().remove(&id);
        }
        Ok(standing)
    }

    /// A credit whose id has its answer.
    fn again(&self, credit: &Credit, standing: &Standing) -> Result<Reply, Problem> {
        match &standing.credit {
            Some(stands) if stands != credit => return Err(drifted(stands)),
            Some(_) => self.outside.points().reached(markers::REPLAY),
            None => self.outside.points().reached(markers::CREDIT_AFTER_CANCEL),
        }
        Ok(Reply::Response(BanksResponse::Answer(CreditAnswer { id: credit.id, state: standing.state })))
    }

    async fn cancel(&self, id: TransferId) -> Result<Reply, Problem> {
        let turn = self.ledger.turn(id).await;
        let state = match self.standing(&turn, id).await.map_err(unknown)? {
            Some(standing) => {
                if standing.state == CreditState::Credited {
                    self.outside.points().reached(markers::CANCEL_AFTER_CREDIT);
                }
                standing.state
            }
            None => {
                turn.decide(CreditState::Refused, None).await.map_err(unknown)?;
                self.met().remove(&id);
                self.outside.points().reached(markers::CANCELLED);
                self.outside.metrics().count("banks_cancelled_total", 1);
                CreditState::Refused
            }
        };
        Ok(Reply::Response(BanksResponse::Answer(CreditAnswer { id, state })))
    }

    /// Decides after a while, unless a cancel came first, and tells core either way.
    async fn decide_late(self: Arc<Self>, credit: Credit, state: CreditState, delay: Duration) {
        if !pause(self.outside.scope(), delay).await {
            return;
        }
        let state = loop {
            match self.now_due(&credit, state).await {
                Ok(state) => break state,
                Err(error) => tracing::warn!(id = %credit.id, %error, "a late decision was not booked"),
            }
            if !pause(self.outside.scope(), self.config.book_pause).await {
                return;
            }
        };
        tell(&self.outside, &self.config, CreditAnswer { id: credit.id, state }).await;
    }

    async fn now_due(&self, credit: &Credit, state: CreditState) -> Result<CreditState, CallError> {
        let turn = self.ledger.turn(credit.id).await;
        if let Some(standing) = self.standing(&turn, credit.id).await? {
            if standing.credit.is_none() {
                self.outside.points().reached(markers::CREDIT_AFTER_CANCEL);
            }
            return Ok(standing.state);
        }
        self.decide(&turn, state, credit).await?;
        self.outside.points().reached(markers::LATE);
        Ok(state)
    }

    async fn tell_twice(self: Arc<Self>, answer: CreditAnswer, again: Duration) {
        tell(&self.outside, &self.config, answer).await;
        if pause(self.outside.scope(), again).await {
            self.outside.points().reached(markers::TWICE);
            tell(&self.outside, &self.config, answer).await;
        }
    }

    async fn decide(&self, turn: &Turn<'_, O::Book>, state: CreditState, credit: &Credit) -> Result<(), CallError> {
        turn.decide(state, Some(credit)).await?;
        self.met().remove(&credit.id);
        let (marker, counter) = match state {
            CreditState::Credited => (markers::CREDITED, "banks_credited_total"),
            CreditState::Refused => (markers::REFUSED, "banks_refused_total"),
        };
        self.outside.points().reached(marker);
        self.outside.metrics().count(counter, 1);
        Ok(())
    }

    /// Whether this credit is asked for the first time. Called in its turn.
    fn meet(&self, credit: &Credit) -> Result<bool, Problem> {
        let mut met = self.met();
        match met.get(&credit.id) {
            Some(before) if before != credit => Err(drifted(before)),
            Some(_) => Ok(false),
            None => {
                met.insert(credit.id, credit.clone());
                Ok(true)
            }
        }
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<TransferId, Credit>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn validate(credit: &Credit) -> Result<(), Problem> {
    validate_amount(credit.amount)?;
    credit.to.validate("to")?;
    if credit.to.bank == OWN_BANK {
        let detail = format!("to.bank is {OWN_BANK:?}, which is the bank that asks; accepted are other banks");
        return Err(Problem::bad_field("to.bank", detail));
    }
    Ok(())
}

fn drifted(stands: &Credit) -> Problem {
    let Credit { id, to, amount } = stands;
    let detail =
        format!("id {id} is bound to {amount} for {} at {}; accepted are the same parameters", to.account, to.bank);
    Problem { field: Some("id".to_owned()), ..Problem::new(ProblemKind::ParamDrift, detail) }
}

/// The book may have it or not; a later request finds out.
fn unknown(error: CallError) -> Problem {
    Problem::new(ProblemKind::Unknown, format!("nobody can tell what the book says: {error}"))
}

#[cfg(test)]
mod tests;
