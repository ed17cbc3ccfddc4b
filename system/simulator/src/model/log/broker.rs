//! The broker and the processes beside it: what the world does to them.
//!
//! In: kills, pauses, freezes, cuts, clients that fail. Out: the state that calls look at before they go on. Elsewhere: members (`session`), records on their
//! way (`producer`).

use std::time::Duration;

use tokio::time::Instant;

use super::session::Moment;
use super::{ModelLog, State};
use crate::trace::note_of;

/// Whose notes are the network's own.
const NETWORK: &str = "network";

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
    /// Its process is stopped.
    stopped: bool,
    /// Its way to the broker is cut.
    pub(super) cut: bool,
    /// How often its clients failed for good: producers that are older than the last time are of no use.
    pub(super) failures: u64,
    /// Gets no records before this.
    pub(super) stalled: Option<Instant>,
}

impl Client {
    /// Whether nothing passes between it and the broker.
    pub(super) const fn is_apart(&self) -> bool {
        self.stopped || self.cut
    }
}

impl State {
    /// The number of a client.
    pub(super) fn client(&mut self, name: &'static str) -> usize {
        self.clients.iter().position(|client| client.name == name).unwrap_or_else(|| {
            self.clients.push(Client { name, stopped: false, cut: false, failures: 0, stalled: None });
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
        self.part(client, |client| client.stopped = true);
    }

    /// Lets a frozen process go on. What it lost meanwhile it hears of a moment later.
    pub fn thaw(&self, client: &'static str) {
        self.meet(client, |client| client.stopped = false);
    }

    /// Cuts a process off from the broker; it runs on. Nothing passes either way until [`Self::mend`], and what is on its way waits. The
    /// group goes on without it after its session; it does not hear of that before it is connected again, and works on until then.
    pub fn cut(&self, client: &'static str) {
        note_of(NETWORK, || format!("{client} and kafka: nothing passes between them"));
        self.part(client, |client| client.cut = true);
    }

    /// Ends a cut; nothing happens without one.
    pub fn mend(&self, client: &'static str) {
        self.meet(client, |client| client.cut = false);
    }

    /// Something comes between a process and the broker.
    fn part(&self, client: &'static str, how: impl FnOnce(&mut Client)) {
        let mut state = self.state();
        let client = state.client(client);
        let before = state.clients[client].is_apart();
        how(&mut state.clients[client]);
        if before {
            return;
        }
        self.advance_all(&mut state);
        let now = Instant::now();
        for group in &mut state.groups {
            group.freeze(client, now);
        }
    }

    /// Something is no more between a process and the broker; the last one lets it be heard again.
    fn meet(&self, client: &'static str, how: impl FnOnce(&mut Client)) {
        let mut state = self.state();
        let client = state.client(client);
        let before = state.clients[client].is_apart();
        how(&mut state.clients[client]);
        if !before {
            return;
        }
        if state.clients[client].is_apart() {
            drop(state);
            // A cut that ended under a stopped process lets pass what was on its way.
            self.inner.changed.notify_waiters();
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

    /// Every client that a process has at this moment fails for good: its members are of no use any more and leave their groups, what its
    /// producers have under way nobody can tell, and nothing more goes through them. New ones work.
    pub fn fail_client(&self, client: &'static str) {
        note_of(client, || "kafka: its clients fail for good".to_owned());
        let mut state = self.state();
        let client = state.client(client);
        state.clients[client].failures += 1;
        self.advance_all(&mut state);
        let heard = state.broker == Broker::Up && !state.clients[client].is_apart();
        let now = Instant::now();
        for group in &mut state.groups {
            group.fail(client, heard, now);
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
