//! Arms as they are typed, each under `[[arm]]`: the same scenario with a few keys changed.
//!
//! In: TOML. Out: [`Arm`]. Elsewhere: what the changes come to (`arm`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The scenario once more, with something else.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// What it is called: small letters, digits and `-`. Its run lies in a folder of that name.
    pub name: String,
    /// What is otherwise, by paths in quotes as `--set` takes them, such as `"system.workers" = 1`.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::arm_set")]
    pub set: BTreeMap<String, toml::Value>,
    /// What its guarantees are expected to do; `holds` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Of a violation that is expected: by which checks, such as `["O1"]`; one of them is enough. Any unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Vec<String>>,
}

/// What the guarantees of an arm are expected to do.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// To hold.
    Holds,
    /// Not to: the arm lacks what keeps them.
    Violated,
}
