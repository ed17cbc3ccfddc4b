//! Core's front door.
//!
//! In: HTTP/1.1 JSON. Out: [`CoreRequest`]s, and their answers as status and body. Elsewhere: what they mean (`core::Core::handle`).
//!
//! | call | answer |
//! |---|---|
//! | `POST /v1/deposits` | 201 completed, 200 replay or rejected, 409 processing, 422 other parameters |
//! | `POST /v1/transfers/{id}/resolve` | 200 with the verdict |
//! | `GET /v1/accounts/{no}/entries?after=&limit=` | 200, entries in order |
//! | `GET /v1/accounts/{no}/head` | 200, 404 |
//! | `POST /v1/heads` | 200, known ones in the order asked |

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, HeadsRequest, MAX_ENTRIES};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Problem, TransferId};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;

use super::server::{Fields, body, decode, json, parse, problem, segment};

/// The calls of core; to be merged with [`super::server::operations`].
pub fn router<O: CoreOutside>(core: Core<O>) -> Router {
    Router::new()
        .route("/v1/deposits", post(deposit::<O>))
        .route("/v1/transfers/{id}/resolve", post(resolve::<O>))
        .route("/v1/accounts/{no}/entries", get(entries::<O>))
        .route("/v1/accounts/{no}/head", get(head::<O>))
        .route("/v1/heads", post(heads::<O>))
        .with_state(core)
}

type Segment = Result<Path<String>, PathRejection>;

async fn deposit<O: CoreOutside>(State(core): State<Core<O>>, request: Body) -> Response {
    let read = async { decode::<Deposit>(&body(request).await?, blame_deposit).map(CoreRequest::Deposit) };
    answer(&core, read.await).await
}

async fn resolve<O: CoreOutside>(State(core): State<Core<O>>, id: Segment) -> Response {
    let id = segment("id", id).and_then(|id| parse::<TransferId>("id", &id, "a UUID"));
    answer(&core, id.map(CoreRequest::Resolve)).await
}

async fn entries<O: CoreOutside>(
    State(core): State<Core<O>>,
    no: Segment,
    query: Result<Query<BTreeMap<String, String>>, QueryRejection>,
) -> Response {
    let request = account(no).and_then(|account| {
        let Query(query) = query.map_err(|error| Problem::new(ProblemKind::BadRequest, error.body_text()))?;
        let after = query.get("after").map_or(Ok(0), |text| parse("after", text, "a serial, from 0"))?;
        let accepted = format!("a number from 1 to {MAX_ENTRIES}");
        let limit = query.get("limit").map_or(Ok(MAX_ENTRIES), |text| parse("limit", text, &accepted))?;
        Ok(CoreRequest::Entries { account, after, limit })
    });
    answer(&core, request).await
}

async fn head<O: CoreOutside>(State(core): State<Core<O>>, no: Segment) -> Response {
    answer(&core, account(no).map(CoreRequest::Head)).await
}

async fn heads<O: CoreOutside>(State(core): State<Core<O>>, request: Body) -> Response {
    let blame = |fields: &Fields<'_>| fields.wrong::<Vec<AccountNo>>("accounts", "a list of account numbers");
    let read = async {
        decode::<HeadsRequest>(&body(request).await?, blame).map(|request| CoreRequest::Heads(request.accounts))
    };
    answer(&core, read.await).await
}

fn account(no: Segment) -> Result<AccountNo, Problem> {
    parse("no", &segment("no", no)?, "an account number").map(AccountNo::new)
}

fn blame_deposit(fields: &Fields<'_>) -> Option<Problem> {
    fields
        .wrong::<TransferId>("id", "a UUID")
        .or_else(|| fields.wrong::<AccountNo>("account", "an account number"))
        .or_else(|| fields.wrong::<i64>("amount", "whole won"))
        .or_else(|| {
            fields.wrong_within("from.", |from| {
                from.wrong::<String>("bank", "a text").or_else(|| from.wrong::<String>("account", "a text"))
            })
        })
}

async fn answer<O: CoreOutside>(core: &Core<O>, request: Result<CoreRequest, Problem>) -> Response {
    let response = match request {
        Ok(request) => core.handle("http", request).await,
        Err(refusal) => return problem(&refusal),
    };
    match response {
        CoreResponse::Created(verdict) => json(StatusCode::CREATED, &verdict),
        CoreResponse::Verdict(verdict) => json(StatusCode::OK, &verdict),
        CoreResponse::Entries(entries) => json(StatusCode::OK, &entries),
        CoreResponse::Head(head) => json(StatusCode::OK, &head),
        CoreResponse::Heads(heads) => json(StatusCode::OK, &heads),
        CoreResponse::Problem(refusal) => problem(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::core_api::Deposit;

    use super::{blame_deposit, decode};

    #[test]
    fn a_bad_body_is_told_which_field() {
        let id = r#""id":"00000000-0000-0000-0000-000000000001""#;
        let cases = [
            (format!("{{{id},\"account\":1000000,\"amount\":5,\"from\":{{\"bank\":\"088\"}}}}"), Some("from.account")),
            (format!("{{{id},\"account\":1000000,\"amount\":5}}"), Some("from")),
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
}
