//! Whether the tester sees: documents that were falsified on purpose must make it complain.
//!
//! In: the committed documents, each with one change. Out: trials. Elsewhere: what it complains of otherwise (`contract`).

use serde_json::{Value, json};

use super::document::Document;
use super::town::Town;
use super::{judge, play, refusals, table};
use crate::Place;

/// A change to a service's document, and words of the complaint that it must bring.
type Case = (&'static str, fn(&mut Value), &'static [&'static str]);

fn doctored(service: &'static str, change: fn(&mut Value)) -> Document {
    let mut document = Document::committed(service);
    let before = document.json.clone();
    change(&mut document.json);
    assert!(document.json != before, "{service}: nothing was changed");
    document
}

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there"))
}

fn take(document: &mut Value, pointer: &str, name: &str) {
    at(document, pointer).as_object_mut().expect("an object").remove(name);
}

fn require(document: &mut Value, schema: &str, name: &str) {
    at(document, &format!("/components/schemas/{schema}/required")).as_array_mut().expect("a list").push(name.into());
}

/// What the answers must not fit any more.
const ANSWERS: [Case; 9] = [
    (
        "banks",
        |it| take(it, "/paths/~1v1~1credits/post/responses", "422"),
        &["banks credit 422", "provoked and not listed"],
    ),
    (
        "core",
        |it| {
            let responses = at(it, "/paths/~1v1~1heads/post/responses");
            responses["418"] = responses["503"].clone();
        },
        &["core heads 418", "listed and not provoked"],
    ),
    (
        "core",
        |it| *at(it, "/components/schemas/Head/properties/seq/type") = "string".into(),
        &["core head 200", "string"],
    ),
    ("core", |it| require(it, "Verdict", "fee"), &["core deposit 201", "fee"]),
    (
        "channel",
        |it| take(it, "/components/schemas/HistoryPage/properties", "as_of_seq"),
        &["history 200", "as_of_seq"],
    ),
    (
        "channel",
        |it| {
            *at(
                it,
                "/paths/~1v1~1transfers/post/responses/409/content/application~1problem+json/schema/properties/type/enum",
            ) = json!(["processing"])
        },
        &["channel submit 409", "/type"],
    ),
    (
        "channel",
        |it| {
            let content = at(it, "/paths/~1v1~1transfers/post/responses/202/content");
            *content = json!({ "text/plain": content["application/json"] });
        },
        &["channel submit 202", "content-type"],
    ),
    (
        "banks",
        |it| {
            let headers = at(it, "/paths/~1v1~1credits/post/responses/503/headers");
            *headers = json!({ "Come-Again": headers["Retry-After"] });
        },
        &["banks credit 503", "Come-Again"],
    ),
    (
        "core",
        |it| *at(it, "/paths/~1v1~1deposits/post/operationId") = "bring".into(),
        &["core deposit 201", "call is provoked and not listed"],
    ),
];

pub(super) async fn statuses(place: Place) {
    let town = Town::start(&place).await;
    let exchanges = play(&town, table::all()).await;
    town.stop().await;
    for (service, change, words) in ANSWERS {
        expect(&judge(&doctored(service, change), &exchanges), words);
    }
}

/// What the services must not refuse any more, each with the one call that it is about.
const REQUESTS: [(&str, &str, Case); 5] = [
    (
        "/v1/deposits",
        "post",
        (
            "core",
            |it| *at(it, "/components/schemas/Deposit/properties/amount/maximum") = 1_000.into(),
            &["amount is 1001", "201"],
        ),
    ),
    ("/v1/deposits", "post", ("core", |it| require(it, "Deposit", "memo"), &["memo is missing", "20"])),
    (
        "/v1/credits",
        "post",
        ("banks", |it| *at(it, "/components/schemas/Party/properties/bank/maxLength") = 3.into(), &["to.bank", "20"]),
    ),
    (
        "/v1/accounts/{no}/entries",
        "get",
        (
            "core",
            |it| *at(it, "/paths/~1v1~1accounts~1{no}~1entries/get/parameters/2/schema/maximum") = 9.into(),
            &["limit is 10", "200"],
        ),
    ),
    (
        "/v1/transfers",
        "post",
        (
            "channel",
            |it| *at(it, "/components/schemas/SubmitTransfer/properties/user/minimum") = 100.into(),
            &["user is 99", "20"],
        ),
    ),
];

pub(super) async fn requests(place: Place) {
    let town = Town::start(&place).await;
    for (path, method, (service, change, words)) in REQUESTS {
        let mut document = doctored(service, change);
        let call = document.json["paths"][path][method].clone();
        document.json["paths"] = json!({ path: { method: call } });
        let complaints = refusals(&town, &document).await;
        expect(&complaints, words);
        if method == "post" {
            expect(&complaints, &["it left"]);
        }
    }
    town.stop().await;
}

fn expect(complaints: &[String], words: &[&str]) {
    let about = |complaint: &&String| words.iter().all(|word| complaint.contains(word));
    assert!(complaints.iter().any(|complaint| about(&complaint)), "nothing of {words:?} in {complaints:?}");
}
