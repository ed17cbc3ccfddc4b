//! What a request says: its caller, its body, its fields, its path and query.
//!
//! In: requests. Out: values of `contracts`, or the problem that names the field. Elsewhere: sockets and answers (`server`), limits of the
//! values themselves (`contracts`).

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{Problem, TransferId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

/// The header in which a caller names itself.
pub const CALLER: &str = "bankstorm-caller";
/// The longest such name, in bytes.
pub const CALLER_MAX: usize = 64;
/// The largest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A path segment, decoded or not.
pub type Segment = Result<Path<String>, PathRejection>;

/// The address at the other end of the connection; the serve loop puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Who asks: the name in [`CALLER`], else the peer's IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(String);

impl Caller {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// A name that is empty, too long or not printable ASCII is none.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let named = parts.headers.get(CALLER).and_then(|name| name.to_str().ok());
        let named = named.filter(|name| (1..=CALLER_MAX).contains(&name.len()));
        Ok(Self(named.map_or_else(
            || parts.extensions.get::<Peer>().map_or_else(|| "unknown".to_owned(), |Peer(ip)| ip.to_string()),
            ToOwned::to_owned,
        )))
    }
}

/// The request's body, if it is no larger than [`BODY_MAX`].
pub async fn body(body: Body) -> Result<Bytes, Problem> {
    match timeout(BODY_LIMIT, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let too_large =
                std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            Err(if too_large {
                Problem::new(ProblemKind::BodyTooLarge, format!("the body is larger than {BODY_MAX} bytes"))
            } else {
                Problem::new(ProblemKind::BadRequest, format!("the body was not read: {error}"))
            })
        }
        Err(_) => Err(Problem::new(ProblemKind::BadRequest, format!("the body did not arrive within {BODY_LIMIT:?}"))),
    }
}

/// Reads a JSON object; `blame` finds the field at fault when it does not fit. Unknown fields are ignored.
pub fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    blame: impl FnOnce(&Fields<'_>) -> Option<Problem>,
) -> Result<T, Problem> {
    let refuse = |what: String| Err(Problem::new(ProblemKind::BadRequest, what));
    let read = serde_json::from_slice(bytes);
    // serde takes an object also from the list of its values, which the contract does not allow.
    if !bytes.contains(&b'[')
        && let Ok(value) = read
    {
        return Ok(value);
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => match (blame(&Fields { object: &object, under: "" }), read) {
            (Some(problem), _) => Err(problem),
            (None, Ok(value)) => Ok(value),
            (None, Err(error)) => refuse(format!("the body is not what was expected: {error}")),
        },
        Ok(_) => refuse("the body is JSON, and not an object".to_owned()),
        Err(error) => refuse(format!("the body is not JSON: {error}")),
    }
}

/// The fields of a body that did not fit.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    under: &'a str,
}

impl Fields<'_> {
    /// The problem with a field, if it is one that does not read as `T`.
    pub fn wrong<T: DeserializeOwned>(&self, name: &str, accepted: &str) -> Option<Problem> {
        let path = format!("{}{name}", self.under);
        match self.object.get(name) {
            None => Some(Problem::bad_field(&path, format!("{path} is missing; accepted is {accepted}"))),
            Some(value) if T::deserialize(value).is_err() => {
                Some(Problem::bad_field(&path, format!("{path} is {value}; accepted is {accepted}")))
            }
            Some(_) => None,
        }
    }

    /// The problem inside a field that is a party; `prefix` is its name with a dot.
    pub fn wrong_party(&self, prefix: &str) -> Option<Problem> {
        self.wrong_within(prefix, |party| {
            party.wrong::<String>("bank", "a text").or_else(|| party.wrong::<String>("account", "a text"))
        })
    }

    /// The problem inside a field that is an object of its own; `prefix` is its name with a dot.
    pub fn wrong_within(&self, prefix: &str, blame: impl FnOnce(&Fields<'_>) -> Option<Problem>) -> Option<Problem> {
        let name = prefix.trim_end_matches('.');
        match self.object.get(name) {
            Some(Value::Object(object)) => blame(&Fields { object, under: prefix }),
            Some(value) => Some(Problem::bad_field(name, format!("{name} is {value}; accepted is an object"))),
            None => Some(Problem::bad_field(name, format!("{name} is missing; accepted is an object"))),
        }
    }
}

/// Reads a path segment or a query value.
pub fn parse<T: std::str::FromStr>(field: &str, text: &str, accepted: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad_field(field, format!("{field} is {text:?}; accepted is {accepted}")))
}

/// A path segment as text.
pub fn segment(field: &str, segment: Segment) -> Result<String, Problem> {
    segment.map(|Path(text)| text).map_err(|error| Problem::bad_field(field, error.body_text()))
}

/// A refusal that is about what a path parameter names.
pub fn about(parameter: &str, refusal: Problem) -> Problem {
    Problem { field: Some(parameter.to_owned()), ..refusal }
}

/// A path segment as a transfer's id.
pub fn transfer_id(id: Segment) -> Result<TransferId, Problem> {
    parse("id", &segment("id", id)?, "a UUID")
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts;
    use axum::http::{HeaderValue, Request};

    use super::{CALLER, Caller, Peer};

    #[tokio::test]
    async fn a_caller_is_who_it_says_or_where_it_is() {
        let long = "x".repeat(65);
        let names: [(Option<&[u8]>, &str); 5] = [
            (None, "10.0.0.7"),
            (Some(b"channel-1"), "channel-1"),
            (Some(b""), "10.0.0.7"),
            (Some(long.as_bytes()), "10.0.0.7"),
            (Some(b"\xea\xb0\x80"), "10.0.0.7"),
        ];
        for (name, expected) in names {
            let mut request = Request::builder().extension(Peer([10, 0, 0, 7].into()));
            if let Some(name) = name {
                request = request.header(CALLER, HeaderValue::from_bytes(name).expect("bytes of a header"));
            }
            let (mut parts, ()) = request.body(()).expect("a request").into_parts();
            let Ok(caller) = Caller::from_request_parts(&mut parts, &()).await;
            assert_eq!(caller.name(), expected);
        }
    }
}
