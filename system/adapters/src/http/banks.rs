//! The other banks' front door.
//!
//! In: HTTP/1.1 JSON. Out: [`BanksRequest`]s, and their answers as status and body. Elsewhere: what they mean (`banks::Banks::handle`).
//!
//! | call | answer |
//! |---|---|
//! | `POST /v1/credits` | 200 with the answer, 202 taken on, 422 other parameters; or none |
//! | `POST /v1/credits/{id}/cancel` | 200 with the answer |

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use bankstorm_banks::Banks;
use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, TakenOn};
use bankstorm_contracts::{Problem, TransferId};
use bankstorm_outside::bundle::BanksOutside;

use super::read::{Caller, Fields, Segment, body, decode, transfer_id};
use super::server::{json, problem};

/// The calls of the banks; to be merged with [`super::server::operations`].
pub fn router<O: BanksOutside>(banks: Banks<O>) -> Router {
    Router::new()
        .route("/v1/credits", post(credit::<O>))
        .route("/v1/credits/{id}/cancel", post(cancel::<O>))
        .with_state(banks)
}

async fn credit<O: BanksOutside>(State(banks): State<Banks<O>>, caller: Caller, request: Body) -> Response {
    let read = async { decode::<Credit>(&body(request).await?, blame_credit).map(BanksRequest::Credit) };
    answer(&banks, &caller, read.await).await
}

async fn cancel<O: BanksOutside>(State(banks): State<Banks<O>>, caller: Caller, id: Segment) -> Response {
    answer(&banks, &caller, transfer_id(id).map(BanksRequest::Cancel)).await
}

fn blame_credit(fields: &Fields<'_>) -> Option<Problem> {
    fields
        .wrong::<TransferId>("id", "a UUID")
        .or_else(|| fields.wrong_party("to."))
        .or_else(|| fields.wrong::<i64>("amount", "whole won"))
}

async fn answer<O: BanksOutside>(
    banks: &Banks<O>,
    caller: &Caller,
    request: Result<BanksRequest, Problem>,
) -> Response {
    let response = match request {
        Ok(request) => banks.handle(caller.name(), request).await,
        Err(refusal) => return problem(&refusal),
    };
    match response {
        BanksResponse::Answer(definite) => json(StatusCode::OK, &definite),
        BanksResponse::Accepted(id) => json(StatusCode::ACCEPTED, &TakenOn { id }),
        BanksResponse::Problem(refusal) => problem(&refusal),
    }
}
