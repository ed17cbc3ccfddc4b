//! A channel's front door.
//!
//! In: HTTP/1.1. Out: [`ChannelRequest`]s, and their answers as status and body. Elsewhere: what they mean
//! (`channel::Channel::handle`).
//!
//! | call | answer |
//! |---|---|
//! | `GET /v1/accounts/{no}/history?cursor=&limit=` | 200 with a page, newest first; 404 |
//! | `POST /v1/transfers` | 201 completed, 202 nobody knows yet, 200 as it stands, 409 another is in progress, 422 other parameters |
//! | `GET /v1/transfers/{id}` | 200 as it stands, 404 |
//! | `POST /v1/accounts/{no}/sync` | 200 with what the button came to, 404; a body is not read |
//! | `POST /v1/dead-letters/redrive` | 200 with what became of them |

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bankstorm_channel::Channel;
use bankstorm_contracts::channel_api::{
    ChannelRequest, ChannelResponse, DEFAULT_PAGE, MAX_PAGE, MAX_REDRIVE, RedriveRequest, SubmitTransfer,
};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Problem, TransferId, UserNo};
use bankstorm_outside::bundle::ChannelOutside;

use super::read::{Fields, Segment, about, body, decode, parse, segment, transfer_id};
use super::server::{json, problem};

/// The calls of a channel; to be merged with [`super::server::operations`].
pub fn router<O: ChannelOutside>(channel: Channel<O>) -> Router {
    Router::new()
        .route("/v1/accounts/{no}/history", get(history::<O>))
        .route("/v1/accounts/{no}/sync", post(sync::<O>))
        .route("/v1/dead-letters/redrive", post(redrive::<O>))
        .route("/v1/transfers", post(submit::<O>))
        .route("/v1/transfers/{id}", get(transfer::<O>))
        .with_state(channel)
}

type Parameters = Result<Query<BTreeMap<String, String>>, QueryRejection>;

async fn history<O: ChannelOutside>(State(channel): State<Channel<O>>, no: Segment, query: Parameters) -> Response {
    answer(&channel, "no", segment("no", no).and_then(|no| read(&no, query))).await
}

async fn submit<O: ChannelOutside>(State(channel): State<Channel<O>>, request: Body) -> Response {
    let read = async { decode::<SubmitTransfer>(&body(request).await?, blame_submit).map(ChannelRequest::Submit) };
    answer(&channel, "id", read.await).await
}

async fn transfer<O: ChannelOutside>(State(channel): State<Channel<O>>, id: Segment) -> Response {
    answer(&channel, "id", transfer_id(id).map(ChannelRequest::Transfer)).await
}

async fn sync<O: ChannelOutside>(State(channel): State<Channel<O>>, no: Segment) -> Response {
    answer(&channel, "no", segment("no", no).and_then(|no| account(&no)).map(ChannelRequest::Sync)).await
}

async fn redrive<O: ChannelOutside>(State(channel): State<Channel<O>>, request: Body) -> Response {
    let read = async { decode::<RedriveRequest>(&body(request).await?, blame_redrive).map(ChannelRequest::Redrive) };
    answer(&channel, "limit", read.await).await
}

/// `subject` is what the request calls that which may not be there.
async fn answer<O: ChannelOutside>(
    channel: &Channel<O>,
    subject: &str,
    request: Result<ChannelRequest, Problem>,
) -> Response {
    let response = match request {
        Ok(request) => channel.handle(request).await,
        Err(refusal) => return problem(&refusal),
    };
    match response {
        ChannelResponse::History(page) => json(StatusCode::OK, &page),
        ChannelResponse::Created(view) => json(StatusCode::CREATED, &view),
        ChannelResponse::Accepted(view) => json(StatusCode::ACCEPTED, &view),
        ChannelResponse::Transfer(view) => json(StatusCode::OK, &view),
        ChannelResponse::Synced(synced) => json(StatusCode::OK, &synced),
        ChannelResponse::Redriven(redriven) => json(StatusCode::OK, &redriven),
        ChannelResponse::Problem(refusal) if refusal.kind == ProblemKind::NotFound => problem(&about(subject, refusal)),
        ChannelResponse::Problem(refusal) => problem(&refusal),
    }
}

