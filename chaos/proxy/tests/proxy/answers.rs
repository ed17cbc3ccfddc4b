//! What rules do to answers.

use std::time::Duration;

use bankstorm_faults::rule::Effect;
use tokio::time::Instant;

use super::rig::{http, of, run};
use super::server::took;
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_dropped_answer_is_given_and_never_comes", dropped),
        ("a_held_answer_comes_late_though_its_request_did_not", held),
        ("of_two_rules_the_first_that_picks_decides", two_rules),
    ]
}

const LATE: Duration = Duration::from_millis(200);

fn dropped() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::ResponseDrop, "POST /v1/transfers/*/resolve")).await;
        let (mut caller, mut other) = (proxy.caller().await, proxy.caller().await);
        caller.send("POST", "/v1/transfers/7/resolve", "").await;
        assert_eq!(server.arrived().await.what, "POST /v1/transfers/7/resolve");
        assert_eq!(other.ask("POST", "/v1/transfers", "").await.body, "answer 2", "the first was given");
        assert!(caller.hears_nothing());
        let hits = proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits, hits.keys, hits.first_key), (1, 1, 1, None));
    });
}

fn held() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::ResponseHold(LATE), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/v1/transfers", "").await;
        let arrived = server.arrived().await;
        assert_eq!(caller.answer().await.expect("an answer").body, "answer 1");
        took(arrived.at, Instant::now(), LATE);
    });
}

fn two_rules() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("drop", of(Effect::RequestDrop, "POST /drop")).await;
        proxy.put("late", of(Effect::ResponseHold(Duration::ZERO), "POST /late")).await;
        let mut caller = proxy.caller().await;
        assert_eq!(caller.ask("POST", "/late", "").await.body, "answer 1");
        caller.send("POST", "/drop", "").await;
        proxy.has_hit("drop", 1).await;
        assert_eq!(proxy.hits("late").await.hits, 1);
        assert_eq!(server.arrived().await.what, "POST /late");
        assert!(server.saw_nothing());
    });
}
