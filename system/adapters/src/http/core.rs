//! Core's front door.
//!
//! In: HTTP/1.1 JSON. Out: [`CoreRequest`]s, and their answers as status and body. Elsewhere: what they mean (`core::Core::handle`).
//!
//! | call | answer |
//! |---|---|
//! | `POST /v1/deposits` | 201 completed, 200 replay or rejected, 409 processing, 422 other parameters |
//! | `POST /v1/transfers` | 201 completed, 200 replay or rejected, 409 processing, 422 other parameters |
//! | `POST /v1/transfers/{id}/resolve` | 200 with the verdict |
//! | `POST /v1/outbound/{id}/outcome` | 200 with the verdict |
//! | `GET /v1/accounts/{no}/entries?after=&limit=` | 200, entries in order |
//! | `GET /v1/accounts/{no}/head` | 200, 404 |
//! | `POST /v1/heads` | 200, known ones in the order asked |
//! | `GET /v1/heads/digests?from=&to=&width=` | 200, a digest for each part that has accounts |
//!
//! `entries` and `heads` take what they are for from the header `bankstorm-purpose`, for the access log: a word that is not known, like any
//! field that is not, is as none.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};
use bankstorm_contracts::banks_api::{CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{
    CoreRequest, CoreResponse, Deposit, HeadsRequest, MAX_ENTRIES, PURPOSE_HEADER, Purpose, Transfer,
};
use bankstorm_contracts::digest::MAX_DIGEST_WIDTH;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, DigestRange, Problem, TransferId, WallMicros};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;

use super::read::{Caller, Fields, Segment, about, body, decode, parse, segment, transfer_id};
use super::server::{json, problem};

/// What a read is for, where the caller says it in a word that is known.
struct Why(Option<Purpose>);

impl<S: Sync> FromRequestParts<S> for Why {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let word = parts.headers.get(PURPOSE_HEADER).and_then(|word| word.to_str().ok());
        Ok(Self(word.and_then(Purpose::from_word)))
    }
}

/// The calls of core; to be merged with [`super::server::operations`].
pub fn router<O: CoreOutside>(core: Core<O>) -> Router {
    Router::new()
        .route("/v1/deposits", post(deposit::<O>))
        .route("/v1/transfers", post(transfer::<O>))
        .route("/v1/transfers/{id}/resolve", post(resolve::<O>))
        .route("/v1/outbound/{id}/outcome", post(outcome::<O>))
        .route("/v1/accounts/{no}/entries", get(entries::<O>))
        .route("/v1/accounts/{no}/head", get(head::<O>))
        .route("/v1/heads", post(heads::<O>))
        .route("/v1/heads/digests", get(digests::<O>))
        .with_state(core)
}

async fn deposit<O: CoreOutside>(State(core): State<Core<O>>, caller: Caller, request: Body) -> Response {
    let read = async { decode::<Deposit>(&body(request).await?, blame_deposit).map(CoreRequest::Deposit) };
    answer(&core, &caller, read.await).await
}

async fn transfer<O: CoreOutside>(State(core): State<Core<O>>, caller: Caller, request: Body) -> Response {
    let read = async { decode::<Transfer>(&body(request).await?, blame_transfer).map(CoreRequest::Transfer) };
    answer(&core, &caller, read.await).await
}

async fn resolve<O: CoreOutside>(State(core): State<Core<O>>, caller: Caller, id: Segment) -> Response {
    answer(&core, &caller, transfer_id(id).map(CoreRequest::Resolve)).await
}

async fn outcome<O: CoreOutside>(State(core): State<Core<O>>, caller: Caller, id: Segment, request: Body) -> Response {
    let read = async {
        let id = transfer_id(id)?;
        let told = decode::<CreditAnswer>(&body(request).await?, blame_outcome)?;
        if told.id != id {
            let detail = format!("id is {}; accepted is that of the path, {id}", told.id);
            return Err(Problem::bad_field("id", detail));
        }
        Ok(CoreRequest::BankOutcome(told))
    };
    answer(&core, &caller, read.await).await
}

async fn entries<O: CoreOutside>(
    State(core): State<Core<O>>,
    caller: Caller,
    Why(purpose): Why,
    no: Segment,
    query: Result<Query<BTreeMap<String, String>>, QueryRejection>,
) -> Response {
    let request = account(no).and_then(|account| {
        let Query(query) = query.map_err(|error| Problem::new(ProblemKind::BadRequest, error.body_text()))?;
        let after = query.get("after").map_or(Ok(0), |text| parse("after", text, "a serial, from 0"))?;
        let accepted = format!("a number from 1 to {MAX_ENTRIES}");
        let limit = query.get("limit").map_or(Ok(MAX_ENTRIES), |text| parse("limit", text, &accepted))?;
        Ok(CoreRequest::Entries { account, after, limit, purpose })
    });
    answer(&core, &caller, request).await
}

