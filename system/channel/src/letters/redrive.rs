//! Dead letters are driven again: the account is brought to core's head, through the same way as everything else (D2, R16).
//!
//! In: open letters that are not leased, a command's limit. Out: accounts that reach core's head, closed letters. Elsewhere: how a record
//! became a letter (`letters`), the pull (`advance::pull`).
//!
//! A letter that was overtaken closes itself. One that names no account is nobody's to drive: it stays open until somebody has looked at it
//! and gives the command, which closes it. What store and core were out for, or somebody's locks, is nobody's redrive (D38).
//!
//! | counter | counts |
//! |---|---|
//! | `channel_letters_closed_total` | letters closed here: driven to their end, or found overtaken |
//! | `channel_letters_nameless_closed_total` | letters without an account that the command closed, among the closed ones |
//! | `channel_redrive_failures_total` | letters that were driven in vain |
//! | `channel_redrive_uncounted_total` | those among them that met an outage or locks of others: they keep their redrives |
//! | `channel_redrive_left_total` | letters that were taken and not driven: the lease was over, or the process was to stop |
//! | `channel_redrive_store_errors_total` | looks that the store refused |
//! | `channel_dead_letters_open` (gauge) | letters that are open |
//! | `channel_dead_letter_oldest_seconds` (gauge) | how long the oldest open one has been; 0 without any |

use std::collections::BTreeMap;
use std::sync::Arc;

use bankstorm_contracts::AccountNo;
use bankstorm_contracts::channel_api::{ChannelResponse, MAX_REDRIVE, RedriveAnswer, RedriveRequest};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{Head, Problem};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{ChannelStore, OpenLetters, Take, TakenLetter};
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::advance::{AdvanceError, Advancer, Origin};
use crate::config::{ChannelConfig, Redriving};
use crate::markers;
use crate::parts::Parts;

/// Drives dead letters of one process again.
#[derive(Debug)]
pub(crate) struct Redrive<O> {
    outside: O,
    config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    parts: Arc<Parts>,
}

impl<O: ChannelOutside> Redrive<O> {
    /// Accounts are brought on through `advancer`; `parts` hears of commands in work.
    pub(crate) fn new(outside: O, config: ChannelConfig, advancer: Arc<Advancer<O>>, parts: Arc<Parts>) -> Arc<Self> {
        Arc::new(Self { outside, config, advancer, parts })
    }

