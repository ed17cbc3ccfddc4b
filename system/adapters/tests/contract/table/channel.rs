//! The channel's.

use bankstorm_contracts::TransferId;
use serde_json::{Value, json};

use super::{Ask, Provocation, Spoil, fresh, party, taken_on};
use crate::contract::town::ACCOUNTS;

fn of(operation: &'static str, status: u16, ask: Ask) -> Provocation {
    Provocation::new("channel", operation, status, ask)
}

/// One who never has a transfer in progress.
const FREE: u64 = 7;

fn submit(id: TransferId, user: u64, to: &Value, amount: i64) -> Value {
    json!({ "id": id, "user": user, "from": ACCOUNTS[2], "to": to, "amount": amount })
}

fn redrive(limit: u32) -> Ask {
    Ask::body(&json!({ "limit": limit }))
}

pub(super) fn all() -> Vec<Provocation> {
    let [one, refused] = [(); 2].map(|()| fresh());
    let open = taken_on();
    // Whoever waits for a verdict does so to the end of the town: a customer of this table alone.
    let busy = u64::try_from(open.0.as_u128()).expect("ids are small here") + 1_000;
    let own = party("900", ACCOUNTS[1]);
    let free = |id, amount| Ask::body(&submit(id, FREE, &own, amount));
    let state = |id: TransferId| Ask::default().path("id", id);
    let history = |no: i64| Ask::default().path("no", no);
    vec![
        of("submit", 200, Ask::body(&submit(refused, FREE, &party("088", 7), 999_999_999)))
            .says("/reason", "insufficient_funds"),
        of("submit", 201, free(one, 5)).says("/state", "completed"),
        of("submit", 200, free(one, 5)).says("/state", "completed"),
        of("submit", 202, Ask::body(&submit(open, busy, &party("088", 7), 5))).says("/message", "확인 중"),
        of("submit", 400, free(fresh(), 0)).says("/field", "amount"),
        of("submit", 409, Ask::body(&submit(fresh(), busy, &own, 5))).says("/type", "transfer-pending"),
        of("submit", 413, Ask::too_large()),
        of("submit", 422, free(one, 6)).says("/field", "id"),
        of("submit", 500, free(fresh(), 5)).spoilt(Spoil::dying_in_commit("channel", "INSERT", "transfer")),
        of("submit", 503, free(fresh(), 5)).spoilt(Spoil::gone("channel", "transfer")),
        of("transfer", 200, state(one)).says("/state", "completed"),
        of("transfer", 200, state(open)).says("/message", "확인 중"),
        of("transfer", 200, state(refused)).says("/state", "rejected"),
        of("transfer", 400, Ask::default().path("id", 7)).says("/field", "id"),
        of("transfer", 404, state(fresh())).says("/field", "id"),
        of("transfer", 500, state(one)).spoilt(Spoil::gone("channel", "transfer")),
        of("transfer", 503, state(one)).spoilt(Spoil::away("channel", "transfer")),
        of("history", 200, history(ACCOUNTS[2]).query("?limit=1")),
        of("history", 400, history(ACCOUNTS[2]).query("?cursor=0")).says("/field", "cursor"),
        of("history", 400, history(ACCOUNTS[2]).query("?limit=0")).says("/field", "limit"),
        of("history", 400, history(ACCOUNTS[2]).query("?limit=10000")).says("/field", "limit"),
        of("history", 404, history(1_999_999)).says("/field", "no"),
        of("history", 500, history(ACCOUNTS[2])).spoilt(Spoil::gone("channel", "account_sync")),
        of("history", 503, history(ACCOUNTS[2])).spoilt(Spoil::away("channel", "account_sync")),
        of("sync", 200, history(ACCOUNTS[2])).says("/result", "synced"),
        of("sync", 200, history(ACCOUNTS[2])).says("/result", "rate_limited"),
        of("sync", 400, Ask::default().path("no", "mine")).says("/field", "no"),
        of("sync", 404, history(1_999_999)).says("/field", "no"),
        of("sync", 500, history(ACCOUNTS[0])).spoilt(Spoil::gone("channel", "account_sync")),
        of("sync", 503, history(ACCOUNTS[0])).spoilt(Spoil::away("channel", "account_sync")),
        of("redrive", 200, redrive(10_000)),
        of("redrive", 400, redrive(0)).says("/field", "limit"),
        of("redrive", 400, redrive(10_001)).says("/field", "limit"),
        of("redrive", 413, Ask::too_large()),
        of("redrive", 500, redrive(1)).spoilt(Spoil::gone("channel", "dead_letter")),
    ]
}
