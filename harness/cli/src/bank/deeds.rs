//! What faults do to a bank: to its nodes and databases, to the rows of its copy, to its topics, to what passes its links.
//!
//! In: a place. Out: a witness. Elsewhere: how nodes are broken (`environment`), what a server is asked for (`adapters::postgres`), rules
//! of proxies (`rules`), when (`chaos/faults`).

use std::sync::Arc;

use bankstorm_adapters::postgres;
use bankstorm_adapters::postgres::disturb::{self, Rows, Session};
use bankstorm_contracts::AccountNo;
use bankstorm_environment::{EnvironmentError, HARNESS, Proxied, Topic, Witness, grow_topics};
use bankstorm_faults::nodes::{self, Healed, Nodes};
use bankstorm_faults::rule::Rule;
use bankstorm_record::clock::monotonic_ns;

use super::Bank;
use super::rules::Place;
use super::specs::channel_database;

/// Whose entries are refused: the first account, which is also the hot one where there is one.
const POISONED: AccountNo = AccountNo::new(AccountNo::FIRST_CUSTOMER);

impl Bank {
    /// The database of the first account.
    fn poisoned(&self) -> &str {
        &self.addresses.channel_databases[0]
    }

    /// The address of a database, and which rows all accounts have there.
    fn struck(&self, place: &str) -> Result<(&str, Rows), String> {
        let addresses = &self.addresses;
        let channels = (0..).zip(&addresses.channel_databases);
        let channels = channels.map(|(index, address)| (channel_database(index), address, Rows::Heads));
        let core = ("core".to_owned(), &addresses.core_database, Rows::Accounts);
        let found = std::iter::once(core).chain(channels).find(|(name, ..)| place == format!("postgres-{name}"));
        found
            .map(|(_, address, rows)| (address.as_str(), rows))
            .ok_or_else(|| format!("{place} is no database of the bank"))
    }

    /// The proxy on a link, as the harness reaches it.
    fn proxy(&self, link: &str) -> Result<String, String> {
        let (from, to) = nodes::ends(link).ok_or_else(|| format!("{link} is no link"))?;
        let node = Proxied { from: from.to_owned(), to: to.to_owned() }.node();
        if self.environment.nodes().iter().all(|known| known.name != node) {
            return Err(format!("no proxy stands on {link}"));
        }
        Ok(self.environment.url(&node, HARNESS))
    }

    fn seen(&self, result: Result<Witness, EnvironmentError>) -> Result<nodes::Witness, String> {
        *self.pids.lock().expect("no panic while noting pids") = self.environment.pids();
        let Witness { what, at_monotonic_ns } = result.map_err(|error| error.to_string())?;
        Ok(nodes::Witness { what, at_ns: i64::try_from(at_monotonic_ns).unwrap_or(i64::MAX) })
    }
}