    /// Looks at the letters until the scope is asked to stop.
    pub(crate) async fn run(self: Arc<Self>) {
        let scope = self.outside.scope().clone();
        let mut failures = 0;
        loop {
            let pause = self.config.redrive_every.max(self.config.pause(failures, u64::from(failures)));
            tokio::select! {
                biased;
                () = scope.stopping() => return,
                () = sleep(pause) => {}
            }
            // The one place that decides whether anybody drives letters unasked (D2).
            let looked = match self.config.redriving {
                Redriving::Automatic => {
                    self.drive(self.config.redrive_batch, Some(self.config.redrive_most)).await.map(|_| ())
                }
                Redriving::OnCommand => self.look().await.map(|_| ()),
            };
            match looked {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.outside.metrics().count("channel_redrive_store_errors_total", 1);
                    tracing::warn!(%error, "the dead letters could not be looked at");
                }
            }
        }
    }

    /// Answers the command. What was begun goes on when whoever asked hangs up.
    pub(crate) async fn handle(self: &Arc<Self>, RedriveRequest { limit }: RedriveRequest) -> ChannelResponse {
        if !(1..=MAX_REDRIVE).contains(&limit) {
            let detail = format!("limit is {limit}; accepted are 1 to {MAX_REDRIVE}");
            return ChannelResponse::Problem(Problem::bad_field("limit", detail));
        }
        let (answer, heard) = oneshot::channel();
        let (redrive, part) = (Arc::clone(self), self.parts.begin());
        self.outside.scope().spawn("channel-redrive", async move {
            let _part = part;
            let _ = answer.send(redrive.redrive(limit).await);
        });
        match heard.await {
            Ok(Ok(answer)) => ChannelResponse::Redriven(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "dead letters not driven");
                ChannelResponse::Problem(Problem::new(ProblemKind::Unknown, "the dead letters could not be driven"))
            }
            Err(_) => ChannelResponse::Problem(Problem::new(ProblemKind::Unknown, "the task that drives has ended")),
        }
    }

    /// Drives at most `limit` letters now, however often they were driven before.
    pub(crate) async fn redrive(&self, limit: u32) -> Result<RedriveAnswer, StoreError> {
        self.drive(limit, None).await
    }

    async fn drive(&self, limit: u32, redriven_below: Option<u32>) -> Result<RedriveAnswer, StoreError> {
        let store = self.outside.store();
        let overtaken = store.close_overtaken().await?;
        // Only who gives the command has looked at what nobody can drive.
        let nameless = if redriven_below.is_none() { store.close_nameless(limit).await? } else { 0 };
        self.outside.metrics().count("channel_letters_nameless_closed_total", u64::from(nameless));
        let take = Take { limit: limit.saturating_sub(nameless), lease: self.config.redrive_lease, redriven_below };
        // Once somebody else may take them, it is his to go on: the lease begins when they are taken.
        let until = Instant::now() + self.config.redrive_lease;
        let taken = store.take_letters(take).await?;
        let letters = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        let mut answer = RedriveAnswer { taken: letters.saturating_add(nameless), ..RedriveAnswer::default() };
        let mut accounts: BTreeMap<AccountNo, Vec<TakenLetter>> = BTreeMap::new();
        for letter in taken {
            accounts.entry(letter.account).or_default().push(letter);
        }
        for (account, letters) in accounts {
            if self.outside.scope().is_stopping() || Instant::now() >= until {
                // Their leases run out, and somebody else takes them.
                self.outside.metrics().count("channel_redrive_left_total", letters.len() as u64);
                continue;
            }
            self.drive_account((account, until), &letters, &mut answer).await?;
        }
        self.closed(answer.closed, markers::LETTER_REDRIVEN);
        self.closed(overtaken, markers::LETTER_OVERTAKEN);
        self.outside.metrics().count("channel_letters_closed_total", u64::from(nameless));
        answer.closed += overtaken + nameless;
        let OpenLetters { open, oldest } = self.gauge().await?;
        (answer.open, answer.oldest_ms) = (open, oldest.and_then(|age| u64::try_from(age.as_millis()).ok()));
        Ok(answer)
    }

    async fn drive_account(
        &self,
        (account, until): (AccountNo, Instant),
        letters: &[TakenLetter],
        answer: &mut RedriveAnswer,
    ) -> Result<(), StoreError> {
        let reached = self.advancer.pull_to_core(account, Origin::Redrive, Some(until)).await;
        // Nobody knows what a record said that cannot be read: an account that has all that core has, has it.
        let reaches = |head: &Head, letter: &TakenLetter| {
            letter.code == AdvanceError::UNREADABLE || letter.seq.is_none_or(|seq| head.seq >= seq)
        };
        let counts = reached.as_ref().err().is_none_or(|error| !error.fault().passes());
        for letter in letters {
            match &reached {
                Ok(head) if reaches(head, letter) => {
                    self.outside.store().close_letter(letter.id).await?;
                    answer.closed += 1;
                    continue;
                }
                Ok(head) => {
                    tracing::warn!(%account, have = head.seq, seq = letter.seq, "core has not got what a letter is about");
                }
                Err(error) => {
                    tracing::warn!(%account, %error, redrives = letter.redrives, "a letter was driven in vain")
                }
            }
            answer.failed += 1;
            self.outside.metrics().count("channel_redrive_failures_total", 1);
            if counts {
                self.outside.store().count_redrive(letter.id).await?;
            } else {
                self.outside.metrics().count("channel_redrive_uncounted_total", 1);
            }
        }
        Ok(())
    }

    /// Closes what was overtaken, and drives nothing.
    async fn look(&self) -> Result<OpenLetters, StoreError> {
        let overtaken = self.outside.store().close_overtaken().await?;
        self.closed(overtaken, markers::LETTER_OVERTAKEN);
        self.gauge().await
    }

    async fn gauge(&self) -> Result<OpenLetters, StoreError> {
        let letters = self.outside.store().open_letters().await?;
        let metrics = self.outside.metrics();
        metrics.gauge("channel_dead_letters_open", i64::try_from(letters.open).unwrap_or(i64::MAX));
        let seconds = letters.oldest.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        metrics.gauge("channel_dead_letter_oldest_seconds", seconds);
        Ok(letters)
    }

    fn closed(&self, count: u32, marker: &'static str) {
        if count > 0 {
            self.outside.metrics().count("channel_letters_closed_total", u64::from(count));
            self.outside.points().reached(marker);
        }
    }
}
