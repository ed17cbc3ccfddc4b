//! What is done to a request of all that rules want with it, and to its answer.
//!
//! In: a request, the rules that name it. Out: at most one effect on its way there and one on the way back of its answer. Elsewhere: which
//! keys a rule picks (`keys`), how an effect is done (`http::effects`).
//!
//! Of the rules that pick the same request the strongest is done on each way, whichever was put first: there drop, then hold, then
//! double; back drop, then hold. What is dropped on its way there has no answer. The others count it as overruled: a fault that another
//! one hides says so.

use bankstorm_faults::rule::{Effect, Way};

use super::{Book, Family, InForce};

/// What is done to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// On its way there.
    pub(crate) there: Option<Picked>,
    /// To its answer, once there is one.
    pub(crate) back: Option<Picked>,
}

/// A request that a rule has picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picked {
    /// What is done.
    pub(crate) effect: Effect,
    rule: u64,
    key: Option<String>,
}

impl Picked {
    /// The number of the rule.
    pub(crate) const fn rule(&self) -> u64 {
        self.rule
    }

    /// The request's key, where it bears one.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl Book {
    /// What is done to a request. `key` is asked for once, and only where a rule names the request. What is dropped or held is so from now
    /// on, and counted; whatever else is done is told with [`Book::done`].
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        key: impl FnOnce() -> Option<String>,
        now_ns: i64,
    ) -> Fate {
        let names = |there: &InForce| {
            Family::of(&there.rule.effect) == Family::Requests
                && there.of.as_ref().is_none_or(|of| of.names(method, path))
        };
        if !self.rules.iter().any(names) {
            return Fate::default();
        }
        let key = key();
        let mut picking: Vec<&mut InForce> = Vec::new();
        for there in self.rules.iter_mut().filter(|there| names(there)) {
            there.hits.seen += 1;
            if there.keys.picks(key.as_deref()) {
                picking.push(there);
            }
        }
        let fate = decided(&picking, key.as_deref());
        for there in picking {
            let is_done = [&fate.there, &fate.back].into_iter().flatten().any(|done| done.rule == there.number);
            there.hits.overruled += u64::from(!is_done);
        }
        let in_hand = fate.there.as_ref().and_then(|there| match there.effect {
            Effect::RequestDrop => Some(0),
            Effect::RequestHold(_) => Some(1),
            _ => None,
        });
        if let (Some(there), Some(in_hand)) = (&fate.there, in_hand) {
            self.done(there, in_hand, now_ns);
        }
        fate
    }
}

fn decided(picking: &[&mut InForce], key: Option<&str>) -> Fate {
    let strongest = |way: Way| {
        let on_it = picking.iter().filter_map(|there| {
            let (own, place) = stands(&there.rule.effect)?;
            (own == way).then_some((place, there))
        });
        let (_, first) = on_it.min_by_key(|(place, _)| *place)?;
        Some(Picked { effect: first.rule.effect, rule: first.number, key: key.map(str::to_owned) })
    };
    let there = strongest(Way::There);
    let is_dropped = there.as_ref().is_some_and(|there| there.effect == Effect::RequestDrop);
    Fate { back: if is_dropped { None } else { strongest(Way::Back) }, there }
}

/// On which way an effect on requests is done, and its place among those of that way, the strongest first.
const fn stands(effect: &Effect) -> Option<(Way, u8)> {
    Some(match effect {
        Effect::RequestDrop => (Way::There, 0),
        Effect::RequestHold(_) => (Way::There, 1),
        Effect::RequestTwice(_) => (Way::There, 2),
        Effect::ResponseDrop => (Way::Back, 0),
        Effect::ResponseHold(_) => (Way::Back, 1),
        _ => return None,
    })
}
