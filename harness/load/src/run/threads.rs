//! The threads of a load: started together, joined one after the other.
//!
//! In: a plan and addresses. Out: what each saw, and how it was scheduled. Elsewhere: their work (`pacer`, `sender`, `lookup`, `watch`).

use std::sync::Arc;

use bankstorm_customers::Plan;
use bankstorm_scenario::resolved::{Load, Op, Scroll};
use tokio::sync::{mpsc, oneshot};

use super::{DriveError, DriveInput, ThreadFacts, Tuning};
use crate::lookup::{LookedUp, Lookups};
use crate::meter::Meter;
use crate::pacer::{self, Paced, Pacer, Ready, Rings, nanos};
use crate::priority::Granted;
use crate::scroll;
use crate::sender::{Jobs, Lane, Rules, Sender, Sent, Target, Work};
use crate::sharding::Sharding;
use crate::watch::{Watched, Watches};
use crate::wire::Address;

/// Where requests go.
pub(super) struct Addresses {
    pub(super) core: Address,
    /// Instance names and addresses.
    pub(super) channels: Vec<(String, Address)>,
}

/// The threads of a load.
pub(super) struct Threads {
    pub(super) pacer: Running<Paced>,
    pub(super) prepare: Running<()>,
    pub(super) senders: Vec<Running<Sent>>,
    pub(super) lookup: Running<LookedUp>,
    pub(super) watch: Running<Watched>,
}

impl Threads {
    pub(super) fn start(input: &DriveInput, start_ns: i64, addresses: &Addresses) -> Result<Self, DriveError> {
        let (stop, tally) = (&input.stop, &input.tally);
        let (lookups, lookup_jobs) = mpsc::unbounded_channel();
        let looking_up = Lookups {
            jobs: lookup_jobs,
            channels: addresses.channels.clone(),
            sharding: Sharding::of(input.plan.scenario()),
            origin: input.origin,
            limit: input.tuning.lookup_limit,
            stop: Arc::clone(stop),
            tally: Arc::clone(tally),
        };
        let lookup = spawn("lookup", move || looking_up.run().map(|done| (done, Granted::NONE)))?;
        let (watches, watch_jobs) = mpsc::unbounded_channel();
        let watching = Watches {
            jobs: watch_jobs,
            channels: addresses.channels.clone(),
            sharding: Sharding::of(input.plan.scenario()),
            origin: input.origin,
            stop: Arc::clone(stop),
        };
        let watch = spawn("watch", move || watching.run().map(|done| (done, Granted::NONE)))?;
        let (rings, lanes) = rings(&input.plan, &input.tuning, addresses);
        let mut senders = Vec::new();
        for (number, lanes) in lanes.into_iter().enumerate() {
            let sender = Sender {
                lanes,
                jobs: Jobs { lookups: lookups.clone(), watches: watches.clone() },
                origin: input.origin,
                stop: Arc::clone(stop),
                tally: Arc::clone(tally),
            };
            let run = move || {
                sender.run().map(|sent| {
                    let granted = sent.granted;
                    (sent, granted)
                })
            };
            senders.push(spawn(&format!("sender-{number}"), run)?);
        }
        let (feed, ready) = std::sync::mpsc::sync_channel(pacer::READY_AHEAD);
        let plan = Arc::clone(&input.plan);
        let prepare = spawn("prepare", move || {
            pacer::prepare(&plan, start_ns, &feed);
            Ok(((), Granted::NONE))
        })?;
        let end_ns = start_ns + nanos(input.plan.end());
        let pacer = Pacer { ready, rings, end_ns, stop: Arc::clone(stop), tally: Arc::clone(tally) };
        let pacer = spawn("pacer", move || {
            let paced = pacer.run();
            let granted = paced.granted;
            Ok((paced, granted))
        })?;
        Ok(Self { pacer, prepare, senders, lookup, watch })
    }

    pub(super) fn meters(&self) -> Vec<Arc<Meter>> {
        let mut meters = vec![&self.pacer.meter, &self.prepare.meter, &self.lookup.meter, &self.watch.meter];
        meters.extend(self.senders.iter().map(|sender| &sender.meter));
        meters.into_iter().cloned().collect()
    }
}

