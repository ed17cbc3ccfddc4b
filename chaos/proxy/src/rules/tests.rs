//! Rules decide and count; no socket is needed to see it.

use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Keys, Picks, Rule, Way};

use super::{Air, Book};
use crate::settings::Protocol;

fn rule(effect: Effect) -> Rule {
    Rule { effect, picks: Picks::default() }
}

fn of(effect: Effect, of: &str, keys: Keys, nth: Option<u64>) -> Rule {
    Rule { effect, picks: Picks { of: Some(of.to_owned()), keys, nth } }
}

fn book(protocol: Protocol, rules: &[(&str, Rule)]) -> Book {
    let mut book = Book::new(protocol);
    for (id, rule) in rules {
        book.put(id, rule.clone(), 0, 0).expect(id);
    }
    book
}

#[test]
fn the_first_rule_that_picks_decides_and_the_others_see_it_too() {
    let drop = of(Effect::RequestDrop, "POST /v1/transfers", Keys::Every(2), None);
    let late = rule(Effect::ResponseHold(Duration::from_millis(5)));
    let mut book = book(Protocol::Http, &[("drop", drop), ("late", late)]);
    let fates: Vec<_> = (1..=4)
        .map(|number| book.request("POST", "/v1/transfers", || Some(format!("key-{number}")), 100 + number))
        .collect();
    let [late, drop] = [Effect::ResponseHold(Duration::from_millis(5)), Effect::RequestDrop].map(Some);
    assert_eq!(fates, [late, drop, late, drop]);
    assert_eq!(book.request("GET", "/v1/other", || None, 200), late);
    let dropped = Hits { seen: 4, hits: 2, keys: 2, first_ns: Some(102), first_key: Some("key-2".to_owned()) };
    assert_eq!(book.hits("drop"), Some(dropped.clone()));
    let held = book.hits("late").expect("in force");
    assert_eq!((held.seen, held.hits, held.keys, held.first_ns), (5, 3, 3, Some(101)));
    assert_eq!(book.take("drop").map(|(_, hits)| hits), Some(dropped));
    assert_eq!((book.hits("drop"), book.take("drop")), (None, None));
}

#[test]
fn a_key_is_read_only_where_a_rule_names_the_request() {
    let mut book = book(Protocol::Http, &[("1", of(Effect::RequestDrop, "POST /a/*", Keys::All, Some(2)))]);
    assert_eq!(book.request("POST", "/b", || panic!("nobody asks"), 1), None);
    let fates = [1, 2, 3].map(|now| book.request("POST", "/a/x", || Some("k".to_owned()), now));
    assert_eq!(fates, [None, Some(Effect::RequestDrop), None]);
}

#[test]
fn commits_are_counted_when_they_come_and_hit_when_they_are_cut() {
    let picks = Picks { keys: Keys::Every(3), ..Picks::default() };
    let mut book = book(Protocol::Postgres, &[("cut", Rule { effect: Effect::CommitCutAfter, picks })]);
    let commits: Vec<_> = (0..6).map(|_| book.commit()).collect();
    assert_eq!(commits.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false, false, true]);
    assert_eq!(book.hits("cut").map(|hits| (hits.seen, hits.hits)), Some((6, 0)));
    let picked = commits[2].expect("picked");
    assert!(picked.reaches);
    book.cut(picked, 9);
    let hits = Hits { seen: 6, hits: 1, keys: 1, first_ns: Some(9), first_key: None };
    assert_eq!(book.hits("cut"), Some(hits));
}

#[test]
fn pieces_meet_the_rule_of_their_way_and_connections_are_seen() {
    let mut book = book(Protocol::Bytes, &[("cut", rule(Effect::Cut(Way::Back)))]);
    book.put("late", rule(Effect::Delay(Duration::from_millis(7))), 3, 5).expect("a rule");
    assert_eq!(book.piece(Way::There, true, 1).map(|(_, air)| air), Some(Air::Late(Duration::from_millis(7))));
    assert_eq!(book.piece(Way::Back, true, 2).map(|(_, air)| air), Some(Air::Lost));
    assert_eq!(book.piece(Way::Back, false, 3).map(|(_, air)| air), Some(Air::Lost), "an end is no piece");
    assert!(!book.connection(4));
    let [cut, late] = ["cut", "late"].map(|id| book.hits(id).expect("in force"));
    assert_eq!((cut.seen, cut.hits, cut.first_ns), (1, 1, Some(2)));
    assert_eq!((late.seen, late.hits, late.first_ns), (4, 1, Some(1)));
}

#[test]
fn a_reset_hits_who_is_open_and_who_comes() {
    let mut book = Book::new(Protocol::Http);
    assert_eq!(book.put("rst", rule(Effect::Reset), 2, 10), Ok(true));
    assert_eq!(book.put("rst", rule(Effect::Reset), 5, 11), Ok(false), "the same again changes nothing");
    assert!(book.connection(12));
    let hits = Hits { seen: 3, hits: 3, keys: 0, first_ns: Some(10), first_key: None };
    assert_eq!(book.take("rst"), Some((0, hits)));
    assert!(!book.connection(13));
}

#[test]
fn a_rule_that_cannot_be_carried_out_is_refused_with_what_would_do() {
    let keyed = |effect, keys| Rule { effect, picks: Picks { keys, ..Picks::default() } };
    let share = Keys::Share { probability: 1.5, seed: 1 };
    for (protocol, rule, said) in [
        (Protocol::Bytes, rule(Effect::RequestDrop), "effect: RequestDrop is not done on a link of protocol bytes"),
        (Protocol::Postgres, rule(Effect::ResponseDrop), "accepted are effects on commits and bytes"),
        (Protocol::Http, rule(Effect::CommitCutBefore), "accepted are effects on requests, answers and bytes"),
        (Protocol::Http, rule(Effect::RequestTwice(1)), "effect.request_twice: 1"),
        (Protocol::Http, of(Effect::RequestDrop, "transfers", Keys::All, None), "picks.of: transfers"),
        (Protocol::Http, of(Effect::RequestDrop, "GET /", Keys::All, Some(0)), "picks.nth: 0"),
        (Protocol::Http, keyed(Effect::RequestDrop, Keys::Every(0)), "picks.keys.every: 0"),
        (Protocol::Http, keyed(Effect::RequestDrop, share), "picks.keys.share.probability: 1.5"),
        (Protocol::Bytes, keyed(Effect::Blackhole, Keys::Every(2)), "picks.keys: Every(2); accepted is all"),
        (Protocol::Http, of(Effect::Blackhole, "GET /", Keys::All, None), "picks.of: GET /"),
        (Protocol::Postgres, of(Effect::CommitCutAfter, "GET /", Keys::All, None), "picks.of: GET /"),
    ] {
        let refused = Book::new(protocol).put("1", rule, 0, 0).expect_err(said).to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let mut book = book(Protocol::Http, &[("1", rule(Effect::RequestDrop))]);
    let refused = book.put("1", rule(Effect::ResponseDrop), 0, 0).expect_err("taken").to_string();
    assert!(refused.contains("rule \"1\" is in force and says something else"), "{refused}");
}
