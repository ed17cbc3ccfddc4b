//! A committed document, read as a tester needs it: its operations, and whether an answer is as written.
//!
//! In: `docs/openapi/*.json`, answers. Out: operations; complaints, none where all is as written. Elsewhere: what is asked (`table`,
//! `wrong`).

use serde_json::{Map, Value, json};

use crate::wire::Answer;

/// The services that have one.
pub(crate) const NAMES: [&str; 3] = ["core", "channel", "banks"];

/// One service's document.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) service: &'static str,
    pub(crate) json: Value,
}

/// One call of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) document: &'a Document,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    call: &'a Value,
}

/// A path or query parameter, its schema without references.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) within: String,
    pub(crate) schema: Map<String, Value>,
}

impl Document {
    /// The committed one.
    pub(crate) fn committed(service: &'static str) -> Self {
        let path = format!("{}/../../docs/openapi/{service}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("the committed document");
        Self { service, json: serde_json::from_str(&text).expect("JSON") }
    }

    /// All calls.
    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.json["paths"].as_object().expect("paths");
        let of = |path| {
            let calls = paths[path].as_object().expect("calls");
            calls.iter().map(move |(method, call)| Operation { document: self, path, method, call })
        };
        paths.keys().flat_map(|path| of(path.as_str())).collect()
    }

    /// The call of that name.
    pub(crate) fn operation(&self, name: &str) -> Option<Operation<'_>> {
        self.operations().into_iter().find(|operation| operation.name() == name)
    }

    /// A schema without the reference that it is or has: what stands beside a reference comes on top.
    pub(crate) fn resolved(&self, schema: &Value) -> Map<String, Value> {
        let mut whole = schema.as_object().expect("a schema").clone();
        let Some(target) = whole.remove("$ref") else { return whole };
        let target = target.as_str().expect("a reference").trim_start_matches('#').to_owned();
        let mut base = self.resolved(self.json.pointer(&target).unwrap_or_else(|| panic!("{target} is not there")));
        base.extend(whole);
        base
    }

    /// What does not fit a schema; fields that it does not list do not.
    pub(crate) fn unfit(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut components = self.json["components"].clone();
        for schema in components["schemas"].as_object_mut().expect("schemas").values_mut() {
            if schema.get("properties").is_some() {
                schema["additionalProperties"] = false.into();
            }
        }
        let whole = json!({ "components": components, "allOf": [schema] });
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
        let validator = options.build(&whole).expect("a valid JSON Schema");
        validator
            .iter_errors(value)
            .map(|error| format!("{error} at {:?}", error.instance_path().to_string()))
            .collect()
    }

    /// What is wrong with a problem document that no operation lists.
    pub(crate) fn misfits_of_problem(&self, kind: &str, answer: &Answer) -> Vec<String> {
        let fixed = json!({ "type": { "const": kind }, "status": { "const": answer.status } });
        let schema = json!({ "$ref": "#/components/schemas/Problem", "properties": fixed });
        let content = json!({ "application/problem+json": { "schema": schema } });
        self.misfits_of_body(&content, answer)
    }

    fn misfits_of_body(&self, content: &Value, answer: &Answer) -> Vec<String> {
        let Some(listed) = content.get(answer.kind()) else {
            return vec![format!("content-type {:?} is not listed", answer.kind())];
        };
        match serde_json::from_str(&answer.body) {
            Ok(body) => self.unfit(&listed["schema"], &body),
            Err(error) => vec![format!("the body is not JSON: {error}")],
        }
    }
}

impl Operation<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.call["operationId"].as_str().expect("a name")
    }

    /// Service and name, for complaints.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.document.service, self.name())
    }

    /// The statuses that it lists.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let responses = self.call["responses"].as_object().expect("answers");
        responses.keys().map(|status| status.parse().expect("a status")).collect()
    }

    /// The schema of its body, where it has one.
    pub(crate) fn body(&self) -> Option<&Value> {
        self.call.pointer("/requestBody/content/application~1json/schema")
    }

    /// Its parameters, without headers: who calls and what for, whatever is said there, is no ground for a refusal.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let listed = self.call["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = |parameter: &Value| Parameter {
            name: parameter["name"].as_str().expect("a name").to_owned(),
            within: parameter["in"].as_str().expect("a place").to_owned(),
            schema: self.document.resolved(&parameter["schema"]),
        };
        listed.iter().map(read).filter(|parameter| parameter.within != "header").collect()
    }

    /// What in an answer is not as written.
    pub(crate) fn misfits(&self, answer: &Answer) -> Vec<String> {
        let response = &self.call["responses"][answer.status.to_string()];
        if response.is_null() {
            return vec![format!("status {} is not listed: {}", answer.status, answer.body)];
        }
        let mut misfits = self.document.misfits_of_body(&response["content"], answer);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            match answer.header(&name.to_lowercase()) {
                Some(text) => {
                    let value = text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
                    misfits.extend(self.document.unfit(&header["schema"], &value));
                }
                None if header["required"] == true => misfits.push(format!("header {name} is missing")),
                None => {}
            }
        }
        misfits
    }
}
