//! What each step does, and what the transcript says of it.
//!
//! In: a log, a script. Out: a transcript. Elsewhere: events (`group`), laws (`ledger`).
//!
//! After each change of membership the run waits for rest, resumes what is still paused, reads everything, and, where revocations
//! commit, commits everything: from there on nothing depends on which partitions moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::group::{Member, Run, Stuck};
use super::ledger::{MemberId, Partition};
use super::{Keys, MOST_MEMBERS, OnRevoke, Script, Step, Transcript};
use crate::conformance::log::LIMIT;
use crate::conformance::log::member::outgoing;
use crate::log::{EventConsumer, EventLog, EventProducer, LogError};

/// Records that a stalled member does not take.
const STALLED_RECORDS: usize = 2;
/// What a step says that finds no member.
const NOBODY: &str = "nobody is there";

pub(super) async fn run<L: EventLog>(log: L, topic: String, keys: &Keys, script: &Script) -> Transcript {
    let mut run = Run {
        keys: keys.of(script.partitions),
        partitions: (0..script.partitions).map(|_| Partition::default()).collect(),
        log,
        topic,
        producers: Vec::new(),
        members: BTreeMap::new(),
        on_revoke: OnRevoke::AtOnce,
        sent: 0,
        joined: 0,
        transcript: Transcript::default(),
    };
    if let Err(Stuck(why)) = run.all(script).await {
        let state: Vec<_> = run.partitions.iter().map(|partition| (partition.owner, partition.due)).collect();
        run.broken(&format!("{why}; owner and next offset of each partition: {state:?}"));
    }
    run.transcript
}

fn failed(what: &str) -> impl Fn(LogError) -> Stuck {
    move |error| Stuck(format!("{what}: {error}"))
}

