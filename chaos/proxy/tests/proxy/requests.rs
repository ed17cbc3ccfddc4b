//! What rules do to requests.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Keys, Picks, Rule, Way};
use bankstorm_proxy::Protocol;
use tokio::time::Instant;

use super::rig::{Rig, all, before_nobody, http, of, run};
use super::server::took;
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_dropped_request_never_arrives_and_its_connection_stays", dropped),
        ("a_held_request_arrives_late_also_when_its_caller_has_gone", held),
        ("a_held_request_arrives_at_its_time_also_when_the_rule_is_taken_away", held_on),
        ("a_held_request_that_is_still_to_come_is_told_of_after_its_rule_was_taken_away", held_back),
        ("a_held_request_that_finds_nobody_is_told_of", held_for_nobody),
        ("a_held_request_does_not_pass_a_link_that_loses_or_resets_everything", held_and_lost),
        ("a_held_requests_answer_may_be_dropped_too", held_and_dropped),
        ("a_doubled_request_arrives_on_several_connections_and_is_answered_once", doubled),
        ("a_request_that_nobody_takes_is_not_doubled", not_doubled),
        ("copies_that_find_nobody_are_told_of", copies_for_nobody),
        ("only_the_nth_request_of_a_transfer_is_picked_wherever_its_id_stands", nth),
        ("a_share_of_transfers_is_the_same_in_every_proxy", share),
    ]
}

const TRANSFER: &str = "{\"id\": \"0192a0b0-0000-7000-8000-00000000002a\"}";
const ID: &str = "0192a0b0-0000-7000-8000-00000000002a";
const LATE: Duration = Duration::from_millis(200);

fn dropped() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::RequestDrop, "POST /v1/transfers")).await;
        let (mut caller, mut other) = (proxy.caller().await, proxy.caller().await);
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        let hits = proxy.has_hit("1", 1).await;
        assert_eq!((hits.seen, hits.keys, hits.first_key.as_deref()), (1, 1, Some(ID)));
        assert!(hits.first_ns.is_some_and(|first_ns| first_ns > 0));
        assert_eq!(other.ask("GET", "/v1/transfers", "").await.body, "answer 1");
        assert_eq!(server.arrived().await.what, "GET /v1/transfers");
        assert!(server.saw_nothing() && caller.hears_nothing());
        proxy.take("1").await;
        assert_eq!(proxy.caller().await.ask("POST", "/v1/transfers", TRANSFER).await.body, "answer 2");
        assert!(caller.hears_nothing(), "what was dropped stays so");
    });
}

fn held() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::RequestHold(LATE), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        let sent = Instant::now();
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        proxy.has_hit("1", 1).await;
        drop(caller);
        let arrived = server.arrived().await;
        assert_eq!((arrived.what.as_str(), arrived.body.as_str()), ("POST /v1/transfers", TRANSFER));
        took(sent, arrived.at, LATE);
        // Whoever stays gets the answer.
        let mut patient = proxy.caller().await;
        assert_eq!(patient.ask("POST", "/v1/transfers", TRANSFER).await.body, "answer 2");
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.keys, hits.undelivered), (2, 1, 0));
    });
}

fn held_back() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::RequestHold(Duration::from_secs(3_600)), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        proxy.has_hit("1", 1).await;
        for _ in 0..2 {
            let hits = proxy.take("1").await;
            assert_eq!((hits.hits, hits.in_hand), (1, 1));
        }
        assert_eq!(proxy.caller().await.ask("POST", "/v1/transfers", TRANSFER).await.body, "answer 1");
        assert_eq!(proxy.hits("1").await.hits, 1, "it is in force no more");
        server.arrived().await;
        assert!(server.saw_nothing() && caller.hears_nothing());
    });
}

fn held_for_nobody() {
    run(async {
        let proxy = before_nobody().await;
        proxy.put("1", of(Effect::RequestHold(Duration::from_millis(1)), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        caller.answer().await.expect_err("no answer");
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.undelivered), (1, 1));
        assert_eq!(proxy.take("1").await, hits);
        assert_eq!(proxy.control("DELETE", "/-/proxy/rules/1", "").await.status, 404, "and then no more");
    });
}

fn held_and_lost() {
    run(async {
        for (effect, losses) in [(Effect::Blackhole, 1), (Effect::Cut(Way::There), 1), (Effect::Reset, 2)] {
            let (mut server, proxy) = http().await;
            // Long enough to put another rule meanwhile, on any machine.
            proxy.put("1", of(Effect::RequestHold(Duration::from_secs(2)), "POST /v1/transfers")).await;
            let mut caller = proxy.caller().await;
            caller.send("POST", "/v1/transfers", TRANSFER).await;
            proxy.has_hit("1", 1).await;
            proxy.put("2", all(effect)).await;
            let hits = proxy.has_none_in_hand("1").await;
            assert_eq!((hits.hits, hits.undelivered), (1, 1), "{effect:?}");
            assert!(server.saw_nothing(), "{effect:?}");
            assert_eq!(proxy.take("2").await.hits, losses, "{effect:?}");
            assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset), "{effect:?}");
        }
    });
}

