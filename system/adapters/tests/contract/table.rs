//! What brings each listed status about: the only thing here that the documents do not say.
//!
//! In: nothing. Out: [`Provocation`]s, in the order in which they are to happen, each under its operation's name and a status. Elsewhere:
//! whether they are the listed ones, all of them (`contract`).
//!
//! Every table has ids of its own, so a second one may be played in the same town.

mod banks;
mod channel;
mod core;

use std::sync::atomic::{AtomicU64, Ordering};

use bankstorm_adapters::http::read::BODY_MAX;
use bankstorm_banks::temper::{Manner, temper};
use bankstorm_contracts::TransferId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::town;

/// A request, and what it is to come to.
#[derive(Clone, Debug)]
pub(crate) struct Provocation {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    /// Where, if not at the service of the same name.
    pub(crate) at: &'static str,
    /// What is done to a database before the request, and undone after it.
    pub(crate) spoil: Option<Spoil>,
    pub(crate) ask: Ask,
    /// Texts that are in the answer's body, by their pointers.
    pub(crate) says: Vec<(&'static str, &'static str)>,
}

/// A request to an operation: what is to be filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    /// Values of path parameters, by name.
    pub(crate) path: Vec<(&'static str, String)>,
    /// What follows the path.
    pub(crate) query: &'static str,
    /// The body, byte by byte.
    pub(crate) body: Vec<u8>,
}

/// Statements around a request.
#[derive(Clone, Debug)]
pub(crate) struct Spoil {
    pub(crate) database: &'static str,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// All of them.
pub(crate) fn all() -> Vec<Provocation> {
    [core::all(), channel::all(), banks::all()].concat()
}

/// A request that an operation takes, with ids that were never used.
pub(crate) fn good(service: &str, operation: &str) -> Option<Ask> {
    let mine = |found: &Provocation| found.service == service && found.operation == operation && found.status < 300;
    all().into_iter().find(mine).map(|found| found.ask)
}

impl Provocation {
    fn new(service: &'static str, operation: &'static str, status: u16, ask: Ask) -> Self {
        Self { service, operation, status, at: service, spoil: None, ask, says: Vec::new() }
    }

    fn says(mut self, pointer: &'static str, text: &'static str) -> Self {
        self.says.push((pointer, text));
        self
    }

    fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    fn spoilt(self, spoil: Spoil) -> Self {
        Self { spoil: Some(spoil), ..self }
    }
}

impl Ask {
    fn body(value: &Value) -> Self {
        Self { body: value.to_string().into_bytes(), ..Self::default() }
    }

    fn too_large() -> Self {
        Self { body: vec![b' '; BODY_MAX + 1], ..Self::default() }
    }

    fn path(mut self, name: &'static str, value: impl ToString) -> Self {
        self.path.push((name, value.to_string()));
        self
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }
}

impl Spoil {
    /// The table has another name meanwhile: whatever is asked of it fails.
    fn gone(database: &'static str, table: &str) -> Self {
        let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
        Self { database, before: rename(table, "elsewhere"), after: rename("elsewhere", table) }
    }

    /// The server says, for every row of the table, that it cannot be used now.
    fn away(database: &'static str, table: &str) -> Self {
        let Self { before, after, .. } = Self::gone(database, table);
        let before = format!(
            "{before}; CREATE FUNCTION away() RETURNS boolean LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END $$; \
             CREATE VIEW {table} AS SELECT * FROM elsewhere WHERE away()"
        );
        Self { database, before, after: format!("DROP VIEW {table}; DROP FUNCTION away(); {after}") }
    }

    /// Sessions die while they commit such a change of the table, and nobody can tell whether they did commit.
    fn dying_in_commit(database: &'static str, change: &str, table: &str) -> Self {
        let before = format!(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER die AFTER {change} ON {table} DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION die()"
        );
        Self { database, before, after: format!("DROP TRIGGER die ON {table}; DROP FUNCTION die()") }
    }

    /// Somebody else has claimed the id and not committed yet.
    fn claimed(id: TransferId) -> Self {
        let before = format!(
            "BEGIN; INSERT INTO transfer (id, params_hash, kind, state) \
             VALUES ('{id}', decode(repeat('00', 32), 'hex'), 'tombstone', 'processing')"
        );
        Self { database: "core", before, after: "ROLLBACK".to_owned() }
    }
}

/// An id that nobody used.
fn fresh() -> TransferId {
    static USED: AtomicU64 = AtomicU64::new(1);
    TransferId(Uuid::from_u128(USED.fetch_add(1, Ordering::Relaxed).into()))
}

/// One that the other banks answer for at once.
fn prompt() -> TransferId {
    of_manner(|manner| matches!(manner, Manner::Prompt))
}

/// One that the other banks merely take on when they are first asked.
fn taken_on() -> TransferId {
    of_manner(|manner| matches!(manner, Manner::Never { decided: false, answered: true }))
}

fn of_manner(wanted: impl Fn(Manner) -> bool) -> TransferId {
    std::iter::repeat_with(fresh).find(|id| wanted(temper(&town::temper(), *id).manner)).expect("a share of them")
}

fn party(bank: &str, account: impl ToString) -> Value {
    json!({ "bank": bank, "account": account.to_string() })
}
