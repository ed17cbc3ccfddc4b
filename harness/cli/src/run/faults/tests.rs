//! The heal phase on nodes that write down what is done to them.

use std::sync::{Mutex, PoisonError};

use bankstorm_faults::nodes::{Healed, Witness};
use bankstorm_faults::plan::{Fault, Kind, Trigger};
use bankstorm_faults::rule::Rule;
use futures_util::poll;

use super::*;

/// Nodes that never die when they are killed.
#[derive(Default)]
struct Undying {
    told: Mutex<Vec<&'static str>>,
}

/// Says when a strike ends, in whatever way.
struct UnderWay<'a>(&'a Undying);

impl Undying {
    fn tell(&self, what: &'static str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.tell("the strike is over");
    }
}

async fn never<T>() -> Result<T, String> {
    unreachable!("the plan has one kill")
}

impl Nodes for Undying {
    async fn kill(&self, _place: &str) -> Result<Witness, String> {
        self.tell("a strike begins");
        let _under_way = UnderWay(self);
        std::future::pending().await
    }

    async fn restart(&self, _place: &str) -> Result<Witness, String> {
        self.tell("a heal begins");
        Ok(Witness { what: "it lives".to_owned(), at_ns: monotonic_ns() })
    }

    async fn pause(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn resume(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn poison(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn cure(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn grow(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn stall_commits(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn release_commits(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn hold_locks(&self, _place: &str) -> Result<Witness, String> {
        never().await
    }

    async fn free_locks(&self, _place: &str) -> Result<Healed, String> {
        never().await
    }

    async fn put_rule(&self, _link: &str, _id: &str, _rule: &Rule) -> Result<Witness, String> {
        never().await
    }

    async fn take_rule(&self, _link: &str, _id: &str) -> Result<Healed, String> {
        never().await
    }
}

#[tokio::test]
async fn what_is_still_under_way_at_the_limit_ends_before_anything_is_healed() {
    let kill = Fault {
        id: "fault-0".to_owned(),
        kind: Kind::NodeKill,
        place: "core".to_owned(),
        trigger: Trigger::At(Duration::ZERO),
        lasts: None,
        rule: None,
    };
    let (conductor, nodes) = (Conductor::new(&[kill], &|_| {}), Undying::default());
    let moments = Moments { measure_ns: monotonic_ns(), tally: Arc::new(Tally::new()) };
    let mut strikes = Box::pin(conductor.conduct(&nodes, &moments));
    assert!(poll!(strikes.as_mut()).is_pending());
    conductor.load_ended();
    let problems = heal_within(&conductor, Some(strikes), &nodes, Duration::from_millis(50)).await;
    assert_eq!(problems, Vec::<String>::new());
    let told = nodes.told.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(told, ["a strike begins", "the strike is over", "a heal begins"]);
}
