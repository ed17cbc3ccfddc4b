//! What the two ends of a connection say to each other, the same whatever stands between them.
//!
//! In: both ways of a connection. Out: on the server's side answers, until the other side ends it; on the caller's one round at a time.
//! Elsewhere: the bytes (`http`, `postgres`), who listens (`echo`), who asks and takes the time (`rounds`).
//!
//! Everything is written before the first round: between a request and its answer nobody makes anything.

mod http;
mod postgres;

use std::io::{BufRead, Error, Result, Write};

pub(super) use self::http::http;
pub(super) use self::postgres::postgres;

/// About as large as a transfer: what a request brings, and its answer brings back.
const BODY: &str = "{\"id\": \"0192a0b0-0000-7000-8000-00000000002a\", \"user\": 42, \"from\": 1000042, \
                    \"to\": {\"bank\": \"own\", \"account\": 1000043}, \"amount\": 12345}";

/// A kind of exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Its name in documents and tables.
    pub(super) name: &'static str,
    /// What a connection begins with, where that is no request.
    opening: Option<Round>,
    round: Round,
    comes: Comes,
}

/// A request and its answer, as they are sent.
#[derive(Debug)]
struct Round {
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// Reads one message to its end, and says whether it means what was sent.
type Comes = fn(from: &mut dyn BufRead, sent: &[u8]) -> Result<bool>;

impl Exchange {
    /// The server's side: answers until it cannot go on.
    ///
    /// # Errors
    /// The other side has ended the connection, or sent something else.
    pub(super) fn serve(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<()> {
        if let Some(opening) = &self.opening {
            self.expect(from, &opening.request)?;
            to.write_all(&opening.answer)?;
        }
        loop {
            self.expect(from, &self.round.request)?;
            to.write_all(&self.round.answer)?;
        }
    }

    /// The caller's side, before its first round.
    ///
    /// # Errors
    /// The other side has ended the connection, or answered something else.
    pub(super) fn open(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<()> {
        self.opening.iter().try_for_each(|opening| self.passes(opening, from, to))
    }

    /// The caller's side, one round.
    ///
    /// # Errors
    /// The other side has ended the connection, or answered something else.
    pub(super) fn ask(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<()> {
        self.passes(&self.round, from, to)
    }

    /// Bytes of a request, and of its answer.
    pub(super) fn bytes(&self) -> [u64; 2] {
        [&self.round.request, &self.round.answer].map(|message| message.len() as u64)
    }

    fn passes(&self, round: &Round, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<()> {
        to.write_all(&round.request)?;
        self.expect(from, &round.answer)
    }

    fn expect(&self, from: &mut dyn BufRead, sent: &[u8]) -> Result<()> {
        if (self.comes)(from, sent)? { Ok(()) } else { Err(Error::other("something else came than was sent")) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, ErrorKind};

    use super::{BODY, Exchange, http, postgres};

    /// What a server answers to these bytes, and why it stopped.
    fn served(exchange: &Exchange, bytes: &[u8]) -> (Vec<u8>, ErrorKind) {
        let mut answers = Vec::new();
        let stopped = exchange.serve(&mut Cursor::new(bytes), &mut answers).expect_err("it serves until it cannot");
        (answers, stopped.kind())
    }

    /// The opening, if there is one, and two rounds: all that a caller sends, and all that it is answered.
    fn session(exchange: &Exchange) -> [Vec<u8>; 2] {
        let rounds = || exchange.opening.iter().chain([&exchange.round, &exchange.round]);
        let [requests, answers]: [Vec<&[u8]>; 2] =
            [rounds().map(|round| &*round.request).collect(), rounds().map(|round| &*round.answer).collect()];
        [requests.concat(), answers.concat()]
    }

    /// Another amount in the first body.
    fn changed(mut bytes: Vec<u8>) -> Vec<u8> {
        let at = bytes.windows(5).position(|part| part == b"12345").expect("a body");
        bytes[at] = b'9';
        bytes
    }

    #[test]
    fn both_sides_go_on_for_as_long_as_the_other_says_what_is_expected() {
        for exchange in [http(), postgres()] {
            let [requests, answers] = session(&exchange);
            assert_eq!(served(&exchange, &requests), (answers.clone(), ErrorKind::UnexpectedEof), "{}", exchange.name);
            let (mut from, mut sent) = (Cursor::new(answers), Vec::new());
            exchange.open(&mut from, &mut sent).expect("opened");
            exchange.ask(&mut from, &mut sent).expect("a first answer");
            exchange.ask(&mut from, &mut sent).expect("a second answer");
            assert_eq!(sent, requests, "{}", exchange.name);
            assert!(exchange.ask(&mut from, &mut sent).is_err(), "{}: no third", exchange.name);
        }
    }

    #[test]
    fn what_a_relay_changed_is_noticed_on_either_side() {
        for exchange in [http(), postgres()] {
            let [requests, answers] = session(&exchange);
            let opened = exchange.opening.as_ref().map_or(0, |opening| opening.answer.len());
            let (answered, stopped) = served(&exchange, &changed(requests));
            assert_eq!((answered.len(), stopped), (opened, ErrorKind::Other), "{}", exchange.name);
            let mut from = Cursor::new(changed(answers));
            exchange.open(&mut from, &mut Vec::new()).expect("opened");
            assert!(exchange.ask(&mut from, &mut Vec::new()).is_err(), "{}", exchange.name);
        }
    }

    #[test]
    fn every_exchange_takes_the_same_there_and_back() {
        let sizes = [http(), postgres()].map(|exchange| {
            for message in [&exchange.round.request, &exchange.round.answer] {
                assert!(message.windows(BODY.len()).any(|part| part == BODY.as_bytes()), "{}", exchange.name);
            }
            exchange.bytes()
        });
        for (http, postgres) in sizes[0].into_iter().zip(sizes[1]) {
            assert!(http.abs_diff(postgres) < 50, "{sizes:?}");
        }
    }
}
