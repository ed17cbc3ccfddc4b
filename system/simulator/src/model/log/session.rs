//! What time and silence do to members: sessions, zombies, rejoining.
//!
//! In: the present moment, drops, freezes, a broker that went or came. Out: members' standing. Elsewhere: what follows for partitions
//! (`group`), who calls (`broker`, `consumer`).
//!
//! Two clocks tell that a session ran out. The broker's is why a member that was dropped or frozen loses its partitions to others; a
//! frozen one learns of it a moment after it goes on, and until then it reads as before (a broker answers fetches of anybody) and its
//! commits are refused. The member's own is why it gives up what it has while the broker is away, and rejoins when it is back.
//!
//! A killed broker that is back knows its members and gives each a whole session: those that had given up join under a new name, and
//! the group waits for the old ones until that session ran out. A broker that was stopped finds sessions run out at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::SESSION_TIMEOUT;
use super::broker::Broker;
use super::group::Group;
use super::partitions::Partitions;
use super::sharing::MemberId;
use crate::model::chance::Chance;
use crate::trace::note_of;

/// The longest that a client waits before it connects again.
pub(super) const RECONNECT_MOST: Duration = Duration::from_secs(1);
/// The longest that a member that goes on takes to hear that its session ran out; also to join again.
const HEARS_MOST: Duration = Duration::from_millis(500);

/// The present.
pub(super) struct Moment<'a> {
    pub(super) now: Instant,
    pub(super) broker: Broker,
    pub(super) chance: &'a Chance,
}

impl Moment<'_> {
    pub(super) fn is_up(&self) -> bool {
        self.broker == Broker::Up
    }

    /// A moment from now on, drawn.
    fn within(&self, most: Duration) -> Instant {
        let most = u64::try_from(most.as_millis()).expect("a short time");
        self.now + Duration::from_millis(self.chance.below(most + 1))
    }
}

/// What a member is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is in it and heard of.
    In,
    /// It is in it, and nothing was heard of it since then.
    Silent {
        /// Since when.
        since: Instant,
        /// When its client is connected again.
        heard: Option<Instant>,
    },
    /// The group went on without it, and it does not know: a zombie.
    Evicted {
        /// When it hears.
        learns: Option<Instant>,
    },
    /// It is not in it, and knows.
    Out {
        /// When it joins.
        back: Option<Instant>,
        /// A killed broker will remember it under its old name.
        ghost: bool,
    },
}

impl Standing {
    pub(super) fn is_in(self) -> bool {
        self == Self::In
    }

    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Silent { .. })
    }

    /// Whether it gets records: fetches need no membership, but a connection.
    pub(super) fn fetches(self) -> bool {
        matches!(self, Self::In | Self::Evicted { .. })
    }
}

impl Group {
    /// A new member's first moment.
    pub(super) fn greet(&mut self, id: MemberId, moment: &Moment<'_>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if moment.is_up() && !member.frozen { self.join(id) } else { self.changed() }
    }

    fn join(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.standing = Standing::In;
        note_of(member.who, || format!("kafka: member {id} joins"));
        self.generation += 1;
        self.changed();
    }

    /// A member goes and says so.
    pub(super) fn leave(&mut self, id: MemberId) {
        if let Some(member) = self.members.remove(&id) {
            note_of(member.who, || format!("kafka: member {id} leaves"));
            self.disown(id);
        }
    }