fn held_and_dropped() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("drop", of(Effect::ResponseDrop, "POST /v1/transfers")).await;
        proxy.put("hold", of(Effect::RequestHold(LATE), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        let sent = Instant::now();
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        took(sent, server.arrived().await.at, LATE);
        proxy.has_hit("drop", 1).await;
        assert!(caller.hears_nothing());
        assert_eq!(proxy.take("hold").await.hits, 1);
    });
}

fn held_on() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::RequestHold(LATE), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        let sent = Instant::now();
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        proxy.has_hit("1", 1).await;
        assert_eq!(proxy.take("1").await.hits, 1);
        took(sent, server.arrived().await.at, LATE);
        assert_eq!(caller.answer().await.expect("an answer").body, "answer 1");
    });
}

fn doubled() {
    run(async {
        let (mut server, proxy) = http().await;
        proxy.put("1", of(Effect::RequestTwice(3), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 1");
        let own = server.arrived().await.connection;
        assert_eq!(caller.ask("POST", "/v1/transfers", TRANSFER).await.body, "answer 2", "that of the first");
        let mut connections = Vec::new();
        for _ in 0..3 {
            let arrived = server.arrived().await;
            assert_eq!(arrived.body, TRANSFER);
            connections.push(arrived.connection);
        }
        assert_eq!(connections[0], own, "no copy overtakes it");
        assert_eq!(connections.into_iter().collect::<BTreeSet<_>>().len(), 3);
        // The next answer is that of the next request.
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 5");
        assert_eq!(server.arrived().await.what, "GET /");
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.keys, hits.undelivered), (1, 1, 0));
    });
}

fn not_doubled() {
    run(async {
        let proxy = before_nobody().await;
        proxy.put("1", of(Effect::RequestTwice(2), "POST /v1/transfers")).await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        caller.answer().await.expect_err("no answer");
        assert_eq!(proxy.take("1").await, Hits { seen: 1, ..Hits::default() });
    });
}

fn copies_for_nobody() {
    run(async {
        let rig = Rig::new(Protocol::Http).await;
        rig.proxy.put("1", of(Effect::RequestTwice(3), "POST /v1/transfers")).await;
        let mut caller = rig.proxy.caller().await;
        caller.send("GET", "/", "").await;
        let mut server = rig.accepted().await;
        assert!(server.request().await.starts_with("GET / "));
        server.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(caller.answer().await.expect("an answer").status, 200);
        let proxy = rig.closed();
        // The first goes on the connection that is there.
        caller.send("POST", "/v1/transfers", TRANSFER).await;
        assert!(server.request().await.ends_with(TRANSFER));
        let hits = proxy.has_none_in_hand("1").await;
        assert_eq!((hits.hits, hits.undelivered), (1, 2));
    });
}

fn nth() {
    run(async {
        let (mut server, proxy) = http().await;
        let picks = Picks { of: None, keys: Keys::All, nth: Some(2) };
        proxy.put("1", Rule { effect: Effect::RequestDrop, picks }).await;
        let (mut first, mut second) = (proxy.caller().await, proxy.caller().await);
        assert_eq!(first.ask("POST", "/v1/transfers", TRANSFER).await.status, 200);
        let resolve = format!("/v1/transfers/{}/resolve", ID.to_uppercase());
        second.send("POST", &resolve, "").await;
        proxy.has_hit("1", 1).await;
        assert_eq!(first.ask("POST", &resolve, "").await.status, 200, "the third");
        let came = [server.arrived().await.what, server.arrived().await.what];
        assert_eq!(came, ["POST /v1/transfers".to_owned(), format!("POST {resolve}")]);
        assert!(server.saw_nothing() && second.hears_nothing());
    });
}

fn share() {
    run(async {
        let picks = Picks { of: None, keys: Keys::Share { probability: 0.3, seed: 11 }, nth: None };
        let rule = Rule { effect: Effect::ResponseHold(Duration::ZERO), picks };
        let mut met = Vec::new();
        for order in [1, 7] {
            let (_server, proxy) = http().await;
            proxy.put("1", rule.clone()).await;
            let mut caller = proxy.caller().await;
            let mut picked = BTreeSet::new();
            for step in 0..100 {
                let key = step * order % 101;
                let before = proxy.hits("1").await.hits;
                caller.ask("POST", "/v1/transfers", &format!("{{\"id\": \"key-{key}\"}}")).await;
                if proxy.hits("1").await.hits > before {
                    picked.insert(key);
                }
            }
            // Each order leaves out another of 101 keys.
            met.push(picked.into_iter().filter(|key| ![0, 100, 94].contains(key)).collect::<Vec<_>>());
        }
        assert_eq!(met[0], met[1]);
        assert!((15..45).contains(&met[0].len()), "{} of 100", met[0].len());
    });
}
