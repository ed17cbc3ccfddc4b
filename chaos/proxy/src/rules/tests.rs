//! Rules decide and count; no socket is needed to see it.

use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Keys, Picks, Rule, Way};

use super::{Air, Book, Fate, Picked};
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

const LATE: Duration = Duration::from_millis(5);

fn request(book: &mut Book, key: &str, now_ns: i64) -> Fate {
    book.request("POST", "/v1/transfers", || Some(key.to_owned()), now_ns)
}

fn effects(fate: &Fate) -> (Option<Effect>, Option<Effect>) {
    let effect = |picked: &Option<Picked>| picked.as_ref().map(|picked| picked.effect);
    (effect(&fate.there), effect(&fate.back))
}

#[test]
fn every_rule_sees_what_comes_and_what_is_dropped_has_no_answer() {
    let drop = of(Effect::RequestDrop, "POST /v1/transfers", Keys::Every(2), None);
    let mut book = book(Protocol::Http, &[("late", rule(Effect::ResponseHold(LATE))), ("drop", drop)]);
    let fates: Vec<_> = (1..=4).map(|number| request(&mut book, &format!("key-{number}"), 100 + number)).collect();
    let (late, drop) = ((None, Some(Effect::ResponseHold(LATE))), (Some(Effect::RequestDrop), None));
    assert_eq!(fates.iter().map(effects).collect::<Vec<_>>(), [late, drop, late, drop]);
    assert_eq!(effects(&book.request("GET", "/v1/other", || None, 200)), late);
    let (first_ns, first_key) = (Some(102), Some("key-2".to_owned()));
    let dropped = Hits { seen: 4, hits: 2, keys: 2, first_ns, first_key, ..Hits::default() };
    assert_eq!(book.hits("drop"), Some(dropped.clone()));
    let held = book.hits("late").expect("in force");
    assert_eq!((held.seen, held.hits, held.overruled), (5, 0, 2), "no answer has come so far");
    assert_eq!(book.take("drop").map(|(_, hits)| hits), Some(dropped));
    assert_eq!((book.hits("drop"), book.take("drop")), (None, None));
}

#[test]
fn of_the_rules_for_a_request_the_strongest_is_done_and_the_others_say_that_they_were_overruled() {
    let [drop, hold, twice] = [Effect::RequestDrop, Effect::RequestHold(LATE), Effect::RequestTwice(2)];
    let [lost, late] = [Effect::ResponseDrop, Effect::ResponseHold(LATE)];
    for (effects_put, there, back) in [
        (&[twice, hold, drop][..], Some(drop), None),
        (&[twice, hold], Some(hold), None),
        (&[hold, twice], Some(hold), None),
        (&[late, lost], None, Some(lost)),
        (&[late, twice], Some(twice), Some(late)),
        (&[lost, late, hold], Some(hold), Some(lost)),
        (&[late, lost, drop], Some(drop), None),
    ] {
        let mut book = Book::new(Protocol::Http);
        for (id, effect) in effects_put.iter().enumerate() {
            book.put(&id.to_string(), rule(*effect), 0, 0).expect("a rule");
        }
        assert_eq!(effects(&request(&mut book, "a", 1)), (there, back), "{effects_put:?}");
        for (id, effect) in effects_put.iter().enumerate() {
            let is_done = [there, back].contains(&Some(*effect));
            let hits = book.hits(&id.to_string()).expect("in force");
            assert_eq!((hits.seen, hits.overruled), (1, u64::from(!is_done)), "{effect:?} of {effects_put:?}");
            assert!(is_done || hits.hits == 0, "{effect:?} of {effects_put:?}");
        }
    }
}

#[test]
fn a_hit_is_counted_when_it_is_done_and_not_at_all_once_the_rule_is_gone() {
    for effect in [Effect::ResponseDrop, Effect::ResponseHold(LATE), Effect::RequestTwice(2)] {
        let mut book = book(Protocol::Http, &[("1", rule(effect))]);
        let fate = request(&mut book, "a", 1);
        let picked = fate.there.or(fate.back).expect("picked");
        assert_eq!(book.hits("1").map(|hits| (hits.seen, hits.hits, hits.first_ns)), Some((1, 0, None)), "{effect:?}");
        assert!(book.done(&picked, 0, 7));
        let hits =
            Hits { seen: 1, hits: 1, keys: 1, first_ns: Some(7), first_key: Some("a".into()), ..Hits::default() };
        assert_eq!(book.take("1").map(|(_, hits)| hits), Some(hits), "{effect:?}");
        assert!(!book.done(&picked, 0, 8), "{effect:?}");
        book.put("1", rule(effect), 0, 0).expect("the same id again");
        assert!(!book.done(&picked, 0, 9), "{effect:?}: another rule");
    }
}

