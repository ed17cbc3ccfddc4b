//! What rules do to answers.

use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits};
use bankstorm_proxy::Protocol;
use tokio::time::Instant;

use super::rig::{Rig, before_nobody, http, of, run};
use super::server::{Event, took};
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_dropped_answer_is_given_and_never_comes", dropped),
        ("a_held_answer_comes_late_though_its_request_did_not", held),
        ("an_answer_that_never_came_is_neither_dropped_nor_held", never_came),
        ("an_answer_that_comes_after_its_rule_was_taken_away_passes", after_the_rule),
        ("a_held_answer_whose_caller_has_gone_reaches_nobody", held_for_nobody),
        ("rules_of_other_requests_stay_out_of_the_way", two_rules),
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
        proxy.has_hit("1", 1).await;
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
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.undelivered), (1, 0));
    });
}

fn never_came() {
    run(async {
        for effect in [Effect::ResponseDrop, Effect::ResponseHold(LATE)] {
            let none = Hits { seen: 1, ..Hits::default() };
            let nobody = before_nobody().await;
            nobody.put("1", of(effect, "POST /v1/transfers")).await;
            let mut caller = nobody.caller().await;
            caller.send("POST", "/v1/transfers", "").await;
            caller.answer().await.expect_err("nobody was there to answer");
            assert_eq!(nobody.take("1").await, none, "{effect:?}");

            let (mut server, proxy) = http().await;
            proxy.put("1", of(effect, "POST /silent")).await;
            let mut caller = proxy.caller().await;
            caller.send("POST", "/silent", "").await;
            server.arrived().await;
            drop(caller);
            assert_eq!(server.event().await, Event::HungUp);
            assert_eq!(proxy.take("1").await, none, "{effect:?}: nobody waits any more");
        }
    });
}

fn after_the_rule() {
    run(async {
        for effect in [Effect::ResponseDrop, Effect::ResponseHold(Duration::from_secs(3_600))] {
            let rig = Rig::new(Protocol::Http).await;
            rig.proxy.put("1", of(effect, "POST /v1/transfers")).await;
            let mut caller = rig.proxy.caller().await;
            caller.send("POST", "/v1/transfers", "").await;
            let mut server = rig.accepted().await;
            server.request().await;
            assert_eq!(rig.proxy.take("1").await, Hits { seen: 1, ..Hits::default() });
            server.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            assert_eq!(caller.answer().await.expect("an answer").status, 200, "{effect:?}");
        }
    });
}

fn held_for_nobody() {
    run(async {
        let (_server, proxy) = http().await;
        proxy.put("1", of(Effect::ResponseHold(Duration::from_secs(3_600)), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/v1/transfers", "").await;
        let hits = proxy.has_hit("1", 1).await;
        assert_eq!((hits.in_hand, hits.undelivered), (1, 0));
        drop(caller);
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.undelivered), (1, 1));
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
        assert_eq!(proxy.has_none_in_hand("late").await.hits, 1);
        assert_eq!(server.arrived().await.what, "POST /late");
        assert!(server.saw_nothing());
    });
}
