//! Core's.

use bankstorm_contracts::TransferId;
use serde_json::{Value, json};

use super::{Ask, Provocation, Spoil, fresh, party, taken_on};
use crate::contract::town::ACCOUNTS;

fn of(operation: &'static str, status: u16, ask: Ask) -> Provocation {
    Provocation::new("core", operation, status, ask)
}

pub(super) fn all() -> Vec<Provocation> {
    [deposits(), transfers(), outbound(), reads()].concat()
}

fn deposit(id: TransferId, amount: i64) -> Value {
    json!({ "id": id, "account": ACCOUNTS[0], "amount": amount, "from": party("088", 7) })
}

fn transfer(id: TransferId, to: &Value, amount: i64) -> Value {
    json!({
        "id": id, "from": ACCOUNTS[0], "to": to, "amount": amount, "requested_at": 1, "valid_for_ms": 60_000,
    })
}

fn deposits() -> Vec<Provocation> {
    let [one, other] = [(); 2].map(|()| fresh());
    let new = |amount| Ask::body(&deposit(fresh(), amount));
    let mut unknown = deposit(fresh(), 5);
    unknown["account"] = 1_999_999.into();
    vec![
        of("deposit", 201, Ask::body(&deposit(one, 5))).says("/state", "completed"),
        of("deposit", 200, Ask::body(&deposit(one, 5))).says("/state", "completed"),
        of("deposit", 200, Ask::body(&unknown)).says("/reason", "unknown_account"),
        of("deposit", 400, new(0)).says("/field", "amount"),
        of("deposit", 409, Ask::body(&deposit(other, 5))).says("/type", "processing").spoilt(Spoil::claimed(other)),
        of("deposit", 413, Ask::too_large()),
        of("deposit", 422, Ask::body(&deposit(one, 6))).says("/field", "id"),
        of("deposit", 500, new(5)).spoilt(Spoil::dying_in_commit("core", "INSERT", "transfer")),
        of("deposit", 503, new(5)).spoilt(Spoil::gone("core", "account")),
    ]
}

fn transfers() -> Vec<Provocation> {
    let (one, held) = (fresh(), taken_on());
    let own = party("900", ACCOUNTS[1]);
    let new = |amount| Ask::body(&transfer(fresh(), &own, amount));
    let resolve = |id: TransferId| Ask::default().path("id", id);
    let mut unknown = transfer(fresh(), &own, 5);
    unknown["from"] = 1_999_999.into();
    vec![
        of("transfer", 200, Ask::body(&transfer(fresh(), &party("088", 7), 999_999_999)))
            .says("/reason", "insufficient_funds"),
        of("transfer", 201, Ask::body(&transfer(one, &own, 5))).says("/state", "completed"),
        of("transfer", 200, Ask::body(&transfer(one, &own, 5))).says("/state", "completed"),
        of("transfer", 200, Ask::body(&unknown)).says("/reason", "unknown_account"),
        of("transfer", 400, new(-1)).says("/field", "amount"),
        of("transfer", 409, Ask::body(&transfer(held, &party("088", 7), 5))).says("/type", "processing"),
        of("transfer", 413, Ask::too_large()),
        of("transfer", 422, Ask::body(&transfer(one, &own, 6))).says("/field", "id"),
        of("transfer", 500, new(5)).spoilt(Spoil::dying_in_commit("core", "INSERT", "transfer")),
        of("transfer", 503, new(5)).spoilt(Spoil::gone("core", "account")),
        of("resolve", 200, resolve(one)).says("/state", "completed"),
        of("resolve", 200, resolve(held)).says("/state", "processing"),
        of("resolve", 200, resolve(fresh())).says("/reason", "not_received"),
        of("resolve", 400, Ask::default().path("id", 7)).says("/field", "id"),
        of("resolve", 500, resolve(fresh())).spoilt(Spoil::dying_in_commit("core", "INSERT", "transfer")),
        of("resolve", 503, resolve(fresh())).spoilt(Spoil::gone("core", "transfer")),
    ]
}

fn outbound() -> Vec<Provocation> {
    let held = taken_on();
    let told = |id: TransferId, state: &str| Ask::body(&json!({ "id": id, "state": state })).path("id", id);
    let unknown = fresh();
    vec![
        of("transfer", 409, Ask::body(&transfer(held, &party("088", 7), 5))),
        of("outcome", 500, told(held, "credited")).spoilt(Spoil::dying_in_commit("core", "UPDATE", "hold")),
        of("outcome", 200, told(held, "credited")).says("/state", "completed"),
        of("outcome", 200, told(held, "credited")).says("/state", "completed"),
        of("outcome", 400, told(unknown, "perhaps")).says("/field", "state"),
        of("outcome", 404, told(unknown, "credited")).says("/field", "id"),
        of("outcome", 413, Ask::too_large().path("id", unknown)),
        of("outcome", 503, told(unknown, "credited")).spoilt(Spoil::gone("core", "hold")),
    ]
}

fn reads() -> Vec<Provocation> {
    let account = |no: i64| Ask::default().path("no", no);
    let heads = |accounts: &Value| Ask::body(&json!({ "accounts": accounts }));
    let [first, second, _] = ACCOUNTS;
    let away = || Spoil::gone("core", "account");
    vec![
        of("entries", 200, account(first).query("?after=0&limit=2")),
        of("entries", 400, account(first).query("?limit=0")).says("/field", "limit"),
        of("entries", 503, account(first)).spoilt(Spoil::gone("core", "entry")),
        of("head", 200, account(first)),
        of("head", 400, account(1)).says("/field", "no"),
        of("head", 404, account(1_999_999)).says("/field", "no"),
        of("head", 503, account(first)).spoilt(away()),
        of("heads", 200, heads(&json!([second, 1_999_999, first]))),
        of("heads", 400, heads(&json!(["7"]))).says("/field", "accounts"),
        of("heads", 413, Ask::too_large()),
        of("heads", 503, heads(&json!([first]))).spoilt(away()),
        of("digests", 200, Ask::default().query("?width=2")),
        of("digests", 400, Ask::default().query("?width=0")).says("/field", "width"),
        of("digests", 503, Ask::default()).spoilt(away()),
    ]
}
