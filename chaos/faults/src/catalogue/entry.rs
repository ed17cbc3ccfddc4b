//! What the catalogue says of a fault: for people who pick one, and for what checks files.
//!
//! In: nothing. Out: [`Entry`] and its words. Elsewhere: the entries themselves (one file each beside this), the limits of what may be
//! typed (`harness/scenario`).

use std::fmt;
use std::time::Duration;

use crate::nodes::ends;
use crate::rule::Way;

/// What a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The word in files: `node.kill`.
    pub word: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What it can be done to.
    pub on: On,
    /// What it takes beside its place, its moment and `lasts`; what it needs comes first.
    pub parameters: &'static [Parameter],
    /// Whether it takes `lasts`.
    pub lasts: Lasts,
    /// What `lasts` means to it, in a sentence.
    pub lasts_about: &'static str,
    /// How it heals, in a sentence.
    pub heal_about: &'static str,
    /// How long its strike may take.
    pub strike_limit: Duration,
}

impl Entry {
    /// Whether it takes this.
    pub fn takes(&self, parameter: Parameter) -> bool {
        self.parameters.contains(&parameter)
    }

    /// What it takes, the words of what need not be given with a `?`: `delay`, `of?`, `lasts?`.
    pub fn keys(&self) -> Vec<String> {
        let optional = |word: &str, needed: bool| format!("{word}{}", if needed { "" } else { "?" });
        let own = self.parameters.iter().map(|one| optional(one.word(), one.is_needed()));
        let lasts = (self.lasts != Lasts::Refused).then(|| optional("lasts", self.lasts == Lasts::Required));
        own.chain(lasts).collect()
    }
}

/// What a fault can be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Nodes whose names begin so; any where it is empty.
    Nodes(&'static str),
    /// Links to those whose names begin so; any where there are none.
    Links(&'static [&'static str]),
}

impl On {
    /// Whether it can be done to a node or a link of this name.
    pub fn fits(self, place: &str) -> bool {
        match (self, ends(place)) {
            (Self::Nodes(begin), None) => place.starts_with(begin),
            (Self::Links(to), Some((_, end))) => to.is_empty() || to.iter().any(|begin| end.starts_with(begin)),
            (Self::Nodes(_), Some(_)) | (Self::Links(_), None) => false,
        }
    }

    /// Whether that is a link.
    pub const fn is_link(self) -> bool {
        matches!(self, Self::Links(_))
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |begin: &&str| format!("`{begin}{}`", if begin.ends_with('-') { "*" } else { "" });
        match self {
            Self::Nodes("") => f.write_str("any node"),
            Self::Nodes(begin) => f.write_str(&name(begin)),
            Self::Links([]) => f.write_str("any link"),
            Self::Links(to) => write!(f, "links to {}", to.iter().map(name).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Whether a fault takes `lasts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// It may be given; without it the fault lasts until the heal phase.
    Optional,
    /// It must be given.
    Required,
    /// It must not be given: the fault ends by itself.
    Refused,
}

/// What a fault on a link takes besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// How much later.
    Delay,
    /// How many times.
    Times,
    /// Which way.
    Way,
    /// Which side of a commit.
    When,
    /// Which requests.
    Of,
    /// Which share of the keys.
    Probability,
    /// Which keys, by number.
    Every,
    /// Which request of a key.
    Nth,
}

impl Parameter {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 8] =
        [Self::Delay, Self::Times, Self::Way, Self::When, Self::Of, Self::Probability, Self::Every, Self::Nth];

    /// The key in files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Times => "times",
            Self::Way => "way",
            Self::When => "when",
            Self::Of => "of",
            Self::Probability => "probability",
            Self::Every => "every",
            Self::Nth => "nth",
        }
    }

    /// What it is, and what may be given.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Delay => "how much later, \"1ms\" to \"60s\"",
            Self::Times => "how many times it arrives, 2 to 10; 2 unless given",
            Self::Way => "which bytes: `there` from who connects, `back` from who listens",
            Self::When => "`before` the COMMIT arrives, or `after` it was carried out",
            Self::Of => {
                "which requests, by a call of who listens (`docs/openapi`), such as `POST /v1/transfers`; `*` stands for one part of the \
                 path; all unless given"
            }
            Self::Probability => {
                "the share of keys to which it is done, such as \"5%\", drawn from the seed; all unless given"
            }
            Self::Every => {
                "every so many-th new key in the order in which they come, which differs from run to run: 10 is one in ten; all unless given"
            }
            Self::Nth => {
                "only the nth request of a key, of those that `of` names and that come from when the fault began: 1 spares whoever asks again; each \
                 unless given"
            }
        }
    }

    /// Whether a fault that takes it cannot do without.
    pub const fn is_needed(self) -> bool {
        matches!(self, Self::Delay | Self::Way | Self::When)
    }
}

/// What is given of a fault on a link that is not about which requests. What its kind does not take is of no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much later.
    pub delay: Duration,
    /// How many times.
    pub times: u32,
    /// Which way.
    pub way: Way,
    /// Which side of a commit.
    pub when: When,
}

/// Which side of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it arrives.
    Before,
    /// After it was carried out.
    After,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, times: 2, way: Way::There, when: When::Before }
    }
}
