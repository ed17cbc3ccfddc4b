//! After load: wait until the copy has converged, then write every file of evidence.
//!
//! In: a bank at rest, the rows of load. Out: [`Collected`], and the evidence files. Elsewhere: the collectors (`evidence`), what the
//! rows prove (`check`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bankstorm_contracts::AccountNo;
use bankstorm_contracts::event::{DEAD_LETTERS_TOPIC, ENTRIES_TOPIC};
use bankstorm_evidence::visible::Joined;
use bankstorm_evidence::{
    Converged, Evidence, EvidenceError, collect_access, collect_banks, collect_channel, collect_core,
    collect_dead_letters, collect_group_commits, collect_topic, collect_visible, final_markers, wait_converged,
    write_operations, write_pages, write_syncs, write_transfer_reads,
};
use bankstorm_load::{Heads, Sharding, Stop};
use bankstorm_record::latency::CutOffs;
use bankstorm_record::marks::read_samples;
use bankstorm_record::rows::VisibleRow;

use crate::bank::Bank;
use crate::progress::Display;
use crate::stop::Interrupt;

use super::HURRIED;
use super::load::Loaded;
use super::open::OpenRun;

/// The channels' consumer group; that of their first database where they have several, whose commits and lag are the ones that are seen.
pub(super) const GROUP: &str = "channel";
/// Reading the accounts whose visible stamps were lost may take so long in all.
const READ_NOW_LIMIT: Duration = Duration::from_secs(30);

/// What was found once load had ended.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// How the wait for the copy ended; absent when a database did not answer.
    pub(crate) converged: Option<Converged>,
    /// What became of the visible times.
    pub(crate) joined: Joined,
    /// Marker -> how often it fired.
    pub(crate) markers: BTreeMap<String, u64>,
    /// What could not be collected, or was odd in it: one sentence each.
    pub(crate) problems: Vec<String>,
}

impl Collected {
    fn note<T>(&mut self, what: &str, result: Result<T, EvidenceError>) -> Option<T> {
        result.map_err(|error| self.problems.push(format!("{what}: {error}"))).ok()
    }

    /// So many of something that must not be.
    fn count(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.problems.push(format!("{count} {what}"));
        }
    }
}

/// Waits for the copy, at most as long as the scenario allows to heal.
pub(crate) async fn converge(open: &mut OpenRun, bank: &Bank, display: &Display, stop: &Interrupt) -> Collected {
    let mut collected = Collected::default();
    let limit = if stop.load.is_raised() { HURRIED } else { open.scenario.phases.heal };
    let shown = display.phase(&format!("waiting until the copy has converged, at most {} s", limit.as_secs_f64()));
    let phase = open.phases.begin("converge", &open.json.origin);
    let addresses = &bank.addresses;
    let wait = wait_converged(&addresses.core_database, &addresses.channel_databases, limit);
    let converged = tokio::select! {
        biased;
        converged = wait => collected.note("converge", converged),
        () = hurried(&stop.load, limit) => None,
    };
    collected.converged = converged;
    open.phases.end(phase, &open.json.origin);
    drop(shown);
    collected
}

async fn hurried(stop: &Stop, limit: Duration) {
    stop.raised().await;
    tokio::time::sleep(HURRIED.min(limit) + Duration::from_millis(500)).await;
}

/// Writes every file of evidence that can be had.
pub(crate) async fn collect(
    open: &mut OpenRun,
    bank: &Bank,
    loaded: &mut Loaded,
    collected: &mut Collected,
    display: &Display,
) {
    let shown = display.phase("collecting evidence");
    let phase = open.phases.begin("evidence", &open.json.origin);
    // Whatever a copy or a page shows must be in core when core is read, so core comes last.
    copies(open, bank, collected).await;
    following(open, bank, collected).await;
    visible(open, bank, loaded, collected).await;
    core(open, bank, collected).await;
    let written = write_operations(&mut loaded.drive.operations, &open.folder);
    keep(open, collected.note("operations", written));
    let written = write_pages(&mut loaded.drive.pages, &open.folder);
    keep(open, collected.note("pages", written));
    let written = write_syncs(&mut loaded.drive.syncs, &open.folder);
    keep(open, collected.note("presses of the button", written));
    let written = write_transfer_reads(&mut loaded.drive.transfer_reads, &open.folder);
    keep(open, collected.note("what was told of transfers", written));
    if let Err(error) = write_latency(open, loaded) {
        collected.problems.push(format!("latency.hlog: {error}"));
    }
    collected.markers = final_markers(&bank.addresses.metrics, &read_samples(&open.folder).unwrap_or_default()).await;
    open.phases.end(phase, &open.json.origin);
    drop(shown);
}

fn write_latency(open: &OpenRun, loaded: &Loaded) -> std::io::Result<()> {
    let mut log = std::io::BufWriter::new(std::fs::File::create(open.folder.latency())?);
    let drive = &loaded.drive;
    let cut_offs = CutOffs::of(&open.phases.spans()).unwrap_or_else(|| drive.cut_offs());
    bankstorm_load::hlog::write(&drive.operations, &open.json.origin, &cut_offs, &mut log)?;
    std::io::Write::flush(&mut log)
}

