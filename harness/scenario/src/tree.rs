//! A document as a tree in which every key and value knows where it was typed, in the file or in a `--set`.
//!
//! In: TOML text. Out: [`Node`], and a typed [`File`] read from it. Elsewhere: overrides (`set`), limits (`resolve`).
//!
//! The tree is a serde deserializer of its own, because a value typed on the command line has no place in the file: each error takes
//! the mark of the innermost key or value that it came from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Mark, ScenarioError, Sources, nearest};
use crate::file::File;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

/// Keys in order; each knows where the key itself stands.
pub(crate) type Table = BTreeMap<String, (Mark, Node)>;

/// Parses the file.
pub(crate) fn parse_document(sources: &Sources) -> Result<Node, ScenarioError> {
    let parsed = DeTable::parse(&sources.text).map_err(|error| {
        let mark = error.span().map_or(Mark::Whole, Mark::File);
        sources.refuse(&mark, format!("not TOML: {}", error.message()), None)
    })?;
    let mut table = table_of(parsed.into_inner(), &|span| Mark::File(span));
    if let Some((_, slo)) = table.get_mut("slo") {
        unfold_dots(slo, sources)?;
    }
    Ok(Node { mark: Mark::Whole, value: Value::Table(table) })
}

/// Parses the value of `--set` number `number`: as TOML, else as a string.
pub(crate) fn parse_set_value(text: &str, number: usize) -> Node {
    let mark = |_| Mark::Set(number);
    match DeValue::parse(text) {
        Ok(value) => node_of(value, &mark),
        Err(_) => Node { mark: Mark::Set(number), value: Value::Text(text.to_owned()) },
    }
}

fn table_of(table: DeTable<'_>, mark: &dyn Fn(std::ops::Range<usize>) -> Mark) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let at = mark(key.span());
            (key.into_inner().into_owned(), (at, node_of(value, mark)))
        })
        .collect()
}

fn node_of(value: Spanned<DeValue<'_>>, mark: &dyn Fn(std::ops::Range<usize>) -> Mark) -> Node {
    let at = mark(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            // Too large for TOML's integers: shown as typed, and refused wherever a number is wanted.
            Err(_) => Value::Text(integer.as_str().to_owned()),
        },
        DeValue::Float(float) => match float.as_str().parse() {
            Ok(float) => Value::Float(float),
            Err(_) => Value::Text(float.as_str().to_owned()),
        },
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(datetime) => Value::Text(datetime.to_string()),
        DeValue::Array(list) => Value::List(list.into_iter().map(|item| node_of(item, mark)).collect()),
        DeValue::Table(table) => Value::Table(table_of(table, mark)),
    };
    Node { mark: at, value }
}

/// Objectives may be typed `"a.b.c" = ..` or `a.b.c = ..`; both become tables in tables.
fn unfold_dots(node: &mut Node, sources: &Sources) -> Result<(), ScenarioError> {
    let Value::Table(table) = &mut node.value else { return Ok(()) };
    let dotted: Vec<String> = table.keys().filter(|key| key.contains('.')).cloned().collect();
    for key in dotted {
        let (mark, value) = table.remove(&key).expect("just seen");
        let mut place = &mut *table;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                if place.contains_key(part) {
                    return Err(sources.refuse(&mark, format!("slo.{key} is given twice"), None));
                }
                place.insert(part.to_owned(), (mark.clone(), value.clone()));
                break;
            }
            let (_, next) = place
                .entry(part.to_owned())
                .or_insert_with(|| (mark.clone(), Node { mark: mark.clone(), value: Value::Table(Table::new()) }));
            let Value::Table(next) = &mut next.value else {
                return Err(sources.refuse(&mark, format!("slo.{key} goes through a value that is no table"), None));
            };
            place = next;
        }
    }
    Ok(())
}

impl Node {
    /// Where the value at `path` stands, or the nearest thing above it.
    pub(crate) fn mark_at(&self, path: &str) -> &Mark {
        let mut node = self;
        for part in path.split('.') {
            match node.child(part) {
                Some(next) => node = next,
                None => break,
            }
        }
        &node.mark
    }

    /// The value at `path`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, Self::child)
    }

    fn child(&self, part: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(part).map(|(_, node)| node),
            Value::List(list) => part.parse::<usize>().ok().and_then(|index| list.get(index)),
            _ => None,
        }
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match &self.value {
            Value::Text(text) => Unexpected::Str(text),
            Value::Integer(integer) => Unexpected::Signed(*integer),
            Value::Float(float) => Unexpected::Float(*float),
            Value::Boolean(boolean) => Unexpected::Bool(*boolean),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }
}

/// Reads the typed file from the tree.
pub(crate) fn typed(root: &Node) -> Result<File, Fault> {
    File::deserialize(root)
}

/// What serde found wrong, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    mark: Option<Mark>,
    path: Vec<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    UnknownKey { key: String, known: &'static [&'static str] },
    UnknownWord { word: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    Other(String),
}

impl Fault {
    fn new(what: What) -> Self {
        Self { mark: None, path: Vec::new(), what }
    }

    fn within(mut self, part: impl Into<String>, mark: &Mark) -> Self {
        self.path.insert(0, part.into());
        self.mark.get_or_insert_with(|| mark.clone());
        self
    }

    pub(crate) fn located(self, sources: &Sources) -> ScenarioError {
        let path = self.path.join(".");
        let (message, help) = match self.what {
            What::UnknownKey { key, known } => {
                let place = if path.is_empty() { "the top level".to_owned() } else { path };
                (format!("unknown key `{key}` in {place}"), Some(nearest(&key, known)))
            }
            What::UnknownWord { word, known } => (format!("{path} is \"{word}\""), Some(nearest(&word, known))),
            What::MissingKey(key) => (format!("{path} has no `{key}`, which must be given"), None),
            What::Other(message) => (format!("{path}: {message}"), None),
        };
        sources.refuse(&self.mark.unwrap_or(Mark::Whole), message, help)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // Rust's words for types are not a user's.
        let expected = match expected.to_string() {
            word if word == "i64" => "a whole number".to_owned(),
            word if word == "f64" => "a number".to_owned(),
            word if word.starts_with("struct ") => "a table".to_owned(),
            word => word,
        };
        Self::new(What::Other(format!("{} is not accepted; accepted is {expected}", shown(found))))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey { key: field.to_owned(), known: expected })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(What::UnknownWord { word: variant.to_owned(), known: expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::MissingKey(field))
    }
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("\"{text}\""),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Bool(boolean) => boolean.to_string(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            Value::List(list) => visitor.visit_seq(Items { list, next: 0 }),
            Value::Table(table) => visitor.visit_map(Keys { entries: table.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Text(text) => visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(text.as_str())),
            Value::Table(table) if table.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Keys { entries: table.iter(), value: None }))
            }
            _ => Err(de::Error::invalid_type(self.unexpected(), &"one word, or a table with one key")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    list: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.list.get(self.next) else { return Ok(None) };
        let part = self.next.to_string();
        self.next += 1;
        seed.deserialize(node).map(Some).map_err(|fault| fault.within(part, &node.mark))
    }
}

struct Keys<'de> {
    entries: std::collections::btree_map::Iter<'de, String, (Mark, Node)>,
    value: Option<(&'de str, &'de Node)>,
}

impl<'de> MapAccess<'de> for Keys<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, (mark, node))) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, node));
        let key: StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mut fault| {
            fault.mark = Some(mark.clone());
            fault
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(node).map_err(|fault| fault.within(key, &node.mark))
    }
}