async fn head<O: CoreOutside>(State(core): State<Core<O>>, caller: Caller, no: Segment) -> Response {
    let response = match account(no) {
        Ok(account) => core.handle(caller.name(), CoreRequest::Head(account)).await,
        Err(refusal) => CoreResponse::Problem(refusal),
    };
    respond(match response {
        // The account is all that there is to refuse; only the path calls it `no`.
        CoreResponse::Problem(refusal) if matches!(refusal.kind, ProblemKind::BadRequest | ProblemKind::NotFound) => {
            CoreResponse::Problem(about("no", refusal))
        }
        other => other,
    })
}

async fn heads<O: CoreOutside>(
    State(core): State<Core<O>>,
    caller: Caller,
    Why(purpose): Why,
    request: Body,
) -> Response {
    let blame = |fields: &Fields<'_>| fields.wrong::<Vec<AccountNo>>("accounts", "a list of account numbers");
    let read = async {
        let HeadsRequest { accounts } = decode(&body(request).await?, blame)?;
        Ok(CoreRequest::Heads { accounts, purpose })
    };
    answer(&core, &caller, read.await).await
}

async fn digests<O: CoreOutside>(
    State(core): State<Core<O>>,
    caller: Caller,
    query: Result<Query<BTreeMap<String, String>>, QueryRejection>,
) -> Response {
    let number = |query: &BTreeMap<String, String>, field: &str, all: AccountNo| {
        query.get(field).map_or(Ok(all), |text| parse(field, text, "an account number").map(AccountNo::new))
    };
    let request = query.map_err(|error| Problem::new(ProblemKind::BadRequest, error.body_text())).and_then(|query| {
        let (Query(query), all) = (query, DigestRange::ALL);
        let accepted = format!("a number from 1 to {MAX_DIGEST_WIDTH}");
        Ok(CoreRequest::Digests(DigestRange {
            from: number(&query, "from", all.from)?,
            to: number(&query, "to", all.to)?,
            width: query.get("width").map_or(Ok(all.width), |text| parse("width", text, &accepted))?,
        }))
    });
    answer(&core, &caller, request).await
}

fn account(no: Segment) -> Result<AccountNo, Problem> {
    parse("no", &segment("no", no)?, "an account number").map(AccountNo::new)
}

fn blame_deposit(fields: &Fields<'_>) -> Option<Problem> {
    fields
        .wrong::<TransferId>("id", "a UUID")
        .or_else(|| fields.wrong::<AccountNo>("account", "an account number"))
        .or_else(|| fields.wrong::<i64>("amount", "whole won"))
        .or_else(|| fields.wrong_party("from."))
}

fn blame_transfer(fields: &Fields<'_>) -> Option<Problem> {
    fields
        .wrong::<TransferId>("id", "a UUID")
        .or_else(|| fields.wrong::<AccountNo>("from", "an account number"))
        .or_else(|| fields.wrong_party("to."))
        .or_else(|| fields.wrong::<i64>("amount", "whole won"))
        .or_else(|| fields.wrong::<WallMicros>("requested_at", "microseconds since 1970"))
        .or_else(|| fields.wrong::<u32>("valid_for_ms", "milliseconds"))
}

fn blame_outcome(fields: &Fields<'_>) -> Option<Problem> {
    fields.wrong::<TransferId>("id", "a UUID").or_else(|| fields.wrong::<CreditState>("state", "credited or refused"))
}

async fn answer<O: CoreOutside>(core: &Core<O>, caller: &Caller, request: Result<CoreRequest, Problem>) -> Response {
    respond(match request {
        Ok(request) => core.handle(caller.name(), request).await,
        Err(refusal) => CoreResponse::Problem(refusal),
    })
}

