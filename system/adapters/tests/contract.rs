//! The contract tester: whether the services do what `docs/openapi` says, and refuse what it does not.
//!
//! In: the committed documents, running services. Out: trials that fail with a list of complaints. Elsewhere: how the documents are made
//! (`http::openapi`).
//!
//! The documents drive it: each listed status of each call must be provoked (`table`), each answer must be as written (`document`), and
//! wrong requests are made from the schemas (`wrong`). What promises that nothing was done must have left nothing in any store (`town`).

mod doctored;
mod document;
mod table;
mod town;
mod wrong;

use std::collections::BTreeSet;

use bankstorm_adapters::http::read::BODY_MAX;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::Place;
use crate::wire::{Answer, ask_json};
use document::{Document, NAMES, Operation};
use table::{Ask, Provocation};
use town::{Stores, Town};
use wrong::Variant;

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    let mut trials = vec![
        place.trial("contract::every_listed_status_is_reached_and_every_answer_is_as_written".to_owned(), listed),
        place.trial("contract::a_doctored_document_is_seen".to_owned(), doctored::statuses),
        place.trial("contract::doctored_schemas_of_requests_are_seen".to_owned(), doctored::requests),
        place.trial("contract::paths_and_methods_that_are_not_listed_are_refused".to_owned(), unlisted),
    ];
    trials.extend(NAMES.map(|service| {
        let name = format!("contract::wrong_requests_to_{service}_are_told_the_field_and_leave_nothing");
        place.trial(name, move |place| wrong_requests(place, service))
    }));
    trials.extend(NAMES.map(|service| {
        let name = format!("contract::requests_at_the_limits_are_taken_by_{service}");
        place.trial(name, move |place| fitting_requests(place, service))
    }));
    trials
}

/// A provocation and what it came to.
#[derive(Clone, Debug)]
struct Exchange {
    provocation: Provocation,
    answer: Answer,
    /// What changed in the stores.
    changed: Vec<String>,
}

async fn listed(place: Place) {
    let town = Town::start(&place).await;
    let exchanges = play(&town, table::all()).await;
    town.stop().await;
    none(&exchanges.iter().flat_map(broken_promise).collect::<Vec<_>>());
    for service in NAMES {
        none(&judge(&Document::committed(service), &exchanges));
    }
}

/// Brings about what the table says, in its order.
async fn play(town: &Town, table: Vec<Provocation>) -> Vec<Exchange> {
    let documents = NAMES.map(Document::committed);
    let mut exchanges = Vec::new();
    let mut before = town.stores().await;
    for provocation in table {
        let document = documents.iter().find(|document| document.service == provocation.service);
        let operation = document.and_then(|document| document.operation(provocation.operation));
        let operation = operation.unwrap_or_else(|| panic!("{} is not listed", provocation.operation));
        if let Some(spoil) = &provocation.spoil {
            town.run(spoil.database, &spoil.before).await;
        }
        let answer = send(town.address(provocation.at), operation, &provocation.ask).await;
        if let Some(spoil) = &provocation.spoil {
            town.run(spoil.database, &spoil.after).await;
        }
        let after = town.stores().await;
        exchanges.push(Exchange { provocation, answer, changed: changed(&before, &after) });
        before = after;
    }
    exchanges
}

