//! Rules on links: put to the proxy that stands there, watched until they were met, and taken away.
//!
//! In: a link, the proxy's address, a rule. Out: witnesses, with counts. Elsewhere: what a rule means (`faults::rule`), what a proxy does
//! about it (`chaos/proxy`), when (`faults::conductor`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_faults::conductor::HEAL_LIMIT;
use bankstorm_faults::nodes::{Healed, Witness};
use bankstorm_faults::rule::{Effect, Hits, RULES, Rule, Way};
use bankstorm_record::clock::monotonic_ns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// For one answer of a proxy, which does as good as nothing for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether a rule was met, or still has something in hand.
const LOOK: Duration = Duration::from_millis(20);
/// What a rule has in hand comes this much after its time at the latest, where somebody takes it.
const IN_HAND_GRACE: Duration = Duration::from_secs(2);
/// An answer is short.
const ANSWER_BYTES: u64 = 64 * 1024;

/// A rule on a link, by its fault's id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// `channel-0->core`.
    pub(super) link: &'a str,
    /// `http://host:port` of the proxy, as the harness reaches it.
    pub(super) proxy: &'a str,
    /// The fault's.
    pub(super) id: &'a str,
}

/// Every rule that was put, with what it had met when it was last looked at: a proxy tells of a rule that was taken away only until it has
/// nothing in hand.
#[derive(Debug, Default)]
pub(super) struct Rules {
    put: Mutex<BTreeMap<(String, String), Put>>,
    /// The longest that a heal waits for what a rule has in hand.
    patience: Duration,
}

#[derive(Clone, Debug)]
struct Put {
    rule: Rule,
    met: Hits,
    /// Whether the proxy took it, and no heal has asked for it back.
    stands: bool,
}

/// An answer of a proxy.
struct Answer {
    status: u16,
    body: String,
}

impl Rules {
    /// Of a run whose heal phase may take so long. The last heals have a quarter of it for certain, one under load has its own limit, and
    /// neither is to be used up with waiting.
    pub(super) fn new(heal: Duration) -> Self {
        Self { put: Mutex::default(), patience: (heal / 5).min(HEAL_LIMIT / 2) }
    }