fn blame_submit(fields: &Fields<'_>) -> Option<Problem> {
    fields
        .wrong::<TransferId>("id", "a UUID")
        .or_else(|| fields.wrong::<UserNo>("user", "a customer's number"))
        .or_else(|| fields.wrong::<AccountNo>("from", "an account number"))
        .or_else(|| fields.wrong_party("to."))
        .or_else(|| fields.wrong::<i64>("amount", "whole won"))
}

fn blame_redrive(fields: &Fields<'_>) -> Option<Problem> {
    fields.wrong::<u32>("limit", &format!("a number from 1 to {MAX_REDRIVE}"))
}

fn account(no: &str) -> Result<AccountNo, Problem> {
    parse("no", no, "an account number").map(AccountNo::new)
}

fn read(no: &str, query: Parameters) -> Result<ChannelRequest, Problem> {
    let account = account(no)?;
    let Query(query) = query.map_err(|error| Problem::new(ProblemKind::BadRequest, error.body_text()))?;
    let cursor = match query.get("cursor").filter(|text| !text.is_empty()) {
        Some(text) => Some(parse("cursor", text, "the next_cursor of a page")?),
        None => None,
    };
    let accepted = format!("a number from 1 to {MAX_PAGE}");
    let limit = match query.get("limit").filter(|text| !text.is_empty()) {
        Some(text) => parse("limit", text, &accepted)?,
        None => DEFAULT_PAGE,
    };
    Ok(ChannelRequest::History { account, cursor, limit })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::extract::Query;
    use bankstorm_contracts::AccountNo;
    use bankstorm_contracts::channel_api::{ChannelRequest, RedriveRequest, SubmitTransfer};

    use super::{account, blame_redrive, blame_submit, decode, read};

    fn ask(no: &str, query: &[(&str, &str)]) -> Result<ChannelRequest, Option<String>> {
        let query: BTreeMap<_, _> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(no, Ok(Query(query))).map_err(|problem| problem.field)
    }

    #[test]
    fn parameters_are_read_or_named() {
        let account = AccountNo::new(1_000_000);
        let history = |cursor, limit| Ok(ChannelRequest::History { account, cursor, limit });
        assert_eq!(ask("1000000", &[]), history(None, 20));
        assert_eq!(ask("1000000", &[("cursor", ""), ("limit", "7")]), history(None, 7));
        assert_eq!(ask("1000000", &[("cursor", "41"), ("page", "2")]), history(Some(41), 20));
        for (no, query, field) in [
            ("x", None, "no"),
            ("1000000", Some(("cursor", "last")), "cursor"),
            ("1000000", Some(("limit", "-1")), "limit"),
        ] {
            assert_eq!(ask(no, query.as_slice()), Err(Some(field.to_owned())));
        }
    }

    #[test]
    fn a_bad_button_or_command_is_told_which_field() {
        assert_eq!(account("1000000"), Ok(AccountNo::new(1_000_000)));
        assert_eq!(account("mine").map_err(|problem| problem.field), Err(Some("no".to_owned())));
        for (text, field) in [("{}", Some("limit")), (r#"{"limit":-1}"#, Some("limit")), ("7", None)] {
            let problem = decode::<RedriveRequest>(text.as_bytes(), blame_redrive).expect_err(text);
            assert_eq!((problem.status, problem.field.as_deref()), (400, field), "{text}");
        }
    }

    #[test]
    fn a_bad_transfer_is_told_which_field() {
        let id = r#""id":"00000000-0000-0000-0000-000000000001""#;
        for (text, field) in [
            (format!("{{{id}}}"), Some("user")),
            (format!("{{{id},\"user\":1,\"from\":1000001,\"to\":[]}}"), Some("to")),
            (format!("{{{id},\"user\":1,\"from\":1000001,\"to\":{{\"bank\":\"900\"}}}}"), Some("to.account")),
            ("7".to_owned(), None),
        ] {
            let problem = decode::<SubmitTransfer>(text.as_bytes(), blame_submit).expect_err(&text);
            assert_eq!((problem.status, problem.field.as_deref()), (400, field), "{text}");
        }
    }
}