#[test]
fn a_rule_that_was_taken_away_is_told_of_until_nothing_is_in_hand() {
    let mut book = book(Protocol::Http, &[("1", rule(Effect::RequestHold(LATE)))]);
    let picked: Vec<Picked> = ["a", "b"].iter().filter_map(|key| request(&mut book, key, 1).there).collect();
    let told = |hits: Option<(u64, Hits)>| hits.map(|(_, hits)| (hits.hits, hits.in_hand, hits.undelivered));
    assert_eq!(told(book.take("1")), Some((2, 2, 0)));
    assert_eq!(effects(&request(&mut book, "c", 2)), (None, None), "it is in force no more");
    book.ended(picked[0].rule(), true);
    assert_eq!(told(book.take("1")), Some((2, 1, 0)));
    book.ended(picked[1].rule(), false);
    assert_eq!(book.hits("1").map(|hits| hits.undelivered), Some(1));
    assert_eq!(told(book.take("1")), Some((2, 0, 1)));
    assert_eq!((book.hits("1"), book.take("1")), (None, None));
}

#[test]
fn a_key_is_read_only_where_a_rule_names_the_request() {
    let mut book = book(Protocol::Http, &[("1", of(Effect::RequestDrop, "POST /a/*", Keys::All, Some(2)))]);
    assert_eq!(book.request("POST", "/b", || panic!("nobody asks"), 1), Fate::default());
    let fates = [1, 2, 3].map(|now| effects(&book.request("POST", "/a/x", || Some("k".to_owned()), now)).0);
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
    assert!(book.cut(picked, 9));
    let hits = Hits { seen: 6, hits: 1, keys: 1, first_ns: Some(9), ..Hits::default() };
    assert_eq!(book.take("cut").map(|(_, hits)| hits), Some(hits));
    assert!(!book.cut(commits[5].expect("picked"), 10), "its rule is gone");
}

#[test]
fn pieces_meet_the_rule_of_their_way_and_connections_are_seen() {
    let mut book = book(Protocol::Bytes, &[("cut", rule(Effect::Cut(Way::Back)))]);
    book.put("late", rule(Effect::Delay(Duration::from_millis(7))), 3, 5).expect("a rule");
    assert_eq!(piece(&mut book, Way::There, true, 1), (Air::Late(Duration::from_millis(7)), 0));
    assert_eq!(piece(&mut book, Way::Back, true, 2), (Air::Lost, 1));
    assert_eq!(piece(&mut book, Way::Back, false, 3), (Air::Lost, 1), "an end is no piece");
    assert!(!book.connection(4));
    let [cut, late] = ["cut", "late"].map(|id| book.hits(id).expect("in force"));
    assert_eq!((cut.seen, cut.hits, cut.first_ns), (1, 1, Some(2)));
    assert_eq!((late.seen, late.hits, late.first_ns), (4, 1, Some(1)));
}

/// What happens to a piece, and to how many rules it is lost.
fn piece(book: &mut Book, way: Way, is_piece: bool, now_ns: i64) -> (Air, usize) {
    let mut lost_to = 0;
    let air = book.piece(way, is_piece, now_ns, |_| lost_to += 1);
    (air, lost_to)
}

#[test]
fn of_several_rules_for_bytes_loss_wins_and_delays_add_up_whichever_was_put_first() {
    let late = rule(Effect::Delay(LATE));
    let (hole, cut) = (rule(Effect::Blackhole), rule(Effect::Cut(Way::There)));
    let mut book = book(Protocol::Bytes, &[("late", late.clone()), ("later", late), ("hole", hole), ("cut", cut)]);
    assert_eq!(piece(&mut book, Way::There, true, 1), (Air::Lost, 2));
    assert_eq!(piece(&mut book, Way::Back, true, 2), (Air::Lost, 1));
    let counts =
        |book: &Book| ["late", "later", "hole", "cut"].map(|id| book.hits(id).map(|hits| (hits.hits, hits.overruled)));
    assert_eq!(counts(&book), [Some((0, 2)), Some((0, 2)), Some((2, 0)), Some((1, 0))]);
    book.take("hole");
    assert_eq!(piece(&mut book, Way::Back, true, 3), (Air::Late(LATE * 2), 0));
    assert_eq!(counts(&book), [Some((1, 2)), Some((1, 2)), None, Some((1, 0))]);
}

#[test]
fn what_a_proxy_sends_itself_meets_what_loses_and_resets_and_no_delay() {
    let mut book = book(Protocol::Http, &[("late", rule(Effect::Delay(LATE))), ("back", rule(Effect::Cut(Way::Back)))]);
    assert!(book.delivery(1, |_| panic!("nothing is lost on the way there")));
    book.put("hole", rule(Effect::Blackhole), 0, 2).expect("a rule");
    let mut lost_to = 0;
    assert!(!book.delivery(3, |_| lost_to += 1));
    book.put("rst", rule(Effect::Reset), 0, 4).expect("a rule");
    assert!(!book.delivery(5, |_| panic!("no connection, no piece")));
    let counts = ["late", "back", "hole", "rst"].map(|id| book.hits(id).map_or(0, |hits| hits.hits));
    assert_eq!((lost_to, counts), (1, [0, 0, 1, 1]));
}

#[test]
fn a_reset_hits_who_is_open_and_who_comes() {
    let mut book = Book::new(Protocol::Http);
    assert_eq!(book.put("rst", rule(Effect::Reset), 2, 10), Ok(true));
    assert_eq!(book.put("rst", rule(Effect::Reset), 5, 11), Ok(false), "the same again changes nothing");
    assert!(book.connection(12));
    let hits = Hits { seen: 3, hits: 3, first_ns: Some(10), ..Hits::default() };
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
