//! Which calls each service takes, for whoever speaks of one without making it.
//!
//! In: a service's name. Out: its calls, those of `docs/openapi`. Elsewhere: what they carry and mean ([`crate::core_api`],
//! [`crate::channel_api`], [`crate::banks_api`]), their routes and the documents themselves (`adapters::http`).

/// Each service with its calls in the order of their paths: the method and the path, in which a `*` stands for one part that differs from
/// call to call (`POST /v1/transfers/*/resolve`).
pub const SERVICES: [(&str, &[&str]); 3] = [
    ("banks", &["POST /v1/credits", "POST /v1/credits/*/cancel"]),
    (
        "channel",
        &[
            "GET /v1/accounts/*/history",
            "POST /v1/accounts/*/sync",
            "POST /v1/dead-letters/redrive",
            "POST /v1/transfers",
            "GET /v1/transfers/*",
        ],
    ),
    (
        "core",
        &[
            "GET /v1/accounts/*/entries",
            "GET /v1/accounts/*/head",
            "POST /v1/deposits",
            "POST /v1/heads",
            "GET /v1/heads/digests",
            "POST /v1/outbound/*/outcome",
            "POST /v1/transfers",
            "POST /v1/transfers/*/resolve",
        ],
    ),
];

/// The calls of `service`; none where there is no such service.
pub fn calls(service: &str) -> &'static [&'static str] {
    SERVICES.into_iter().find(|(name, _)| *name == service).map_or(&[], |(_, calls)| calls)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use serde_json::Value;

    use super::{SERVICES, calls};

    /// Each document's calls, as they are written here.
    fn documented() -> BTreeMap<String, Vec<String>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi");
        let files = std::fs::read_dir(folder).expect("the documents").map(|entry| entry.expect("an entry").path());
        let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
        files.map(|path| (name(&path), of_document(&path))).collect()
    }

    fn of_document(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("a document");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let mut calls = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let parts = path.split('/').map(|part| if part.starts_with('{') { "*" } else { part });
            let path = parts.collect::<Vec<_>>().join("/");
            let methods = methods.as_object().expect("calls").keys();
            calls.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        calls.sort();
        calls
    }

    #[test]
    fn the_calls_are_those_of_the_committed_documents() {
        let listed = SERVICES.map(|(service, calls)| {
            let mut calls: Vec<String> = calls.iter().map(|call| (*call).to_owned()).collect();
            calls.sort();
            (service.to_owned(), calls)
        });
        assert_eq!(BTreeMap::from(listed), documented(), "what is listed here, and what docs/openapi has");
    }

    #[test]
    fn a_service_is_found_by_its_name() {
        assert_eq!(calls("banks"), ["POST /v1/credits", "POST /v1/credits/*/cancel"]);
        assert!(calls("kafka").is_empty());
    }
}
