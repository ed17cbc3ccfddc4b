//! A channel's front door.
//!
//! In: HTTP/1.1. Out: [`ChannelRequest`]s, and their answers as status and body. Elsewhere: what they mean
//! (`channel::Channel::handle`).
//!
//! | call | answer |
//! |---|---|
//! | `GET /v1/accounts/{no}/history?cursor=&limit=` | 200 with a page, newest first; 404 |

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use bankstorm_channel::Channel;
use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, DEFAULT_PAGE, MAX_PAGE};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Problem};
use bankstorm_outside::bundle::ChannelOutside;

use super::server::{json, parse, problem, segment};

/// The calls of a channel; to be merged with [`super::server::operations`].
pub fn router<O: ChannelOutside>(channel: Channel<O>) -> Router {
    Router::new().route("/v1/accounts/{no}/history", get(history::<O>)).with_state(channel)
}

type Parameters = Result<Query<BTreeMap<String, String>>, QueryRejection>;

async fn history<O: ChannelOutside>(
    State(channel): State<Channel<O>>,
    no: Result<Path<String>, PathRejection>,
    query: Parameters,
) -> Response {
    let response = match segment("no", no).and_then(|no| read(&no, query)) {
        Ok(request) => channel.handle(request).await,
        Err(refusal) => return problem(&refusal),
    };
    match response {
        ChannelResponse::History(page) => json(StatusCode::OK, &page),
        ChannelResponse::Problem(refusal) => problem(&refusal),
    }
}

fn read(no: &str, query: Parameters) -> Result<ChannelRequest, Problem> {
    let account = parse("no", no, "an account number").map(AccountNo::new)?;
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
    use bankstorm_contracts::channel_api::ChannelRequest;

    use super::read;

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
}
