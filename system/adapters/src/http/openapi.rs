//! The services' contracts as OpenAPI 3.1, made from the types that they speak.
//!
//! In: `contracts`, and a list of calls per service (`core`, `channel`, `banks`). Out: documents, committed in `docs/openapi`. Elsewhere: the
//! routes themselves, and the contract tester (`tests/contract.rs`), which holds running services to the committed documents: it reaches
//! every listed status of every call, and makes wrong requests of the schemas.
//!
//! OpenAPI 3.1 takes JSON Schema as it is, so the schemas are those of `schemars`, like every other schema here.

mod banks;
mod channel;
mod core;

use bankstorm_contracts::problem::{Problem, ProblemKind};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::read::{BODY_MAX, CALLER, CALLER_MAX};

pub use self::banks::document as banks;
pub use self::channel::document as channel;
pub use self::core::document as core;

/// Where a response lists its kinds of problem.
const KINDS: &str = "/content/application~1problem+json/schema/properties/type/enum";

/// A document in the making.
struct Document {
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

/// One call in the making.
struct Call<'a> {
    document: &'a mut Document,
    path: &'static str,
    method: &'static str,
    value: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
}

impl Document {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self { schemas: settings.into_generator(), paths: Map::new() }
    }

    fn call(&mut self, method: &'static str, path: &'static str, name: &str, summary: &str) -> Call<'_> {
        let mut value = Map::new();
        value.insert("operationId".to_owned(), name.into());
        value.insert("summary".to_owned(), summary.into());
        Call { document: self, path, method, value, parameters: Vec::new(), responses: Map::new() }
    }

    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    /// The whole document.
    fn finish(mut self, title: &str, description: &str) -> Value {
        let schemas = self.schemas.take_definitions(true);
        let mut document = json!({
            "openapi": "3.1.0",
            "info": { "title": title, "version": env!("CARGO_PKG_VERSION"), "description": description },
            "paths": self.paths,
            "components": { "schemas": schemas },
        });
        plain(&mut document);
        document
    }
}

impl Call<'_> {
    /// A path parameter.
    fn path_parameter<T: JsonSchema>(self, name: &str, description: &str) -> Self {
        let schema = self.document.schema::<T>();
        self.path_value(name, description, schema)
    }

    /// A path parameter with this schema.
    fn path_value(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema }),
        );
        self
    }

    /// A query parameter with this schema.
    fn query(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema }),
        );
        self
    }

    /// The caller may name itself.
    fn named(mut self) -> Self {
        self.parameters.push(json!({
            "name": CALLER,
            "in": "header",
            "required": false,
            "description": "Who calls; without it the caller is its IP address. What one caller may have in work is limited.",
            "schema": { "type": "string", "minLength": 1, "maxLength": CALLER_MAX },
        }));
        self
    }

    /// A header that need not be there, with this schema.
    fn header(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema }),
        );
        self
    }

    /// A JSON body.
    fn body<T: JsonSchema>(mut self) -> Self {
        let schema = self.document.schema::<T>();
        let description = format!("At most {BODY_MAX} bytes. Unknown fields are ignored.");
        self.value.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "description": description, "content": { "application/json": { "schema": schema } } }),
        );
        self.problem(ProblemKind::BadRequest, "The request cannot be taken; the field at fault is named.")
            .problem(ProblemKind::BodyTooLarge, "The body is too large.")
    }

    /// A JSON answer.
    fn answer<T: JsonSchema>(mut self, status: u16, description: &str) -> Self {
        let schema = self.document.schema::<T>();
        let answer = json!({ "description": description, "content": { "application/json": { "schema": schema } } });
        self.responses.insert(status.to_string(), answer);
        self
    }

    /// A problem document of that kind, under its status. Two kinds with one status share an entry.
    fn problem(mut self, kind: ProblemKind, description: &str) -> Self {
        let mut schema = self.document.schema::<Problem>();
        let status = kind.status().to_string();
        let word = serde_json::to_value(kind).expect("a kind is a word");
        let description = format!("`{}`: {description}", word.as_str().unwrap_or_default());
        let before = self.responses.get(&status);
        let kinds = before.and_then(|before| before.pointer(KINDS)?.as_array().cloned()).unwrap_or_default();
        let kinds = [kinds, vec![word]].concat();
        schema["properties"] = json!({ "type": { "enum": kinds }, "status": { "const": kind.status() } });
        let mut answer =
            json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } });
        if kind == ProblemKind::NotStarted {
            answer["headers"] = json!({
                "Retry-After": { "description": "Seconds.", "required": true, "schema": { "type": "integer" } },
            });
        }
        if let Some(before) = before.and_then(|before| before["description"].as_str()) {
            answer["description"] = format!("{before} {description}").into();
        }
        self.responses.insert(status, answer);
        self
    }

    /// What every call may come to that does something.
    fn effects(self) -> Self {
        self.problem(ProblemKind::Unknown, "Nobody can tell how it ended; the outcome is unknown.").not_started()
    }

    fn not_started(self) -> Self {
        self.problem(ProblemKind::NotStarted, "Nothing was begun; safe to send again.")
    }

    fn done(self) {
        let Call { document, path, method, mut value, parameters, responses } = self;
        if !parameters.is_empty() {
            value.insert("parameters".to_owned(), parameters.into());
        }
        value.insert("responses".to_owned(), responses.into());
        let entry = document.paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = value.into();
    }
}

/// Descriptions come from the code's documentation, where links are written in brackets.
fn plain(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace("crate::", "");
                    }
                    other => plain(other),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// With `BANKSTORM_BLESS=1` the files are written anew instead.
    #[test]
    fn the_committed_documents_are_up_to_date() {
        for (name, document) in [("core", super::core()), ("channel", super::channel()), ("banks", super::banks())] {
            let path = format!("{}/../../docs/openapi/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let mut now = serde_json::to_string_pretty(&document).expect("a document is JSON");
            now.push('\n');
            if std::env::var_os("BANKSTORM_BLESS").is_some() {
                std::fs::write(&path, &now).expect("written");
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == now, "{path} differs from the types; BANKSTORM_BLESS=1 writes it anew");
        }
    }

    #[test]
    fn every_reference_is_there_and_every_call_has_an_answer() {
        for document in [super::core(), super::channel(), super::banks()] {
            references(&document, &document);
            for (path, calls) in document["paths"].as_object().expect("paths") {
                for (method, call) in calls.as_object().expect("calls") {
                    let statuses: Vec<_> = call["responses"].as_object().expect("answers").keys().collect();
                    assert!(statuses.iter().any(|status| status.starts_with('2')), "{method} {path}: {statuses:?}");
                    for name in path.split(['{', '}']).skip(1).step_by(2) {
                        let parameters = call["parameters"].as_array().expect("parameters");
                        assert!(parameters.iter().any(|found| found["name"] == name), "{method} {path}: {name}");
                    }
                }
            }
        }
    }

    fn references(document: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                    let found = document.pointer(target.trim_start_matches('#'));
                    assert!(found.is_some(), "{target}");
                }
                object.values().for_each(|value| references(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| references(document, value)),
            _ => {}
        }
    }
}
