//! Wrong requests, and those at the edge of what is right, made from the schemas of an operation.
//!
//! In: an operation, a request that it takes. Out: [`Variant`]s of it. Elsewhere: what a refusal must look like (`contract`).

use bankstorm_adapters::http::read::BODY_MAX;
use serde_json::{Map, Value, json};

use super::document::{Operation, Parameter};

/// A request that differs in one place from one that is taken.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// What was changed.
    pub(crate) what: String,
    /// The value of a path or query parameter, by name, instead of the good one.
    pub(crate) parameter: Option<(Parameter, String)>,
    /// The body instead of the good one.
    pub(crate) body: Option<Vec<u8>>,
    /// What a refusal has to name.
    pub(crate) field: Option<String>,
}

/// One changed place in a body.
struct Change {
    what: String,
    path: Vec<String>,
    /// Nothing: the field is taken out.
    value: Option<Value>,
    field: String,
}

/// Bodies that do not fit.
pub(crate) fn bodies(operation: Operation<'_>, good: &Value) -> Vec<Variant> {
    let Some(schema) = operation.body() else { return Vec::new() };
    let mut changes = Vec::new();
    Walk { operation, wrong: true }.object(&operation.document.resolved(schema), good, &[], &mut changes);
    let values = listed(&operation.document.resolved(schema), good);
    let cut = good.to_string();
    let whole = [
        ("no JSON", b"{".to_vec()),
        ("half of it", cut.as_bytes()[..cut.len() / 2].to_vec()),
        ("nothing", Vec::new()),
        ("bytes that are no text", vec![0xff, 0xfe, b'{', b'}']),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", b"\"x\"".to_vec()),
        ("an empty list", b"[]".to_vec()),
        ("the list of its values", values.to_string().into_bytes()),
        ("more than the limit", padded(good, BODY_MAX + 1)),
    ];
    let whole = whole.map(|(what, body)| Variant::of_body(format!("the body is {what}"), body, None));
    whole.into_iter().chain(changes.iter().map(|change| change.applied(good))).collect()
}

/// Bodies that just fit.
pub(crate) fn fitting_bodies(operation: Operation<'_>, good: &Value) -> Vec<Variant> {
    let Some(schema) = operation.body() else { return Vec::new() };
    let mut changes = Vec::new();
    Walk { operation, wrong: false }.object(&operation.document.resolved(schema), good, &[], &mut changes);
    let largest = Variant::of_body("the body is as large as the limit".to_owned(), padded(good, BODY_MAX), None);
    [largest].into_iter().chain(changes.iter().map(|change| change.applied(good))).collect()
}

/// Values of its parameters that do not fit.
pub(crate) fn parameters(operation: Operation<'_>) -> Vec<Variant> {
    variants(operation, |schema| match schema["type"].as_str() {
        Some("integer") => {
            let beyond = beyond(schema).into_iter().map(|value| value.to_string());
            ["x", "1.5", "%ff", "9223372036854775808"].map(str::to_owned).into_iter().chain(beyond).collect()
        }
        Some("string") if schema["format"] == "uuid" => {
            let short = "0".repeat(31);
            vec!["7".to_owned(), "x".to_owned(), "%ff".to_owned(), "%00".to_owned(), short]
        }
        _ => panic!("{}: no wrong values for {schema:?}", operation.title()),
    })
}

/// Values of its parameters that just fit.
pub(crate) fn fitting_parameters(operation: Operation<'_>) -> Vec<Variant> {
    variants(operation, |schema| match schema["type"].as_str() {
        Some("integer") => edges(schema).map(|value| value.to_string()).to_vec(),
        _ => Vec::new(),
    })
}

fn variants(operation: Operation<'_>, values: impl Fn(&Map<String, Value>) -> Vec<String>) -> Vec<Variant> {
    let of = |parameter: Parameter| {
        let values = values(&parameter.schema);
        values.into_iter().map(move |value| Variant {
            what: format!("{} is {value}", parameter.name),
            // An undecodable query is not known to be about one of its parameters.
            field: (parameter.within == "path" || value != "%ff").then(|| parameter.name.clone()),
            parameter: Some((parameter.clone(), value)),
            body: None,
        })
    };
    operation.parameters().into_iter().flat_map(of).collect()
}

/// Goes through a schema together with a value that fits it.
struct Walk<'a> {
    operation: Operation<'a>,
    wrong: bool,
}