async fn send(address: &str, operation: Operation<'_>, ask: &Ask) -> Answer {
    let path = ask
        .path
        .iter()
        .fold(operation.path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    let line = format!("{} {path}{}", operation.method.to_uppercase(), ask.query);
    ask_json(address, &line, &ask.body).await
}

/// What in the exchanges is not as a document says, and what it says that is in none of them.
fn judge(document: &Document, exchanges: &[Exchange]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut reached = BTreeSet::new();
    for Exchange { provocation, answer, .. } in
        exchanges.iter().filter(|met| met.provocation.service == document.service)
    {
        let title = format!("{} {} {}", document.service, provocation.operation, provocation.status);
        let Some(operation) = document.operation(provocation.operation) else {
            complaints.push(format!("{title}: the call is provoked and not listed"));
            continue;
        };
        if !operation.statuses().contains(&provocation.status) {
            complaints.push(format!("{title}: the status is provoked and not listed"));
        }
        if answer.status != provocation.status {
            complaints.push(format!("{title}: the answer is {} {}", answer.status, answer.body));
        }
        complaints.extend(operation.misfits(answer).into_iter().map(|misfit| format!("{title}: {misfit}")));
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        for (pointer, text) in &provocation.says {
            if body.pointer(pointer).and_then(Value::as_str) != Some(text) {
                complaints.push(format!("{title}: {pointer} is not {text:?}: {}", answer.body));
            }
        }
        reached.insert((provocation.operation, provocation.status));
    }
    for operation in document.operations() {
        let missed = operation.statuses().into_iter().filter(|status| !reached.contains(&(operation.name(), *status)));
        complaints.extend(missed.map(|status| format!("{} {status}: is listed and not provoked", operation.title())));
    }
    complaints
}

/// Whether an answer that says that nothing was done is contradicted by the stores.
fn broken_promise(Exchange { provocation, answer, changed }: &Exchange) -> Option<String> {
    let kind =
        serde_json::from_str::<Value>(&answer.body).ok().and_then(|body| Some(body["type"].as_str()?.to_owned()));
    let promised = kind.is_some_and(|kind| kind != "processing" && kind != "unknown");
    let what = format!("{} {} {}", provocation.service, provocation.operation, answer.status);
    (promised && !changed.is_empty()).then(|| format!("{what}: nothing was to be done, and there changed {changed:?}"))
}

fn changed(before: &Stores, after: &Stores) -> Vec<String> {
    let differing = after.iter().filter(|(name, rows)| before.get(*name) != Some(rows));
    differing.map(|(name, rows)| format!("{name}: {} is {rows}", before.get(name).map_or("", String::as_str))).collect()
}

async fn wrong_requests(place: Place, service: &'static str) {
    let town = Town::start(&place).await;
    let complaints = refusals(&town, &Document::committed(service)).await;
    town.stop().await;
    none(&complaints);
}

/// Sends whatever the document's schemas do not allow. What is taken, is refused otherwise than written, or leaves something.
async fn refusals(town: &Town, document: &Document) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut before = town.stores().await;
    for operation in document.operations() {
        let good = good(operation);
        let bodies = body(operation, &good).map(|body| wrong::bodies(operation, &body));
        for variant in bodies.into_iter().flatten().chain(wrong::parameters(operation)) {
            let title = format!("{}, {}", operation.title(), variant.what);
            let answer = send_variant(town, operation, &good, &variant).await;
            let after = town.stores().await;
            let large = variant.body.as_ref().is_some_and(|body| body.len() > BODY_MAX);
            let expected = if large { 413 } else { 400 };
            let field =
                serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["field"].as_str().map(str::to_owned);
            if answer.status != expected || (field != variant.field && variant.field.is_some()) {
                complaints.push(format!("{title}: the answer is {} {}", answer.status, answer.body));
            }
            complaints.extend(operation.misfits(&answer).into_iter().map(|misfit| format!("{title}: {misfit}")));
            complaints.extend(changed(&before, &after).iter().map(|changed| format!("{title}: it left {changed}")));
            before = after;
        }
    }
    complaints
}