fn respond(response: CoreResponse) -> Response {
    match response {
        CoreResponse::Created(verdict) => json(StatusCode::CREATED, &verdict),
        CoreResponse::Verdict(verdict) => json(StatusCode::OK, &verdict),
        CoreResponse::Entries(entries) => json(StatusCode::OK, &entries),
        CoreResponse::Head(head) => json(StatusCode::OK, &head),
        CoreResponse::Heads(heads) => json(StatusCode::OK, &heads),
        CoreResponse::Digests(digests) => json(StatusCode::OK, &digests),
        CoreResponse::Problem(refusal) => problem(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts;
    use axum::http::{HeaderValue, Request};
    use bankstorm_contracts::banks_api::CreditAnswer;
    use bankstorm_contracts::core_api::{Deposit, PURPOSE_HEADER, Purpose, Transfer};

    use super::{Why, blame_deposit, blame_outcome, blame_transfer, decode};

    #[tokio::test]
    async fn a_purpose_is_one_of_its_words_and_anything_else_is_none() {
        let words = Purpose::ALL.map(|purpose| (Some(purpose.as_str().as_bytes()), Some(purpose)));
        let others: [(Option<&[u8]>, Option<Purpose>); 4] =
            [(None, None), (Some(b""), None), (Some(b"READ"), None), (Some(b"\xea\xb0\x80"), None)];
        for (word, expected) in words.into_iter().chain(others) {
            let mut request = Request::builder();
            if let Some(word) = word {
                request = request.header(PURPOSE_HEADER, HeaderValue::from_bytes(word).expect("bytes of a header"));
            }
            let (mut parts, ()) = request.body(()).expect("a request").into_parts();
            let Ok(Why(purpose)) = Why::from_request_parts(&mut parts, &()).await;
            assert_eq!(purpose, expected, "{word:?}");
        }
    }

    #[test]
    fn a_bad_body_is_told_which_field() {
        let id = r#""id":"00000000-0000-0000-0000-000000000001""#;
        let cases = [
            (format!("{{{id},\"account\":1000000,\"amount\":5,\"from\":{{\"bank\":\"088\"}}}}"), Some("from.account")),
            (format!("{{{id},\"account\":1000000,\"amount\":5}}"), Some("from")),
            (format!("{{{id},\"account\":1000000,\"amount\":5,\"from\":[\"088\",\"7\"]}}"), Some("from")),
            (r#"["00000000-0000-0000-0000-000000000001",1000000,5,{"bank":"088","account":"7"}]"#.to_owned(), None),
            (format!("{{{id},\"account\":1000000,\"amount\":\"5\"}}"), Some("amount")),
            (format!("{{{id}}}"), Some("account")),
            (r#"{"id":"7"}"#.to_owned(), Some("id")),
            ("[]".to_owned(), None),
            ("{".to_owned(), None),
        ];
        for (text, field) in cases {
            let problem = decode::<Deposit>(text.as_bytes(), blame_deposit).expect_err(&text);
            assert_eq!((problem.status, problem.field.as_deref()), (400, field), "{text}");
        }
        let wider = format!(
            "{{{id},\"account\":1000000,\"amount\":5,\"from\":{{\"bank\":\"088\",\"account\":\"7\"}},\"memo\":\"rent\"}}"
        );
        decode::<Deposit>(wider.as_bytes(), blame_deposit).expect("unknown fields are ignored");
    }
    #[test]
    fn a_bad_transfer_or_outcome_is_told_which_field() {
        let id = r#""id":"00000000-0000-0000-0000-000000000001""#;
        let to = r#""to":{"bank":"900","account":"1000002"}"#;
        let most = format!("{id},\"from\":1000001,{to},\"amount\":5");
        let cases = [
            ("{}".to_owned(), Some("id")),
            (format!("{{{id},\"from\":\"7\"}}"), Some("from")),
            (format!("{{{id},\"from\":1000001}}"), Some("to")),
            (format!("{{{id},\"from\":1000001,\"to\":{{\"bank\":900}}}}"), Some("to.bank")),
            (format!("{{{id},\"from\":1000001,{to},\"amount\":5.5}}"), Some("amount")),
            (format!("{{{most}}}"), Some("requested_at")),
            (format!("{{{most},\"requested_at\":1,\"valid_for_ms\":-1}}"), Some("valid_for_ms")),
        ];
        for (text, field) in cases {
            let problem = decode::<Transfer>(text.as_bytes(), blame_transfer).expect_err(&text);
            assert_eq!((problem.status, problem.field.as_deref()), (400, field), "{text}");
        }
        let good = format!("{{{most},\"requested_at\":1,\"valid_for_ms\":5000,\"memo\":\"rent\"}}");
        decode::<Transfer>(good.as_bytes(), blame_transfer).expect("unknown fields are ignored");
        let text = format!("{{{id},\"state\":\"maybe\"}}");
        let problem = decode::<CreditAnswer>(text.as_bytes(), blame_outcome).expect_err("no such state");
        assert_eq!(problem.field.as_deref(), Some("state"));
    }
}