impl<L: EventLog> Run<L> {
    async fn all(&mut self, script: &Script) -> Result<(), Stuck> {
        for _ in 0..2 {
            self.producers.push(self.log.producer().await.map_err(failed("a producer"))?);
        }
        for step in &script.steps {
            match self.step(step).await {
                Ok(outcome) => self.line(format!("{step}: {outcome}")),
                Err(Stuck(why)) => return Err(Stuck(format!("{step}: {why}"))),
            }
        }
        self.read_all().await?;
        let members = std::mem::take(&mut self.members);
        join_all(members.into_values().map(|member| member.consumer.close())).await;
        join_all(std::mem::take(&mut self.producers).into_iter().map(EventProducer::discard)).await;
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<String, Stuck> {
        let names_an_owner = match step {
            Step::Produce { .. } | Step::Discard { .. } | Step::Join | Step::Take | Step::Revocations(_) => false,
            Step::Commit { .. } | Step::CommitOfAnother { .. } | Step::Pause { .. } | Step::Resume { .. } => true,
            Step::Close { .. } | Step::Drop { .. } | Step::Stall { .. } => true,
        };
        if names_an_owner && self.members.is_empty() {
            return Ok(NOBODY.to_owned());
        }
        match *step {
            Step::Produce { producer, partition, count } => self.produce(producer, partition, count).await,
            Step::Discard { producer, partition, count } => self.discard(producer, partition, count).await,
            Step::Join => self.join().await,
            Step::Take => self.drain().await,
            Step::Commit { partition, less } => self.commit(partition, less).await,
            Step::CommitOfAnother { partition } => self.commit_of_another(partition).await,
            Step::Pause { partition } => self.pause(partition).await,
            Step::Resume { partition } => self.resume(partition).await,
            Step::Revocations(how) => {
                self.on_revoke = how;
                Ok("so be it".to_owned())
            }
            Step::Close { partition } => self.remove(partition, true).await,
            Step::Drop { partition } => self.remove(partition, false).await,
            Step::Stall { partition, joins } => self.stall(partition, joins && self.members.len() < MOST_MEMBERS).await,
        }
    }

    async fn produce(&mut self, producer: usize, partition: usize, count: usize) -> Result<String, Stuck> {
        self.transcript.count("produced");
        let from = self.partitions[partition].shown(usize::MAX);
        let entries: Vec<_> = (0..count).map(|_| self.fresh(partition, true)).collect();
        let send = |entry: &super::ledger::Entry| outgoing(&self.topic, &entry.key, &entry.value);
        let answers: Vec<_> = entries.iter().map(|entry| self.producers[producer].produce(send(entry))).collect();
        for (entry, answer) in entries.into_iter().zip(answers) {
            self.acknowledged(partition, entry, answer).await?;
        }
        Ok(format!("{from}..{}", from + count))
    }

    /// What was under way lies in the log as a prefix that has all that was acknowledged; the next producer's record tells how long it is.
    async fn discard(&mut self, producer: usize, partition: usize, count: usize) -> Result<String, Stuck> {
        self.transcript.count("discarded");
        let old = self.producers.remove(producer);
        let mut entries: Vec<_> = (0..count).map(|_| self.fresh(partition, false)).collect();
        let send = |entry: &super::ledger::Entry| outgoing(&self.topic, &entry.key, &entry.value);
        let answers: Vec<_> = entries.iter().map(|entry| old.produce(send(entry))).collect();
        let limit = |what: &str| Stuck(format!("limit of {LIMIT:?} hit while waiting for: {what}"));
        timeout(LIMIT, old.discard()).await.map_err(|_| limit("a discard"))?;
        let answers = timeout(LIMIT, join_all(answers)).await;
        let answers = answers.map_err(|_| limit("the answers of a discarded producer"))?;
        self.producers.insert(producer, self.log.producer().await.map_err(failed("a producer"))?);

        let next = self.fresh(partition, true);
        let answer = self.producers[producer].produce(outgoing(&self.topic, &next.key, &next.value));
        let answer = timeout(LIMIT, answer).await.map_err(|_| limit("an acknowledgement"))?;
        let delivered = answer.map_err(failed("a record after a discard"))?;
        let end = self.partitions[partition].end();
        let written = usize::try_from(delivered.offset).ok().and_then(|offset| offset.checked_sub(end));
        for (index, answer) in answers.iter().enumerate() {
            let expected = i64::try_from(end + index).expect("few records");
            let fits = written.is_some_and(|written| index < written);
            if answer.as_ref().is_ok_and(|at| at.offset != expected || !fits) {
                self.broken(&format!(
                    "of {count} records of a discarded producer {index} was acknowledged as {answer:?}"
                ));
            }
        }
        match written {
            Some(written) if written <= count => {
                entries.truncate(written);
                self.partitions[partition].entries.extend(entries);
            }
            _ => return Err(Stuck(format!("the end was {end}, {count} were under way, the next is {delivered:?}"))),
        }
        self.acknowledged(partition, next, std::future::ready(Ok(delivered))).await?;
        Ok(format!("a prefix is written, and behind it {}", self.partitions[partition].shown(usize::MAX) - 1))
    }

    async fn add_member(&mut self) -> Result<MemberId, Stuck> {
        let consumer = self.log.consumer(&self.topic, &[&self.topic]).await.map_err(failed("a member"))?;
        self.joined += 1;
        let member = Member { consumer, owned: BTreeSet::new(), stalled: false, late: false };
        self.members.insert(self.joined, member);
        Ok(self.joined)
    }

    async fn join(&mut self) -> Result<String, Stuck> {
        if self.members.len() >= MOST_MEMBERS {
            return Ok("there are enough".to_owned());
        }
        self.transcript.count("joined");
        let first = self.members.is_empty();
        if first {
            self.transcript.count("joined an empty group");
            self.partitions.iter_mut().for_each(Partition::watch);
        }
        let id = self.add_member().await?;
        self.settle().await?;
        if self.members[&id].owned.is_empty() {
            self.transcript.count("joined for nothing");
        }
        let mut text = self.said_shares();
        for partition in (0..self.partitions.len()).filter(|_| first) {
            let _ = write!(text, "; {}", self.said_start(partition));
        }
        Ok(text)
    }

    fn said_shares(&self) -> String {
        format!("shares {:?}", self.shares())
    }

    /// Where the reading of a partition went on; at its end when nothing came.
    fn said_start(&self, partition: usize) -> String {
        let state = &self.partitions[partition];
        format!("p{partition} goes on at {}", state.shown(state.went_on_at.unwrap_or(state.end())))
    }

    /// Rest after a change of membership; see the file's head.
    async fn settle(&mut self) -> Result<(), Stuck> {
        self.until("even shares", Self::at_rest).await?;
        for partition in 0..self.partitions.len() {
            self.lift(partition);
        }
        self.until("even shares and all records", |run| run.at_rest() && run.drained()).await?;
        for member in self.members.values_mut() {
            member.late = false;
        }
        if self.on_revoke == OnRevoke::Commit {
            for partition in 0..self.partitions.len() {
                self.commit_at(partition, self.partitions[partition].due).await?;
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<String, Stuck> {
        self.transcript.count("taken");
        self.until("all records", |run| run.at_rest() && run.drained()).await?;
        let ends: Vec<_> = self.partitions.iter().filter(|partition| partition.owner.is_some()).collect();
        let ends: Vec<_> = ends.iter().map(|partition| partition.shown(partition.due)).collect();
        Ok(format!("up to {ends:?}"))
    }

    /// Its owner commits. Whose it is may change until the commit is there; then the next one does.
    async fn commit_at(&mut self, partition: usize, offset: usize) -> Result<(), Stuck> {
        let raw = i64::try_from(offset).expect("few records");
        loop {
            self.until("an owner that commits", Self::at_rest).await?;
            let Some(owner) = self.owner(partition) else { return Ok(()) };
            let commit = self.members[&owner].consumer.commit(&[(self.at(partition), raw)]);
            match self.answer("the answer to a commit", commit).await? {
                Ok(()) => {
                    self.partitions[partition].committed = offset;
                    return Ok(());
                }
                Err(LogError::NotAssigned(_)) if self.owner(partition) != Some(owner) => {}
                Err(error) => {
                    self.broken(&format!("p{partition}: its owner's commit: {error}"));
                    return Ok(());
                }
            }
        }
    }

    async fn commit(&mut self, partition: usize, less: usize) -> Result<String, Stuck> {
        self.transcript.count(if less == 0 { "committed all" } else { "committed less" });
        self.until("all records", |run| run.at_rest() && run.drained()).await?;
        let offset = self.partitions[partition].back(self.partitions[partition].due, less);
        self.commit_at(partition, offset).await?;
        Ok(format!("at {}", self.partitions[partition].shown(offset)))
    }

    async fn commit_of_another(&mut self, partition: usize) -> Result<String, Stuck> {
        self.until("even shares", Self::at_rest).await?;
        let owner = self.owner(partition);
        let Some(stranger) = self.members.keys().copied().rev().find(|id| Some(*id) != owner) else {
            return Ok("there is no other".to_owned());
        };
        let end = i64::try_from(self.partitions[partition].end()).expect("few records");
        let commit = self.members[&stranger].consumer.commit(&[(self.at(partition), end)]);
        Ok(match self.answer("the answer to another's commit", commit).await? {
            Ok(()) => "taken".to_owned(),
            Err(LogError::NotAssigned(_)) => {
                self.transcript.count("commit refused");
                "refused".to_owned()
            }
            Err(error) => format!("failed: {error}"),
        })
    }

    async fn pause(&mut self, partition: usize) -> Result<String, Stuck> {
        self.transcript.count("paused");
        self.until("all records", |run| run.at_rest() && run.drained()).await?;
        let at = [self.at(partition)];
        let Some(owner) = self.owner(partition) else { return Ok(NOBODY.to_owned()) };
        self.members[&owner].consumer.pause(&at).map_err(failed("a pause"))?;
        let state = &mut self.partitions[partition];
        if !state.paused {
            state.during_pause = 0;
        }
        state.paused = true;
        Ok(format!("at {}", state.shown(state.due)))
    }

    /// Records that are sent now show that those sent during the pause do not come: what lies before them would have.
    async fn resume(&mut self, partition: usize) -> Result<String, Stuck> {
        self.transcript.count("resumed");
        self.send_everywhere().await?;
        self.until("all records beside a pause", |run| run.at_rest() && run.drained()).await?;
        let state = &self.partitions[partition];
        let held = state.shown(state.end()) - state.shown(state.due);
        if held > 1 {
            self.transcript.count("held by a pause");
        }
        self.lift(partition);
        self.until("all records after a pause", |run| run.at_rest() && run.drained()).await?;
        let state = &self.partitions[partition];
        Ok(format!("{held} were held, then up to {}", state.shown(state.due)))
    }

    /// Ends a pause, if there is one.
    fn lift(&mut self, partition: usize) {
        let state = &mut self.partitions[partition];
        if !std::mem::take(&mut state.paused) {
            return;
        }
        let during = std::mem::take(&mut state.during_pause);
        if during > 0 {
            self.broken(&format!("{during} records of p{partition} came during its pause"));
        }
        let Some(owner) = self.owner(partition) else { return };
        match self.members[&owner].consumer.resume(&[self.at(partition)]) {
            // It is going away just now, and its pause with it.
            Ok(()) | Err(LogError::NotAssigned(_)) => {}
            Err(error) => self.broken(&format!("p{partition} could not be resumed: {error}")),
        }
    }

    async fn send_everywhere(&mut self) -> Result<(), Stuck> {
        for partition in 0..self.partitions.len() {
            self.produce(0, partition, 1).await?;
        }
        Ok(())
    }

    async fn remove(&mut self, partition: usize, leaves: bool) -> Result<String, Stuck> {
        self.transcript.count(if leaves { "left" } else { "dropped" });
        self.until("even shares", Self::at_rest).await?;
        let Some((id, member)) = self.owner(partition).and_then(|owner| self.members.remove_entry(&owner)) else {
            return Ok(NOBODY.to_owned());
        };
        for state in self.partitions.iter_mut().filter(|state| state.owner == Some(id)) {
            state.orphan();
        }
        if leaves {
            let closed = timeout(LIMIT, member.consumer.close()).await;
            closed.map_err(|_| Stuck(format!("limit of {LIMIT:?} hit while waiting for: a close")))?;
        } else {
            drop(member);
        }
        if self.members.is_empty() {
            self.transcript.count("the last one went");
            return Ok("nobody is left".to_owned());
        }
        self.settle().await?;
        Ok(format!("{}; {}", self.said_shares(), self.said_start(partition)))
    }

    async fn stall(&mut self, partition: usize, joins: bool) -> Result<String, Stuck> {
        self.transcript.count(if joins { "stalled while another joined" } else { "stalled" });
        self.until("all records", |run| run.at_rest() && run.drained()).await?;
        let Some(stalled) = self.owner(partition) else { return Ok(NOBODY.to_owned()) };
        let position = self.partitions[partition].due;
        if let Some(member) = self.members.get_mut(&stalled) {
            (member.stalled, member.late) = (true, true);
        }
        self.produce(0, partition, STALLED_RECORDS).await?;
        if joins {
            let joiner = self.add_member().await?;
            let share = self.partitions.len() / self.members.len();
            let has_its = |run: &Self| run.members[&joiner].owned.len() >= share;
            self.until("the share of one who joins beside one who stalls", has_its).await?;
        }
        self.send_everywhere().await?;
        self.until("all records of those who do not stall", Self::drained).await?;

        let commit = self.members[&stalled]
            .consumer
            .commit(&[(self.at(partition), i64::try_from(position).expect("few records"))]);
        let answer = self.answer("the answer to a commit of one who stalls", commit).await?;
        let keeps = self.owner(partition) == Some(stalled);
        match answer {
            Ok(()) if keeps => self.partitions[partition].committed = position,
            Err(LogError::NotAssigned(_)) if !keeps => self.transcript.count("commit refused"),
            other => self.broken(&format!("p{partition} of one who stalls (still its own: {keeps}): commit {other:?}")),
        }
        if let Some(member) = self.members.get_mut(&stalled) {
            member.stalled = false;
        }
        self.settle().await?;
        // Whether the commit above was one depends on placement; this one does not.
        self.commit_at(partition, self.partitions[partition].due).await?;
        let committed = self.partitions[partition].shown(self.partitions[partition].committed);
        Ok(format!("{}; p{partition} is committed at {committed}", self.said_shares()))
    }
}