/// Per load the sending ends, per sender thread the receiving ends with their connections.
fn rings(plan: &Plan, tuning: &Tuning, addresses: &Addresses) -> (Vec<Rings>, Vec<Vec<Lane>>) {
    let senders = tuning.senders.max(1);
    let mut lanes: Vec<Vec<_>> = (0..senders).map(|_| Vec::new()).collect();
    let mut all = Vec::new();
    let sharding = Sharding::of(plan.scenario());
    for (index, load) in plan.scenario().load.iter().enumerate() {
        let work = work(load, tuning);
        let target = target(addresses, load.op, index);
        // One who scrolls picks the instance page by page. Whatever else is for a channel has connections to instances of its database.
        let is_split = matches!(target, Target::Channels(_)) && !matches!(work, Work::Scroll(_));
        let targets = if is_split { target.split(sharding) } else { vec![target] };
        let mut by_database = Vec::new();
        for (target, connections) in (0..)
            .zip(&targets)
            .map(|(number, target)| (target, share_of(load.connections, number, targets.len()).max(1)))
        {
            let mut rings = Vec::new();
            for (number, lane) in (0_u32..).zip(&mut lanes) {
                let connections = share_of(connections, number, senders);
                // A thread without a connection of this load would keep what it is handed.
                if connections > 0 {
                    let (ring, out): (_, mpsc::Receiver<Ready>) = mpsc::channel(tuning.ring.max(1));
                    rings.push(ring);
                    lane.push(Lane { ring: out, connections, target: target.clone(), work, sharding });
                }
            }
            by_database.push(rings);
        }
        let split = if is_split { sharding } else { Sharding::NONE };
        all.push(Rings::sharded(by_database, split));
    }
    (all, lanes)
}

/// What the `number`th of so many gets of a load's connections.
fn share_of(connections: u32, number: u32, of: usize) -> u32 {
    let of = u32::try_from(of).unwrap_or(u32::MAX);
    connections / of + u32::from(number < connections % of)
}

fn work(load: &Load, tuning: &Tuning) -> Work {
    let waiting_max = tuning.ring.max(1);
    match (load.op, load.scroll) {
        (Op::Sync, _) => Work::Press,
        (Op::Scroll, Some(Scroll { readers, page_size, .. })) => {
            Work::Scroll(scroll::Rules { page_size, readers, waiting_max })
        }
        _ => Work::Post(Rules { timeout: load.timeout, retry: load.retry, on_unknown: load.behaviour.on_unknown }),
    }
}

/// Whom a load talks to. Each load is a caller of its own, so that one cannot use up what another may have in work.
fn target(addresses: &Addresses, op: Op, load: usize) -> Target {
    let caller = format!("load-{load}");
    if op == Op::Deposit {
        return Target::Core(addresses.core.for_caller(&caller));
    }
    let channels = addresses.channels.iter();
    Target::Channels(channels.map(|(name, address)| (name.clone(), address.for_caller(&caller))).collect())
}

/// A running thread of the generator.
pub(super) struct Running<T> {
    name: String,
    meter: Arc<Meter>,
    done: oneshot::Receiver<std::io::Result<(T, Granted)>>,
}

/// One that has ended.
pub(super) struct Ended {
    name: String,
    granted: Granted,
    meter: Arc<Meter>,
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> std::io::Result<(T, Granted)> + Send + 'static,
) -> Result<Running<T>, DriveError> {
    let (report, done) = oneshot::channel();
    let meter = Arc::new(Meter::default());
    let metered = Arc::clone(&meter);
    let body = move || {
        metered.begin();
        let outcome = work();
        metered.end();
        // Nobody waits any more when the load was dropped.
        let _ = report.send(outcome);
    };
    let spawned = std::thread::Builder::new().name(format!("load-{name}")).spawn(body);
    spawned.map_err(|error| died(name, format!("could not be started: {error}")))?;
    Ok(Running { name: name.to_owned(), meter, done })
}

fn died(name: &str, problem: impl Into<String>) -> DriveError {
    DriveError::Thread { name: name.to_owned(), problem: problem.into() }
}

impl<T> Running<T> {
    pub(super) async fn join(self) -> Result<(T, Ended), DriveError> {
        let Self { name, meter, done } = self;
        match done.await {
            Ok(Ok((value, granted))) => Ok((value, Ended { name, granted, meter })),
            Ok(Err(error)) => Err(died(&name, format!("failed: {error}"))),
            Err(_) => Err(died(&name, "panicked; its message is on standard error")),
        }
    }
}

impl Ended {
    pub(super) fn facts(self) -> ThreadFacts {
        let (cpu_ns, wall_ns) = self.meter.span_ns();
        ThreadFacts {
            name: self.name,
            priority: self.granted.priority.to_owned(),
            timer_slack_ns: self.granted.timer_slack_ns,
            cpu_ns,
            wall_ns,
        }
    }
}
