//! Which requests a rule names: a method and a path, in which a `*` stands for one part.
//!
//! In: `POST /v1/transfers/*/resolve`. Out: [`Pattern`]. Elsewhere: which of them it picks (`keys`).

/// A method and the parts of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    method: String,
    path: String,
}

impl Pattern {
    /// `None` where the text is no such thing.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (method, path) = text.split_once(' ')?;
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        // A star that is only a piece of a part would look as if it worked.
        let stars_stand_alone = path.split('/').all(|part| part == "*" || !part.contains('*'));
        (is_method && is_path && stars_stand_alone).then(|| Self { method: method.to_owned(), path: path.to_owned() })
    }

    /// Whether a request is one of these; `path` is without its query.
    pub(crate) fn names(&self, method: &str, path: &str) -> bool {
        if self.method != method {
            return false;
        }
        let mut own = self.path.split('/');
        let mut parts = path.split('/');
        loop {
            match (own.next(), parts.next()) {
                (None, None) => return true,
                (Some("*"), Some(part)) if !part.is_empty() => {}
                (Some(own), Some(part)) if own == part => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_one_part_of_a_path() {
        let resolve = Pattern::read("POST /v1/transfers/*/resolve").expect("a pattern");
        assert!(resolve.names("POST", "/v1/transfers/0192/resolve"));
        for (method, path) in [
            ("GET", "/v1/transfers/0192/resolve"),
            ("POST", "/v1/transfers/0192"),
            ("POST", "/v1/transfers//resolve"),
            ("POST", "/v1/transfers/0192/resolve/"),
            ("POST", "/v1/transfers/0192/x/resolve"),
        ] {
            assert!(!resolve.names(method, path), "{method} {path}");
        }
        assert!(Pattern::read("POST /v1/transfers").expect("a pattern").names("POST", "/v1/transfers"));
    }

    #[test]
    fn what_would_never_match_is_no_pattern() {
        for text in ["", "POST", "/v1/transfers", "post /v1", "POST v1", "POST /v1?a=b", "POST /v1/tr*", "POST  /v1"] {
            assert_eq!(Pattern::read(text), None, "{text}");
        }
    }
}
