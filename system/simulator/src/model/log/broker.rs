//! The broker and the processes beside it: what the world does to them.
//!
//! In: kills, pauses, freezes. Out: the state that calls look at before they go on. Elsewhere: members (`session`), records on their
//! way (`producer`).

use std::time::Duration;

use tokio::time::Instant;

use super::session::Moment;
use super::{ModelLog, State};
use crate::trace::note_of;

/// What the broker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Broker {
    /// It answers.
    #[default]
    Up,
    /// It is stopped: connections stay, and what was sent is taken when it goes on.
    Paused,
    /// It is gone, and so are its connections.
    Down,
}

/// A process that talks to the log.
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) frozen: bool,
    /// Gets no records before this.
    pub(super) stalled: Option<Instant>,
}

impl State {
    /// The number of a client.
    pub(super) fn client(&mut self, name: &'static str) -> usize {
        self.clients.iter().position(|client| client.name == name).unwrap_or_else(|| {
            self.clients.push(Client { name, frozen: false, stalled: None });
            self.clients.len() - 1
        })
    }
}

impl ModelLog {
    /// Ends the broker as SIGKILL does: produces, offset commits, joins and fetches get no answer. What was appended and committed stays.
    /// Nothing happens when it is down already.
    pub fn kill_broker(&self) {
        self.set_broker(|from| (from != Broker::Down).then_some(Broker::Down));
    }

    /// Starts a killed broker; nothing happens when it is not down. Clients connect again within a second; members whose sessions ran
    /// out meanwhile join again.
    pub fn start_broker(&self) {
        self.set_broker(|from| (from == Broker::Down).then_some(Broker::Up));
    }

    /// Stops the broker as SIGSTOP does; nothing happens when it is not up.
    pub fn pause_broker(&self) {
        self.set_broker(|from| (from == Broker::Up).then_some(Broker::Paused));
    }

    /// Lets a stopped broker go on; nothing happens when it is not stopped.
    pub fn resume_broker(&self) {
        self.set_broker(|from| (from == Broker::Paused).then_some(Broker::Up));
    }

    fn set_broker(&self, step: impl FnOnce(Broker) -> Option<Broker>) {
        let mut state = self.state();
        let from = state.broker;
        let Some(to) = step(from) else { return };
        note_of("kafka", || {
            let what = match (from, to) {
                (_, Broker::Down) => "is killed",
                (Broker::Down, _) => "accepts connections",
                (_, Broker::Paused) => "is frozen",
                (_, Broker::Up) => "goes on",
            };
            what.to_owned()
        });
        self.advance_all(&mut state);
        state.broker = to;
        state.connection += u64::from(to == Broker::Down);
        let moment = self.moment(&state);
        for group in &mut state.groups {
            match to {
                Broker::Up => group.broker_came(&moment, from == Broker::Down),
                Broker::Paused | Broker::Down => group.broker_went(moment.now),
            }
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// Stops a process as SIGSTOP does, as far as the log is concerned: no heartbeats, nothing sent, nothing taken. It is the name that
    /// is frozen: a process that is started under it stays so until [`Self::thaw`].
    pub fn freeze(&self, client: &'static str) {
        let mut state = self.state();
        let client = state.client(client);
        state.clients[client].frozen = true;
        self.advance_all(&mut state);
        let now = Instant::now();
        for group in &mut state.groups {
            group.freeze(client, now);
        }
    }

    /// Lets a frozen process go on. What it lost meanwhile it hears of a moment later.
    pub fn thaw(&self, client: &'static str) {
        let mut state = self.state();
        let client = state.client(client);
        if !std::mem::take(&mut state.clients[client].frozen) {
            return;
        }
        self.advance_all(&mut state);
        let moment = self.moment(&state);
        for group in &mut state.groups {
            group.thaw(client, &moment);
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// A process gets no records for so long from now on; its heartbeats go on.
    pub fn stall_fetch(&self, client: &'static str, lasts: Duration) {
        let mut state = self.state();
        let client = state.client(client);
        state.clients[client].stalled = Some(Instant::now() + lasts);
    }

    /// The present of a state.
    pub(super) fn moment(&self, state: &State) -> Moment<'_> {
        Moment { now: Instant::now(), broker: state.broker, chance: &self.inner.chance }
    }

    /// Brings every group to the present, before something changes.
    pub(super) fn advance_all(&self, state: &mut State) {
        let moment = self.moment(state);
        for group in &mut state.groups {
            group.advance(&moment, &state.partitions);
        }
    }
}
