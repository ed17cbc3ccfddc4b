//! What rules do to requests.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_faults::rule::{Effect, Keys, Picks, Rule};
use tokio::time::Instant;

use super::rig::{http, of, run};
use super::server::took;
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_dropped_request_never_arrives_and_its_connection_stays", dropped),
        ("a_held_request_arrives_late_also_when_its_caller_has_gone", held),
        ("a_held_request_arrives_at_its_time_also_when_the_rule_is_taken_away", held_on),
        ("a_doubled_request_arrives_on_several_connections_and_is_answered_once", doubled),
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
        assert_eq!(caller.ask("POST", "/v1/transfers", TRANSFER).await.status, 200);
        let mut connections = BTreeSet::new();
        for _ in 0..3 {
            let arrived = server.arrived().await;
            assert_eq!(arrived.body, TRANSFER);
            connections.insert(arrived.connection);
        }
        assert_eq!(connections.len(), 3);
        // The next answer is that of the next request.
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 4");
        assert_eq!(server.arrived().await.what, "GET /");
        let hits = proxy.hits("1").await;
        assert_eq!((hits.hits, hits.keys), (1, 1));
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