impl Nodes for Bank {
    async fn kill(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.kill(place).await)
    }

    async fn pause(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.pause(place).await)
    }

    async fn resume(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.resume(place).await)
    }

    async fn restart(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.restart(place).await)
    }

    async fn poison(&self, _place: &str) -> Result<nodes::Witness, String> {
        postgres::channel::poison(self.poisoned(), POISONED).await.map_err(|error| error.to_string())?;
        Ok(now(format!("entries of account {POISONED} are refused with SQLSTATE 23514")))
    }

    async fn cure(&self, _place: &str) -> Result<nodes::Witness, String> {
        postgres::channel::cure(self.poisoned()).await.map_err(|error| error.to_string())?;
        Ok(now(format!("entries of account {POISONED} are taken again")))
    }

    async fn grow(&self, _place: &str) -> Result<nodes::Witness, String> {
        let grown = self.topics.iter().map(|topic| Topic { partitions: topic.partitions * 2, ..topic.clone() });
        let grown: Vec<Topic> = grown.collect();
        grow_topics(&self.addresses.kafka, self.brokers, &grown).await?;
        let told: Vec<String> = grown.iter().map(|topic| format!("{} {}", topic.name, topic.partitions)).collect();
        Ok(now(format!("partitions: {}", told.join(", "))))
    }

    async fn stall_commits(&self, place: &str) -> Result<nodes::Witness, String> {
        let (address, _) = self.struck(place)?;
        let stalled = disturb::stall_commits(address).await.map_err(|error| error.to_string())?;
        let told = format!("commits wait for a standby that does not exist (SyncRep): {}", listed(&stalled.waiting));
        self.stalled.lock().expect("no panic while noting").insert(place.to_owned(), Arc::new(stalled));
        Ok(now(told))
    }

    async fn release_commits(&self, place: &str) -> Result<nodes::Witness, String> {
        let (address, _) = self.struck(place)?;
        // Kept until it is done: a heal that fails or is cut short begins again, and may find no other way in.
        let stalled = self.stalled.lock().expect("no panic while noting").get(place).cloned();
        disturb::release_commits(address, stalled.as_deref()).await.map_err(|error| error.to_string())?;
        drop(self.stalled.lock().expect("no panic while noting").remove(place));
        Ok(now("a commit was answered, and no session waits for a standby any more".to_owned()))
    }

    async fn hold_locks(&self, place: &str) -> Result<nodes::Witness, String> {
        let (address, rows) = self.struck(place)?;
        let held = disturb::hold_rows(address, rows).await.map_err(|error| error.to_string())?;
        let told = format!("{} rows are locked by {}", held.count, held.session);
        self.held.lock().expect("no panic while noting").insert(place.to_owned(), held);
        Ok(now(told))
    }

    async fn free_locks(&self, place: &str) -> Result<Healed, String> {
        let (address, _) = self.struck(place)?;
        // Taken out before it is ended: whoever heals again after a heal that was cut short is not to miss what that one ended.
        let held = self.held.lock().expect("no panic while noting").remove(place);
        let ended = disturb::free_rows(address).await.map_err(|error| error.to_string())?;
        Ok(freed(held.as_ref().map(|held| &held.session), &ended))
    }

    async fn put_rule(&self, link: &str, id: &str, rule: &Rule) -> Result<nodes::Witness, String> {
        let proxy = self.proxy(link)?;
        self.rules.strike(Place { link, proxy: &proxy, id }, rule).await
    }

    async fn take_rule(&self, link: &str, id: &str) -> Result<Healed, String> {
        let proxy = self.proxy(link)?;
        self.rules.heal(Place { link, proxy: &proxy, id }).await
    }
}

/// What a heal of rows tells that were locked by `held`, as far as known, and found sessions to end.
fn freed(held: Option<&Session>, ended: &[Session]) -> Healed {
    let lost = held.filter(|held| !ended.contains(held));
    let told = match ended {
        [] => "no session holds rows".to_owned(),
        ended => format!("the session that held rows has ended: {}", listed(ended)),
    };
    let ended_early = lost.map(|lost| format!("{lost}, which had locked the rows, was gone before it was to be ended"));
    Healed { witness: now(told), ended_early }
}

/// The first few, and how many in all.
fn listed(sessions: &[Session]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<String> = sessions.iter().take(SHOWN).map(ToString::to_string).collect();
    match sessions.len() {
        all if all > SHOWN => format!("{} and {} more", first.join(", "), all - SHOWN),
        _ => first.join(", "),
    }
}

fn now(what: String) -> nodes::Witness {
    nodes::Witness { what, at_ns: monotonic_ns() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(pid: i32) -> Session {
        Session { pid, name: "bankstorm-core".to_owned() }
    }

    #[test]
    fn a_session_that_was_gone_before_the_heal_is_missed_where_it_is_known_to_have_held_rows() {
        let told = |held, ended: &[Session]| freed(held, ended).ended_early;
        let (mine, other) = (session(1), session(2));
        let missed = Some("bankstorm-core 1, which had locked the rows, was gone before it was to be ended".to_owned());
        assert_eq!(told(Some(&mine), &[]), missed);
        assert_eq!(told(Some(&mine), std::slice::from_ref(&other)), missed, "another one held no rows for it");
        assert_eq!(told(Some(&mine), &[other, mine.clone()]), None);
        assert_eq!(told(None, &[]), None, "it was never known to hold any, or a heal has ended it already");
        assert_eq!(freed(None, &[]).witness.what, "no session holds rows");
        assert_eq!(freed(None, &[mine]).witness.what, "the session that held rows has ended: bankstorm-core 1");
    }

    #[test]
    fn a_long_list_of_sessions_is_cut() {
        let some: Vec<Session> = (1..=7).map(session).collect();
        assert_eq!(listed(&some[..2]), "bankstorm-core 1, bankstorm-core 2");
        assert!(listed(&some).ends_with("bankstorm-core 5 and 2 more"), "{}", listed(&some));
    }
}