/// The channels' database and the topic, at once.
async fn copies(open: &mut OpenRun, bank: &Bank, collected: &mut Collected) {
    let addresses = &bank.addresses;
    let (channel, topic) = tokio::join!(
        collect_channel(&addresses.channel_databases, &open.folder),
        collect_topic(&addresses.kafka, ENTRIES_TOPIC, &open.folder),
    );
    keep(open, collected.note("the channels' database", channel));
    let Some(topic) = collected.note("topic", topic) else { return };
    if topic.malformed > 0 {
        let first = topic.first_malformed.unwrap_or_default();
        collected.problems.push(format!("{} records of the topic are no entries, the first: {first}", topic.malformed));
    }
    if topic.removed > 0 {
        collected.problems.push(format!("the broker had removed {} records before they were read", topic.removed));
    }
    keep(open, Some(topic.evidence));
}

/// How the channels followed core: letters that they wrote, offsets that their group committed, what they asked core.
async fn following(open: &mut OpenRun, bank: &Bank, collected: &mut Collected) {
    let kafka = &bank.addresses.kafka;
    let (letters, commits) = tokio::join!(
        collect_dead_letters(kafka, DEAD_LETTERS_TOPIC, ENTRIES_TOPIC, &open.folder),
        collect_group_commits(kafka, GROUP, ENTRIES_TOPIC, &open.folder),
    );
    if let Some(letters) = collected.note("dead-letter topic", letters) {
        let first = letters.first_malformed.unwrap_or_default();
        collected
            .count(letters.malformed, &format!("records of the dead-letter topic are no letters, the first: {first}"));
        collected.count(letters.removed, "letters had been removed by the broker before they were read");
        keep(open, Some(letters.evidence));
    }
    if let Some(commits) = collected.note("the group's commits", commits) {
        collected.count(commits.malformed, "commits of the group are in a form that is not known");
        keep(open, Some(commits.evidence));
    }
    let access = collect_access(&bank.access_log(), open.json.origin, &open.folder);
    if let Some(access) = collected.note("core's access log", access) {
        keep(open, Some(access.evidence));
    }
}

async fn core(open: &mut OpenRun, bank: &Bank, collected: &mut Collected) {
    let depth = i64::from(open.scenario.accounts.history_depth);
    let loaded_seq = move |account: i64| if AccountNo::new(account).is_internal() { 0 } else { depth };
    let core = collect_core(&bank.addresses.core_database, loaded_seq, &open.folder).await;
    keep(open, collected.note("core's database", core));
    // Nobody is asked any more once core holds nothing; what core had posted is in their book before.
    let banks = collect_banks(&bank.bank_book(), &open.folder);
    keep(open, collected.note("the other banks' book", banks));
}

/// The visible times; those whose stamp died with its process are read from a channel now, as upper bounds (D44).
async fn visible(open: &mut OpenRun, bank: &Bank, loaded: &mut Loaded, collected: &mut Collected) {
    let logs: Vec<(String, PathBuf)> =
        bank.addresses.channels.iter().map(|(name, _)| (name.clone(), bank.visible_log(name))).collect();
    let mut first_reads = loaded.drive.first_reads.clone();
    for pass in 0..2 {
        let origin = open.json.origin;
        let found = collect_visible(&logs, origin, &first_reads, &mut loaded.drive.operations, &open.folder);
        let Some(found) = collected.note("visible logs", found) else { return };
        collected.joined = found.joined;
        keep(open, Some(found.evidence));
        if found.joined.unseen == 0 || pass == 1 {
            return;
        }
        first_reads.extend(read_now(open, bank, loaded, collected).await);
    }
}

/// Reads the newest page of every account with an entry that no stamp covers.
async fn read_now(open: &OpenRun, bank: &Bank, loaded: &mut Loaded, collected: &mut Collected) -> Vec<VisibleRow> {
    let unseen = loaded.drive.operations.iter().filter(|row| row.seq.is_some() && row.visible_ns.is_none());
    let accounts: std::collections::BTreeSet<i64> = unseen.map(|row| row.account).collect();
    let channels = bank.load_channels();
    let sharding = Sharding::of(&open.scenario);
    let (mut first_reads, mut heads) = (Vec::new(), Heads::default());
    for database in 0..sharding.databases() {
        let own = accounts.iter().copied().filter(|account| sharding.database_of(*account) == database);
        let asked: Vec<_> = sharding.instances(&channels, database).cloned().collect();
        let read = bankstorm_load::read_heads(&asked, own, open.json.origin, READ_NOW_LIMIT).await;
        // Addresses that load itself was driven with.
        let read = read.expect("addresses that are in use");
        heads.pages.extend(read.pages);
        heads.unread += read.unread;
    }
    if heads.unread > 0 {
        let limit_s = READ_NOW_LIMIT.as_secs();
        collected.problems.push(format!(
            "{} accounts with entries of unknown visible time could not be read from a channel, limit {limit_s} s",
            heads.unread
        ));
    }
    for page in heads.pages {
        if page.outcome == "ok" {
            first_reads.push(VisibleRow {
                account: page.account,
                from_seq: 0,
                to_seq: page.as_of_seq,
                at_ns: page.completed_ns,
                instance: bankstorm_evidence::visible::HARNESS.to_owned(),
            });
        }
        loaded.drive.pages.push(page);
    }
    first_reads
}

fn keep(open: &mut OpenRun, evidence: Option<Evidence>) {
    open.json.evidence.extend(evidence.into_iter().flatten());
}