    fn put(&self) -> MutexGuard<'_, BTreeMap<(String, String), Put>> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a rule in force; returns once it was met for the first time.
    pub(super) async fn strike(&self, place: Place<'_>, rule: &Rule) -> Result<Witness, String> {
        let key = (place.link.to_owned(), place.id.to_owned());
        self.put().insert(key.clone(), Put { rule: rule.clone(), met: Hits::default(), stands: false });
        let body = serde_json::to_string(rule).map_err(|error| format!("a rule: {error}"))?;
        let Answer { status, body } = ask(place, "PUT", &body).await?;
        if !(200..300).contains(&status) {
            return Err(format!("the proxy on {} refused the rule with {status}: {}", place.link, detail(&body)));
        }
        self.stands(&key, true);
        loop {
            let met = hits(place, ask(place, "GET", "").await?)?;
            let met = met.ok_or_else(|| format!("the proxy on {} has forgotten the rule", place.link))?;
            self.keep(&key, &met);
            if met.hits > 0 {
                let at_ns = met.first_ns.unwrap_or_else(monotonic_ns);
                return Ok(Witness { what: first(rule.effect, &met), at_ns });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes a rule away, and waits for what it has in hand; one that is gone already is told of as it was last seen, and as ended early
    /// where no heal took it.
    pub(super) async fn heal(&self, place: Place<'_>) -> Result<Healed, String> {
        let key = (place.link.to_owned(), place.id.to_owned());
        // Kept before it is taken away: whoever comes after a heal that was cut short finds the counts here.
        if let Some(met) = hits(place, ask(place, "GET", "").await?)? {
            self.keep(&key, &met);
        }
        // Before it is asked for: whoever heals again after a heal that was cut short is not to miss what that one took.
        let stood = self.stands(&key, false);
        let taken = hits(place, ask(place, "DELETE", "").await?)?;
        let at_ns = monotonic_ns();
        let ended_early = (stood && taken.is_none())
            .then(|| format!("the proxy on {} no longer knew the rule when it was to be taken away", place.link));
        if let Some(met) = taken {
            self.keep(&key, &met);
            self.until_out_of_hand(place, &key, met).await?;
        }
        let what = match self.put().get(&key) {
            Some(Put { rule, met, .. }) => total(rule.effect, met),
            None => "no rule of it was ever in force".to_owned(),
        };
        Ok(Healed { witness: Witness { what, at_ns }, ended_early })
    }

    /// What a rule that was taken away has in hand still comes, and is part of what was done; evidence is not to be collected before. Past
    /// the limit the witness tells how much is left.
    async fn until_out_of_hand(&self, place: Place<'_>, key: &(String, String), mut met: Hits) -> Result<(), String> {
        let effect = self.put().get(key).map(|put| put.rule.effect);
        let limit = effect.map_or(Duration::ZERO, comes_within).min(self.patience);
        let until = tokio::time::Instant::now() + limit;
        while met.in_hand > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            let Some(later) = hits(place, ask(place, "DELETE", "").await?)? else { break };
            self.keep(key, &later);
            met = later;
        }
        Ok(())
    }

    /// Notes whether a rule stands, and says whether it did so far.
    fn stands(&self, key: &(String, String), stands: bool) -> bool {
        self.put().get_mut(key).is_some_and(|put| std::mem::replace(&mut put.stands, stands))
    }

    fn keep(&self, key: &(String, String), met: &Hits) {
        if let Some(put) = self.put().get_mut(key) {
            put.met.clone_from(met);
        }
    }
}

/// What an answer says of a rule; `None` where the proxy knows none of that id.
fn hits(place: Place<'_>, Answer { status, body }: Answer) -> Result<Option<Hits>, String> {
    let odd = |why: String| format!("the proxy on {} answered {status}: {why}", place.link);
    match status {
        200 => serde_json::from_str(&body).map(Some).map_err(|error| odd(format!("{error} in {body:?}"))),
        404 => Ok(None),
        _ => Err(odd(detail(&body))),
    }
}

/// What a problem document says; what is none, as it stands.
fn detail(body: &str) -> String {
    let document = serde_json::from_str::<serde_json::Value>(body).ok();
    document.and_then(|document| Some(document.get("detail")?.as_str()?.to_owned())).unwrap_or_else(|| body.to_owned())
}

/// One request to a proxy about a rule, by hand; the error is a sentence.
async fn ask(place: Place<'_>, method: &str, body: &str) -> Result<Answer, String> {
    let Place { link, proxy, id } = place;
    let told = |problem: String| format!("the proxy on {link} at {proxy}: {problem}");
    match tokio::time::timeout(ANSWER_LIMIT, exchange(proxy, &format!("{method} {RULES}{id}"), body)).await {
        Ok(answered) => answered.map_err(told),
        Err(_) => Err(told(format!("no answer to {method} within {ANSWER_LIMIT:?}"))),
    }
}

async fn exchange(proxy: &str, request: &str, body: &str) -> Result<Answer, String> {
    let host = proxy.strip_prefix("http://").ok_or("the address does not begin with http://")?.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
    // Version 1.0, so that the answer ends with the connection and is not chunked.
    let head = format!("{request} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Answer, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("an answer without an end: {answer:?}"))?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("an answer without a status: {head:?}"))?;
    Ok(Answer { status, body: body.to_owned() })
}

/// What an effect is done to, one and several, and what is done.
fn words(effect: Effect) -> (&'static str, &'static str, String) {
    let request = |done: String| ("request", "requests", done);
    let answer = |done: String| ("answer", "answers", done);
    let piece = |done: String| ("piece of bytes", "pieces of bytes", done);
    let commit = |done: &str| ("commit", "commits", done.to_owned());
    match effect {
        Effect::RequestDrop => request("dropped".to_owned()),
        Effect::RequestHold(delay) => request(format!("held for {delay:?}")),
        Effect::RequestTwice(times) => request(format!("sent {times} times")),
        Effect::ResponseDrop => answer("dropped".to_owned()),
        Effect::ResponseHold(delay) => answer(format!("held for {delay:?}")),
        Effect::Delay(delay) => piece(format!("late by {delay:?}")),
        Effect::Blackhole => piece("lost".to_owned()),
        Effect::Cut(Way::There) => piece("lost on the way there".to_owned()),
        Effect::Cut(Way::Back) => piece("lost on the way back".to_owned()),
        Effect::Reset => ("connection", "connections", "reset".to_owned()),
        Effect::CommitCutBefore => commit("cut off on the way to the server"),
        Effect::CommitCutAfter => commit("carried out and cut off on the way back"),
    }
}

/// How long it may take until nothing is in hand.
fn comes_within(effect: Effect) -> Duration {
    match effect {
        Effect::RequestHold(delay) | Effect::ResponseHold(delay) => delay + IN_HAND_GRACE,
        _ => IN_HAND_GRACE,
    }
}

/// Whether hits are counted among requests or commits, of which some have keys, rather than on connections.
fn is_of_keys(effect: Effect) -> bool {
    !matches!(effect, Effect::Delay(_) | Effect::Blackhole | Effect::Cut(_) | Effect::Reset)
}

/// The proof of a strike: `the first answer was dropped, of 0192...`.
fn first(effect: Effect, met: &Hits) -> String {
    let (one, _, done) = words(effect);
    let of = met.first_key.as_ref().map(|key| format!(", of {key}")).unwrap_or_default();
    format!("the first {one} was {done}{of}")
}

/// What a rule met in all: `43 of 812 answers dropped, 43 keys, the first 0192...`.
fn total(effect: Effect, met: &Hits) -> String {
    let Hits { seen, hits, keys, first_key, overruled, .. } = met;
    let (_, several, done) = words(effect);
    let instead = match overruled {
        0 => String::new(),
        overruled => format!("; {overruled} more met another fault instead"),
    };
    if !is_of_keys(effect) {
        return match effect {
            Effect::Reset => format!("{hits} of {seen} {several} {done}"),
            _ => format!("{hits} {several} {done}, of {}{instead}", count(*seen, "connection")),
        };
    }
    let first = first_key.as_ref().map(|key| format!(", the first {key}")).unwrap_or_default();
    format!("{hits} of {seen} {several} {done}{}, {}{first}{instead}", fates(effect, met), count(*keys, "key"))
}

/// What became of what was in hand, where that is not what was meant: `, 2 of them reached nobody`.
fn fates(effect: Effect, met: &Hits) -> String {
    let of = |number: u64, what: &str| match (number, effect) {
        (0, _) => String::new(),
        (1, Effect::RequestTwice(_)) => format!(", 1 copy {what}"),
        (number, Effect::RequestTwice(_)) => format!(", {number} copies {what}"),
        (number, _) => format!(", {number} of them {what}"),
    };
    of(met.undelivered, "reached nobody") + &of(met.in_hand, "still to come")
}

fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bankstorm_faults::rule::Picks;
    use tokio::net::TcpListener;

    use super::*;

    fn met(seen: u64, hits: u64, first_key: Option<&str>) -> Hits {
        let (first_ns, first_key) = ((hits > 0).then_some(7), first_key.map(str::to_owned));
        Hits { seen, hits, keys: hits, first_ns, first_key, ..Hits::default() }
    }

    #[test]
    fn witnesses_say_what_was_done_to_how_many() {
        let some = met(812, 43, Some("0192"));
        assert_eq!(first(Effect::ResponseDrop, &some), "the first answer was dropped, of 0192");
        assert_eq!(total(Effect::ResponseDrop, &some), "43 of 812 answers dropped, 43 keys, the first 0192");
        let bytes = met(14, 1_812, None);
        let late = Effect::Delay(Duration::from_millis(5));
        assert_eq!(first(late, &bytes), "the first piece of bytes was late by 5ms");
        assert_eq!(total(late, &bytes), "1812 pieces of bytes late by 5ms, of 14 connections");
        let hidden = Hits { overruled: 3, ..bytes };
        assert_eq!(
            total(late, &hidden),
            "1812 pieces of bytes late by 5ms, of 14 connections; 3 more met another fault instead"
        );
        assert_eq!(total(Effect::Reset, &met(12, 12, None)), "12 of 12 connections reset");
        let commits = total(Effect::CommitCutBefore, &met(9, 1, None));
        assert_eq!(commits, "1 of 9 commits cut off on the way to the server, 1 key");
        let held = Hits { undelivered: 2, in_hand: 1, overruled: 4, ..met(811, 43, None) };
        assert_eq!(
            total(Effect::RequestHold(Duration::from_secs(4)), &held),
            "43 of 811 requests held for 4s, 2 of them reached nobody, 1 of them still to come, 43 keys; \
             4 more met another fault instead"
        );
        let copies = total(Effect::RequestTwice(3), &Hits { overruled: 0, ..held });
        assert_eq!(copies, "43 of 811 requests sent 3 times, 2 copies reached nobody, 1 copy still to come, 43 keys");
    }

    /// A proxy that gives these answers, one a connection, and tells what it was asked.
    async fn proxy(answers: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        #[expect(clippy::disallowed_methods, reason = "a server for a test")]
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                let mut request = [0; 1_024];
                let length = stream.read(&mut request).await.expect("a request");
                let text = String::from_utf8_lossy(&request[..length]);
                let line = text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.0").to_owned();
                heard.lock().expect("ours").push(line);
                stream.write_all(format!("HTTP/1.0 {answer}").as_bytes()).await.expect("answered");
            }
        });
        (format!("http://{address}"), asked)
    }

    const UNMET: &str = "200 OK\r\n\r\n{\"seen\":3,\"hits\":0,\"keys\":0,\"first_ns\":null,\"first_key\":null}";
    const MET: &str = "200 OK\r\n\r\n{\"seen\":9,\"hits\":2,\"keys\":2,\"first_ns\":7,\"first_key\":\"a\"}";
    const LAST: &str = "200 OK\r\n\r\n{\"seen\":20,\"hits\":4,\"keys\":3,\"first_ns\":7,\"first_key\":\"a\"}";
    const REFUSED: &str = "400 Bad Request\r\n\r\n{\"detail\":\"of: no method in `x`\"}";
    const GONE: &str = "404 Not Found\r\n\r\nno such rule";

    fn rule() -> Rule {
        Rule { effect: Effect::RequestDrop, picks: Picks::default() }
    }

    #[tokio::test]
    async fn a_rule_is_put_watched_until_it_is_met_and_taken_away_once() {
        let answers = &["204 No Content\r\n\r\n", UNMET, MET, MET, LAST, GONE, GONE];
        let (url, asked) = proxy(answers).await;
        let (rules, place) = (Rules::default(), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        let struck = rules.strike(place, &rule()).await.expect("met");
        assert_eq!((struck.what.as_str(), struck.at_ns), ("the first request was dropped, of a", 7));
        let Healed { witness: healed, ended_early } = rules.heal(place).await.expect("taken away");
        assert_eq!((healed.what.as_str(), ended_early), ("4 of 20 requests dropped, 3 keys, the first a", None));
        let again = rules.heal(place).await.expect("gone already");
        assert_eq!(again.witness.what, healed.what, "told as it was last seen");
        assert_eq!(again.ended_early, None, "by the heal before");
        let path = "/-/proxy/rules/fault-0";
        let expected = ["PUT", "GET", "GET", "GET", "DELETE", "GET", "DELETE"].map(|method| format!("{method} {path}"));
        assert_eq!(*asked.lock().expect("ours"), expected);
    }

    #[tokio::test]
    async fn a_rule_that_a_proxy_forgot_before_it_was_taken_away_has_ended_early() {
        let (url, _) = proxy(&["204 No Content\r\n\r\n", MET, GONE, GONE, GONE, GONE]).await;
        let (rules, place) = (Rules::default(), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        rules.strike(place, &rule()).await.expect("met");
        let Healed { witness, ended_early } = rules.heal(place).await.expect("nothing is left of it");
        assert_eq!(witness.what, "2 of 9 requests dropped, 2 keys, the first a", "as it was last seen");
        let told = "the proxy on channel-0->core no longer knew the rule when it was to be taken away";
        assert_eq!(ended_early.as_deref(), Some(told));
        assert_eq!(rules.heal(place).await.expect("once more is no error").ended_early, None, "told once");
    }

    #[tokio::test]
    async fn a_heal_that_was_cut_short_is_no_early_end() {
        let (url, _) = proxy(&["204 No Content\r\n\r\n", MET, MET, "", GONE, GONE]).await;
        let (rules, place) = (Rules::default(), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        rules.strike(place, &rule()).await.expect("met");
        rules.heal(place).await.expect_err("taken away, and nobody was told");
        assert_eq!(rules.heal(place).await.expect("gone already").ended_early, None);
    }

    const IN_HAND: &str = "200 OK\r\n\r\n\
        {\"seen\":9,\"hits\":2,\"keys\":2,\"first_ns\":7,\"first_key\":\"a\",\"in_hand\":2}";
    const ONE_LOST: &str = "200 OK\r\n\r\n\
        {\"seen\":9,\"hits\":2,\"keys\":2,\"first_ns\":7,\"first_key\":\"a\",\"undelivered\":1,\"in_hand\":0}";

    fn hold(delay: Duration) -> Rule {
        Rule { effect: Effect::RequestHold(delay), picks: Picks::default() }
    }

    #[tokio::test]
    async fn a_heal_waits_for_what_is_held_and_tells_what_became_of_it() {
        let (url, asked) = proxy(&["204 No Content\r\n\r\n", MET, MET, IN_HAND, IN_HAND, ONE_LOST]).await;
        let (rules, place) =
            (Rules::new(Duration::from_secs(300)), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        rules.strike(place, &hold(Duration::from_secs(4))).await.expect("met");
        let healed = rules.heal(place).await.expect("taken away").witness.what;
        assert_eq!(healed, "2 of 9 requests held for 4s, 1 of them reached nobody, 2 keys, the first a");
        assert_eq!(asked.lock().expect("ours").len(), 6, "and no longer");
    }

    #[tokio::test]
    async fn a_heal_that_has_no_time_to_wait_tells_what_is_still_to_come() {
        let (url, _) = proxy(&["204 No Content\r\n\r\n", MET, MET, IN_HAND]).await;
        let (rules, place) =
            (Rules::new(Duration::ZERO), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        rules.strike(place, &hold(Duration::from_secs(4))).await.expect("met");
        let healed = rules.heal(place).await.expect("taken away").witness.what;
        assert_eq!(healed, "2 of 9 requests held for 4s, 2 of them still to come, 2 keys, the first a");
        assert_eq!(comes_within(hold(Duration::from_secs(4)).effect), Duration::from_secs(6));
        assert_eq!(Rules::new(Duration::from_secs(30)).patience, Duration::from_secs(6), "a fifth of the heal phase");
        assert!(Rules::new(Duration::from_secs(3_600)).patience < HEAL_LIMIT);
    }

    #[tokio::test]
    async fn what_a_proxy_refuses_is_told_in_its_words() {
        let (url, _) = proxy(&[REFUSED, GONE, GONE, GONE]).await;
        let (rules, place) = (Rules::default(), Place { link: "channel-0->core", proxy: &url, id: "fault-0" });
        let refused = rules.strike(place, &rule()).await.expect_err("refused");
        assert_eq!(refused, "the proxy on channel-0->core refused the rule with 400: of: no method in `x`");
        let forgotten = rules.strike(place, &rule()).await.expect_err("no rule, no answer");
        assert!(forgotten.contains("404"), "{forgotten}");
        assert_eq!(rules.heal(place).await.expect("nothing to take").ended_early, None, "it never stood");
    }
}
