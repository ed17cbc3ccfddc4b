//! Arms: the same scenario with something else.
//!
//! In: `arm`. Out: [`Arm`]. Elsewhere: what is done with them (`cli`).

use super::Scenario;

/// The scenario once more, with something else.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name, of letters, digits and `-`; no two have the same.
    pub name: String,
    /// What is run. Its `name` is that of the whole unless the arm says otherwise, and it has no arms of its own.
    pub scenario: Scenario,
    /// What its guarantees are expected to do.
    pub expect: Expect,
    /// Ids of the checks of which one is expected to be violated; any where there are none.
    pub by: Vec<String>,
}

/// What the guarantees of an arm are expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// To hold.
    Holds,
    /// Not to: the arm lacks what keeps them.
    Violated,
}

impl Expect {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
        }
    }
}
