//! Who may write on behalf of a partition: the generations under which it is held and claimed (D36, P22).
//!
//! In: generations of the consumer group, the store's answers. Out: what an attempt tells the fence, calls of a claim, one a partition. Elsewhere: the fence
//! (`advance::transact`), who claims when (`consumer`), what follows from a refusal (`partitions`).
//!
//! A partition that a member keeps through a rebalance goes on under its former generation until the store knows the new one. In between
//! the fence may refuse what is merely being renewed: that is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::process::Metrics;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use crate::config::ChannelConfig;
use crate::partitions::Epoch;

/// Kafka's own word for "none": generations begin at 0.
const NONE: i32 = -1;
/// Partitions that are taken over at once. A former owner who sits in his transaction holds one of these up until his session ends.
pub(crate) const CALLS: usize = 4;

/// Whose generations the store keeps: those of one group say nothing about another's.
pub(crate) fn owner_of(group: &str, topic: &str) -> String {
    format!("{group}/{topic}")
}

/// The generation under which a member holds a partition. Read at every attempt, so that a job which was begun before a rebalance adopts the
/// new one.
#[derive(Debug)]
pub(crate) struct Holding {
    held: AtomicI32,
    claimed: AtomicI32,
}

impl Holding {
    /// A partition that comes with this generation, where the log knows it.
    pub(crate) fn new(generation: Option<i32>) -> Self {
        let generation = generation.unwrap_or(NONE);
        Self { held: AtomicI32::new(generation), claimed: AtomicI32::new(generation) }
    }

    /// Under which generation it is held, as far as the store knows.
    pub(crate) fn held(&self) -> Option<i32> {
        Some(self.held.load(Ordering::SeqCst)).filter(|generation| *generation != NONE)
    }

    /// The store is about to be told this generation.
    pub(crate) fn claim(&self, generation: i32) {
        self.claimed.fetch_max(generation, Ordering::SeqCst);
    }

    /// Whether this is the generation that the store was told last.
    pub(crate) fn claims(&self, generation: i32) -> bool {
        self.claimed.load(Ordering::SeqCst) == generation
    }

    /// The store knows this generation.
    pub(crate) fn adopt(&self, generation: i32) {
        self.claim(generation);
        self.held.fetch_max(generation, Ordering::SeqCst);
    }

    /// Whether a refusal of this generation says that somebody else owns the partition: it is the newest that this member has.
    pub(crate) fn is_last(&self, generation: i32) -> bool {
        self.claims(generation) && self.held.load(Ordering::SeqCst) == generation
    }
}

impl PartialEq for Holding {
    fn eq(&self, other: &Self) -> bool {
        self.held() == other.held()
    }
}

impl Eq for Holding {}

/// What the store has to be told: these partitions, the retained ones among them, are this member's in this generation.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The generation.
    pub(crate) generation: i32,
    /// Assignments of the partitions.
    pub(crate) epochs: Vec<Arc<Epoch>>,
}

impl Claim {
    /// One claim a partition, so that whoever holds one up holds up no other. The new ones come first: their records wait for it, while
    /// those that were kept go on under their former generation.
    pub(crate) fn of_each(self) -> Vec<Self> {
        let Self { generation, mut epochs } = self;
        epochs.sort_by_key(|epoch| (epoch.holding.held() != Some(generation), epoch.at.partition));
        epochs.into_iter().map(|epoch| Self { generation, epochs: vec![epoch] }).collect()
    }

    /// Whether nobody waits for it any more: every partition is gone, or claimed by a later generation.
    fn is_over(&self) -> bool {
        self.epochs.iter().all(|epoch| epoch.has_ended() || !epoch.holding.claims(self.generation))
    }
}

/// The store's answer to a claim.
#[derive(Debug)]
pub(crate) struct Owned {
    /// What was claimed.
    pub(crate) claim: Claim,
    /// Partitions that a newer generation owns.
    pub(crate) refused: Vec<i32>,
}

/// Tells the store, again and again while it is out; its partitions wait meanwhile, and nothing is lost. Each call takes one of `calls`.
pub(crate) async fn tell_store<O: ChannelOutside>(
    outside: O,
    config: ChannelConfig,
    claim: Claim,
    calls: Arc<Semaphore>,
    answers: UnboundedSender<Owned>,
) {
    let mut partitions: Vec<i32> = claim.epochs.iter().map(|epoch| epoch.at.partition).collect();
    partitions.sort_unstable();
    for attempt in 0.. {
        let call = calls.acquire().await.expect("the semaphore is never closed");
        let Some(topic) = claim.epochs.first().map(|epoch| epoch.at.topic.as_str()).filter(|_| !claim.is_over()) else {
            return;
        };
        let told = outside.store().own(&owner_of(&config.group, topic), &partitions, claim.generation).await;
        drop(call);
        match told {
            Ok(refused) => {
                // Nobody listens once the consumer has ended.
                let _ = answers.send(Owned { claim, refused });
                return;
            }
            Err(error) => {
                outside.metrics().count("channel_own_retries_total", 1);
                tracing::warn!(%error, attempt, generation = claim.generation, "partitions not owned yet");
                sleep(config.pause(attempt, claim.generation.unsigned_abs().into())).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holding;

    #[test]
    fn d36_a_refusal_is_final_only_for_the_newest_generation() {
        let holding = Holding::new(Some(4));
        assert!(holding.is_last(4));
        holding.claim(5);
        assert_eq!((holding.held(), holding.is_last(4)), (Some(4), false), "the store may know 5 already");
        holding.adopt(5);
        assert_eq!((holding.held(), holding.is_last(4), holding.is_last(5)), (Some(5), false, true));
        holding.adopt(4);
        assert_eq!(holding.held(), Some(5), "a late answer takes nothing back");
        assert_eq!(Holding::new(None).held(), None);
    }
}
