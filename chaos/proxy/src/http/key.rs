//! The key of a request: the transfer that it speaks of.
//!
//! In: a request's path and its whole body. Out: the id in the path (`/v1/transfers/{id}/resolve`), else `id` of the body. Elsewhere: what
//! a key is good for (`rules::keys`).

use uuid::Uuid;

/// Letters of an id as services write it.
const ID: usize = 36;

/// The key, where the request bears one.
pub(super) fn of(path: &str, body: &[u8]) -> Option<String> {
    path.split('/').find_map(id).or_else(|| in_body(body))
}

/// An id in one way of writing: the same transfer is the same key wherever it stands.
fn id(text: &str) -> Option<String> {
    let id = if text.len() == ID { Uuid::try_parse(text).ok() } else { None };
    id.map(|id| id.to_string())
}

fn in_body(body: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = document.get("id")?.as_str()?;
    Some(id(text).unwrap_or_else(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::of;

    const ID: &str = "0192a0b0-0000-7000-8000-00000000002a";

    #[test]
    fn the_paths_id_comes_before_the_bodys() {
        let key = |path: &str, body: &str| of(path, body.as_bytes());
        let body = format!("{{\"id\": \"{ID}\", \"amount\": 1}}");
        assert_eq!(
            key(&format!("/v1/transfers/{}/resolve", ID.to_uppercase()), "{\"id\": \"x\"}").as_deref(),
            Some(ID)
        );
        assert_eq!(key("/v1/transfers", &body).as_deref(), Some(ID));
        assert_eq!(key("/v1/transfers", "{\"id\": \"plain\"}").as_deref(), Some("plain"));
        for (path, body) in [("/v1/accounts/1/head", ""), ("/v1/x", "{\"id\": 7}"), ("/v1/x", "[]"), ("/v1/x", "{")] {
            assert_eq!(key(path, body), None, "{path} {body}");
        }
    }
}