impl Walk<'_> {
    fn object(&self, schema: &Map<String, Value>, good: &Value, path: &[String], changes: &mut Vec<Change>) {
        for name in names(schema).filter(|_| self.wrong) {
            let path = [path, &[name.to_owned()]].concat();
            let field = path.join(".");
            changes.push(Change { what: format!("{field} is missing"), path, value: None, field });
        }
        for (name, schema) in schema["properties"].as_object().expect("properties") {
            let path = [path, std::slice::from_ref(name)].concat();
            self.value(&self.operation.document.resolved(schema), &good[name], &path, changes);
        }
    }

    fn value(&self, schema: &Map<String, Value>, good: &Value, path: &[String], changes: &mut Vec<Change>) {
        let values = match (self.wrong, schema.get("type").and_then(Value::as_str)) {
            (true, kind) => [other_types(kind), self.wrong_values(schema, kind, good)].concat(),
            (false, kind) => self.edge_values(schema, kind, good),
        };
        let field = path.join(".");
        changes.extend(values.into_iter().map(|value| {
            let what: String = format!("{field} is {value}").chars().take(100).collect();
            Change { what, path: path.to_vec(), value: Some(value), field: field.clone() }
        }));
        if schema.get("properties").is_some() {
            self.object(schema, good, path, changes);
        }
    }

    /// Of the right type, and outside.
    fn wrong_values(&self, schema: &Map<String, Value>, kind: Option<&str>, good: &Value) -> Vec<Value> {
        match kind {
            Some("integer") => beyond(schema),
            Some("string") => texts(schema, -1),
            Some("array") => {
                let item = self.operation.document.resolved(&schema["items"]);
                let items = other_types(item["type"].as_str()).into_iter().map(|wrong| json!([good[0], wrong]));
                let many =
                    schema.get("maxItems").and_then(Value::as_u64).map(|most| vec![good[0].clone(); size(most) + 1]);
                items.chain(many.map(Value::from)).collect()
            }
            Some("object") => vec![listed(schema, good)],
            // One of several words.
            None if schema.contains_key("oneOf") => vec!["perhaps".into(), "".into()],
            _ => panic!("{}: no wrong values for {schema:?}", self.operation.title()),
        }
    }

    /// As far out as it goes.
    fn edge_values(&self, schema: &Map<String, Value>, kind: Option<&str>, good: &Value) -> Vec<Value> {
        match kind {
            Some("integer") => edges(schema).map(Value::from).to_vec(),
            Some("string") => texts(schema, 0),
            Some("array") => {
                let item = self.operation.document.resolved(&schema["items"]);
                let edges = edges(&item).map(|edge| json!([edge]));
                let many = schema.get("maxItems").and_then(Value::as_u64).map(|most| vec![good[0].clone(); size(most)]);
                edges.into_iter().chain([json!([])]).chain(many.map(Value::from)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// An object as the list of its values, which some readers take for it.
fn listed(schema: &Map<String, Value>, good: &Value) -> Value {
    names(schema).map(|name| good[name].clone()).collect()
}

/// The fields that an object must have.
fn names(schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    schema["required"].as_array().expect("a list").iter().map(|name| name.as_str().expect("a name"))
}

/// Values of all other types.
fn other_types(kind: Option<&str>) -> Vec<Value> {
    let all = match kind {
        Some("integer") => json!(["7", 7.5, true, null, [], {}]),
        Some("array") => json!([7, "7", true, null, {}]),
        Some("object") => json!([7, "7", true, null, []]),
        _ => json!([7, true, null, [], {}]),
    };
    all.as_array().expect("a list").clone()
}

/// Numbers outside; those that no machine word has among them.
fn beyond(schema: &Map<String, Value>) -> Vec<Value> {
    let least = schema.get("minimum").and_then(Value::as_i64);
    let most = schema.get("maximum").and_then(Value::as_i64);
    let below = least.into_iter().flat_map(|least| [least.checked_sub(1), Some(i64::MIN)]).flatten();
    let above = most.into_iter().flat_map(|most| [most.checked_add(1), Some(i64::MAX)]).flatten();
    below.chain(above).map(Value::from).chain([Value::from(9_223_372_036_854_775_808_u64)]).collect()
}

/// The least and the most; of a machine word where nothing else is said.
fn edges(schema: &Map<String, Value>) -> [i64; 2] {
    let limit = |name: &str, otherwise| schema.get(name).map_or(otherwise, |limit| limit.as_i64().expect("a limit"));
    [limit("minimum", i64::MIN), limit("maximum", i64::MAX)]
}

/// Texts whose length is one beyond its limits (-1), or at them (0).
fn texts(schema: &Map<String, Value>, within: i64) -> Vec<Value> {
    match (schema.get("format").and_then(Value::as_str), within) {
        (Some("uuid"), 0) => return Vec::new(),
        (Some("uuid"), _) => {
            let long = "0".repeat(37);
            return ["", "7", "00000000-0000-0000-0000-00000000000g", &long].map(Value::from).to_vec();
        }
        (Some(format), _) => panic!("no wrong values for format {format}"),
        (None, _) => {}
    }
    let length = |name: &str, beyond: i64| {
        let limit = schema.get(name)?.as_i64()?;
        Some(Value::from("7".repeat(usize::try_from(limit + beyond).ok()?)))
    };
    // The one pattern there is.
    let control = (within != 0 && schema.contains_key("pattern")).then(|| Value::from("7\n"));
    [length("minLength", within), length("maxLength", -within), control].into_iter().flatten().collect()
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("a size")
}

/// The value, and blanks up to that many bytes.
fn padded(value: &Value, bytes: usize) -> Vec<u8> {
    let mut body = value.to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

impl Change {
    fn applied(&self, good: &Value) -> Variant {
        let mut body = good.clone();
        let (last, before) = self.path.split_last().expect("a field");
        let object = before.iter().fold(&mut body, |value, name| &mut value[name]);
        let object = object.as_object_mut().expect("an object");
        match &self.value {
            Some(value) => object.insert(last.clone(), value.clone()),
            None => object.remove(last),
        };
        Variant::of_body(self.what.clone(), body.to_string().into_bytes(), Some(self.field.clone()))
    }
}

impl Variant {
    fn of_body(what: String, body: Vec<u8>, field: Option<String>) -> Self {
        Self { what, parameter: None, body: Some(body), field }
    }
}