/// The documents are as narrow as the services, too: what they allow is not called a bad request.
async fn fitting_requests(place: Place, service: &'static str) {
    let town = Town::start(&place).await;
    let document = Document::committed(service);
    let mut complaints = Vec::new();
    for operation in document.operations() {
        let variants = |good: &Ask| {
            let bodies = body(operation, good).map(|body| wrong::fitting_bodies(operation, &body));
            [bodies.unwrap_or_default(), wrong::fitting_parameters(operation)].concat()
        };
        for place in 0..variants(&good(operation)).len() {
            // Each with an id of its own.
            let good = good(operation);
            let variant = &variants(&good)[place];
            let answer = send_variant(&town, operation, &good, variant).await;
            let title = format!("{}, {}", operation.title(), variant.what);
            if let (Some(schema), Some(body)) = (operation.body(), &variant.body) {
                let body = serde_json::from_slice(body).expect("what fits is JSON");
                assert_eq!(document.unfit(schema, &body), Vec::<String>::new(), "{title}: it does not fit");
            }
            if matches!(answer.status, 400 | 413 | 500..) {
                complaints.push(format!("{title}: the answer is {} {}", answer.status, answer.body));
            }
            complaints.extend(operation.misfits(&answer).into_iter().map(|misfit| format!("{title}: {misfit}")));
        }
    }
    town.stop().await;
    none(&complaints);
}

fn good(operation: Operation<'_>) -> Ask {
    let found = table::good(operation.document.service, operation.name());
    found.unwrap_or_else(|| panic!("{}: no request in the table that is taken", operation.title()))
}

/// The body of a request that is taken, where the operation has one.
fn body(operation: Operation<'_>, good: &Ask) -> Option<Value> {
    operation.body().map(|_| serde_json::from_slice(&good.body).expect("what is taken is JSON"))
}

async fn send_variant(town: &Town, operation: Operation<'_>, good: &Ask, variant: &Variant) -> Answer {
    let mut line = operation.path.to_owned();
    let mut query = String::new();
    match &variant.parameter {
        Some((parameter, value)) if parameter.within == "path" => {
            line = line.replace(&format!("{{{}}}", parameter.name), value);
        }
        Some((parameter, value)) => query = format!("?{}={value}", parameter.name),
        None => {}
    }
    for (name, value) in &good.path {
        line = line.replace(&format!("{{{name}}}"), value);
    }
    let line = format!("{} {line}{query}", operation.method.to_uppercase());
    ask_json(town.address(operation.document.service), &line, variant.body.as_ref().unwrap_or(&good.body)).await
}

async fn unlisted(place: Place) {
    let town = Town::start(&place).await;
    let before = town.stores().await;
    let mut complaints = Vec::new();
    for document in NAMES.map(Document::committed) {
        let paths: BTreeSet<&str> = document.operations().iter().map(|operation| operation.path).collect();
        for path in paths {
            let mine = document.operations().into_iter().filter(|operation| operation.path == path);
            let taken: BTreeSet<String> = mine.map(|operation| operation.method.to_uppercase()).collect();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                if !taken.contains(method) {
                    let line = format!("{method} {}", path.replace(['{', '}'], ""));
                    let answer = ask_json(town.address(document.service), &line, b"{}").await;
                    let allow: BTreeSet<String> = answer
                        .header("allow")
                        .unwrap_or_default()
                        .split(',')
                        .map(|word| word.trim().to_owned())
                        .collect();
                    if answer.status != 405 || !taken.is_subset(&allow) {
                        complaints.push(format!("{line}: {} {} {}", answer.status, answer.head, answer.body));
                    }
                    complaints.extend(document.misfits_of_problem("method-not-allowed", &answer));
                }
            }
            for unknown in [format!("GET {path}/x/y/z"), format!("POST {path}/"), format!("GET /v2{path}")] {
                let line = unknown.replace(['{', '}'], "");
                let answer = ask_json(town.address(document.service), &line, b"{}").await;
                if answer.status != 404 {
                    complaints.push(format!("{line}: {} {}", answer.status, answer.body));
                }
                complaints.extend(document.misfits_of_problem("not-found", &answer));
            }
        }
    }
    complaints.extend(changed(&before, &town.stores().await));
    town.stop().await;
    none(&complaints);
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
