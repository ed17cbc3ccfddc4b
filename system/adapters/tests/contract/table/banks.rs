//! The other banks'.

use bankstorm_contracts::TransferId;
use serde_json::json;

use super::{Ask, Provocation, fresh, party, prompt, taken_on};
use crate::contract::town::{BROKEN_BANKS, FULL_BANKS};

fn of(operation: &'static str, status: u16, ask: Ask) -> Provocation {
    Provocation::new("banks", operation, status, ask)
}

fn credit(id: TransferId, amount: i64) -> Ask {
    Ask::body(&json!({ "id": id, "to": party("088", 7), "amount": amount }))
}

pub(super) fn all() -> Vec<Provocation> {
    let (one, cancelled) = (prompt(), fresh());
    let cancel = |id: TransferId| Ask::default().path("id", id);
    vec![
        of("credit", 200, credit(one, 5)).says("/state", "credited"),
        of("credit", 202, credit(taken_on(), 5)),
        of("credit", 400, credit(fresh(), 1_000_000_000_001)).says("/field", "amount"),
        of("credit", 413, Ask::too_large()),
        of("credit", 422, credit(one, 6)).says("/field", "id"),
        of("credit", 500, credit(prompt(), 5)).at(BROKEN_BANKS),
        of("credit", 503, credit(fresh(), 5)).at(FULL_BANKS),
        of("cancel", 200, cancel(one)).says("/state", "credited"),
        of("cancel", 200, cancel(cancelled)).says("/state", "refused"),
        of("credit", 200, credit(cancelled, 5)).says("/state", "refused"),
        of("cancel", 400, Ask::default().path("id", 7)).says("/field", "id"),
        of("cancel", 500, cancel(fresh())).at(BROKEN_BANKS),
        of("cancel", 503, cancel(fresh())).at(FULL_BANKS),
    ]
}