    /// A member's handle was dropped: it sends no heartbeats any more.
    pub(super) fn fall_silent(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.dropped) else { return };
        member.dropped = true;
        member.events.clear();
        member.reading.clear();
        note_of(member.who, || format!("kafka: member {id} is heard no more"));
        match member.standing {
            Standing::In => member.standing = Standing::Silent { since: now, heard: None },
            Standing::Silent { since, .. } => member.standing = Standing::Silent { since, heard: None },
            Standing::Evicted { .. } | Standing::Out { .. } => {
                self.members.remove(&id);
            }
        }
        // An acknowledgement that it owes will never come: its partitions wait for its session.
        self.revocations.retain(|revocation| revocation.member != id);
        self.changed();
    }

    /// A client's process was stopped.
    pub(super) fn freeze(&mut self, client: usize, now: Instant) {
        for member in self.members.values_mut().filter(|member| member.client == client) {
            member.frozen = true;
            match member.standing {
                Standing::In => member.standing = Standing::Silent { since: now, heard: None },
                Standing::Silent { since, .. } => member.standing = Standing::Silent { since, heard: None },
                Standing::Evicted { .. } => member.standing = Standing::Evicted { learns: None },
                Standing::Out { .. } => {}
            }
        }
        self.changed();
    }

    /// A client's members are of no use any more: they leave, or fall silent where nobody hears it.
    pub(super) fn fail(&mut self, client: usize, heard: bool, now: Instant) {
        let failing = self.members.iter().filter(|(_, member)| member.client == client && !member.dropped);
        let failing: Vec<_> = failing.map(|(id, member)| (*id, Arc::clone(&member.bell))).collect();
        for (id, bell) in failing {
            if heard {
                self.leave(id);
            } else {
                self.fall_silent(id, now);
            }
            bell.notify_one();
        }
    }

    /// A client's process goes on.
    pub(super) fn thaw(&mut self, client: usize, moment: &Moment<'_>) {
        for member in self.members.values_mut().filter(|member| member.client == client) {
            member.frozen = false;
            match member.standing {
                Standing::Silent { since, .. } if moment.is_up() => {
                    member.standing = Standing::Silent { since, heard: Some(moment.now) };
                }
                Standing::Evicted { .. } => {
                    member.standing = Standing::Evicted { learns: Some(moment.within(HEARS_MOST)) };
                }
                Standing::Out { back: None, ghost } if moment.is_up() => {
                    member.standing = Standing::Out { back: Some(moment.now), ghost };
                }
                _ => {}
            }
        }
        self.changed();
    }

    /// The broker answers nobody any more.
    pub(super) fn broker_went(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            match member.standing {
                Standing::In => member.standing = Standing::Silent { since: now, heard: None },
                Standing::Silent { since, .. } => member.standing = Standing::Silent { since, heard: None },
                Standing::Out { ghost, .. } => member.standing = Standing::Out { back: None, ghost },
                Standing::Evicted { .. } => {}
            }
        }
        self.changed();
    }

    /// The broker answers again; `killed` says whether it is a new process.
    pub(super) fn broker_came(&mut self, moment: &Moment<'_>, killed: bool) {
        let most = if killed { RECONNECT_MOST } else { HEARS_MOST };
        for member in self.members.values_mut() {
            match member.standing {
                Standing::Silent { since, .. } if !member.frozen && !member.dropped => {
                    // A connection that was only stopped is heard at once.
                    let heard = if killed { moment.within(most) } else { moment.now };
                    member.standing = Standing::Silent { since, heard: Some(heard) };
                }
                Standing::Silent { .. } if killed => {
                    member.standing = Standing::Silent { since: moment.now, heard: None };
                }
                Standing::Out { ghost, .. } => {
                    let wait = if ghost && killed { SESSION_TIMEOUT } else { Duration::ZERO };
                    member.standing = Standing::Out { back: Some(moment.within(most) + wait), ghost: false };
                }
                _ => {}
            }
        }
        self.changed();
    }

    /// When something happens although nobody does anything.
    pub(super) fn next_deadline(&self, is_up: bool) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut consider = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for member in self.members.values() {
            let runs = !member.frozen && !member.dropped;
            match member.standing {
                Standing::Silent { since, heard } if runs || is_up => {
                    consider(since + SESSION_TIMEOUT);
                    if let Some(heard) = heard.filter(|_| runs && is_up) {
                        consider(heard);
                    }
                }
                Standing::Evicted { learns: Some(at) } if runs => consider(at),
                Standing::Out { back: Some(at), .. } if runs && is_up => consider(at),
                _ => {}
            }
        }
        if is_up {
            let frozen = |id| self.members.get(id).is_some_and(|member| member.frozen);
            let open = self.revocations.iter().filter(|revocation| !frozen(&revocation.member));
            open.for_each(|revocation| consider(revocation.until));
        }
        next
    }

    /// Members whose moment has come change their standing.
    pub(super) fn keep_time(&mut self, moment: &Moment<'_>, partitions: &Partitions) {
        let ids: Vec<_> = self.members.keys().copied().collect();
        for id in ids {
            self.keep_time_of(id, moment, partitions);
        }
    }

    fn keep_time_of(&mut self, id: MemberId, moment: &Moment<'_>, partitions: &Partitions) {
        let (now, is_up) = (moment.now, moment.is_up());
        let Some(member) = self.members.get_mut(&id) else { return };
        let runs = !member.frozen && !member.dropped;
        match member.standing {
            Standing::Silent { since, heard } => {
                let end = since + SESSION_TIMEOUT;
                if runs && is_up && heard.is_some_and(|heard| heard <= now && heard < end) {
                    member.standing = Standing::In;
                    self.changed();
                } else if now >= end && (runs || is_up) {
                    self.run_out(id, moment, partitions);
                }
            }
            Standing::Evicted { learns: Some(at) } if runs && at <= now => {
                member.lose(partitions);
                member.standing = Standing::Out { back: is_up.then_some(now), ghost: false };
                if is_up {
                    self.join(id);
                }
            }
            Standing::Out { back: Some(at), .. } if runs && is_up && at <= now => self.join(id),
            _ => {}
        }
    }

    /// A session ran out.
    fn run_out(&mut self, id: MemberId, moment: &Moment<'_>, partitions: &Partitions) {
        let Some(member) = self.members.get_mut(&id) else { return };
        note_of(member.who, || format!("kafka: the session of member {id} runs out"));
        if member.dropped {
            self.members.remove(&id);
        } else if member.frozen {
            member.standing = Standing::Evicted { learns: None };
        } else {
            member.lose(partitions);
            // With the broker there, the old name's session began anew with it.
            let back = moment.is_up().then(|| moment.within(RECONNECT_MOST) + SESSION_TIMEOUT);
            member.standing = Standing::Out { back, ghost: true };
        }
        self.disown(id);
    }
}
