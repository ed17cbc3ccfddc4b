//! A statement in PostgreSQL's extended protocol, and its row.
//!
//! In: bytes as they come. Out: the exchange. Elsewhere: its two sides (`exchange`), a proxy that frames such messages (`chaos/proxy`).
//!
//! As clients send it that send ahead: Parse, Bind, Execute and Sync in one piece, answered in one piece. It is not prepared once and for all,
//! so that a proxy has a statement to read in every round. A proxy passes these bytes on as they are, so all of them are compared.

use super::{BODY, Exchange, Round};

/// Version 3.0 of the protocol.
const VERSION: u32 = 196_608;
/// Whom the session is for.
const WHO: &[u8] = b"user\0bank\0database\0bank\0\0";
/// As a service writes a row that it wants to see.
const STATEMENT: &[u8] = b"INSERT INTO transfers (body) VALUES ($1) RETURNING body\0";

/// One statement with one parameter, answered by a row of that parameter.
pub(in crate::commands::calibrate) fn postgres() -> Exchange {
    // AuthenticationOk, ReadyForQuery.
    let opening = Round { request: startup(), answer: [message(b'R', &[&[0; 4]]), message(b'Z', &[b"I"])].concat() };
    Exchange {
        name: "postgres",
        opening: Some(opening),
        round: Round { request: request(), answer: answer() },
        comes: |from, sent| {
            let mut came = vec![0; sent.len()];
            from.read_exact(&mut came)?;
            Ok(came == sent)
        },
    }
}

/// The first message alone has no tag.
fn startup() -> Vec<u8> {
    [&(8 + WHO.len() as u32).to_be_bytes()[..], &VERSION.to_be_bytes(), WHO].concat()
}

/// Parse, Bind, Execute, Sync; statement and portal have no names, and parameters and columns are text.
fn request() -> Vec<u8> {
    let parse = message(b'P', &[b"\0", STATEMENT, &[0; 2]]);
    let bind = message(b'B', &[b"\0\0", &[0; 2], &field(), &[0; 2]]);
    let execute = message(b'E', &[b"\0", &[0; 4]]);
    [parse, bind, execute, message(b'S', &[])].concat()
}

/// ParseComplete, BindComplete, DataRow, CommandComplete, ReadyForQuery.
fn answer() -> Vec<u8> {
    let complete = message(b'C', &[b"INSERT 0 1\0"]);
    [message(b'1', &[]), message(b'2', &[]), message(b'D', &[&field()]), complete, message(b'Z', &[b"I"])].concat()
}

/// The only one: how many there are, its length, itself.
fn field() -> Vec<u8> {
    [&1_u16.to_be_bytes()[..], &(BODY.len() as u32).to_be_bytes(), BODY.as_bytes()].concat()
}

/// Tag, length, which counts itself and not the tag, and body.
fn message(tag: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[tag][..], &(4 + body.len() as u32).to_be_bytes(), body.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::{answer, request, startup};

    /// The tags of messages whose lengths add up to all of the bytes.
    fn tags(mut bytes: &[u8]) -> String {
        let mut tags = String::new();
        while let [tag, a, b, c, d, ..] = *bytes {
            tags.push(char::from(tag));
            bytes = &bytes[1 + u32::from_be_bytes([a, b, c, d]) as usize..];
        }
        assert!(bytes.is_empty(), "no message: {bytes:?}");
        tags
    }

    #[test]
    fn messages_are_as_long_as_they_say() {
        assert_eq!(tags(&request()), "PBES");
        assert_eq!(tags(&answer()), "12DCZ");
        let startup = startup();
        assert_eq!(startup[..4], (startup.len() as u32).to_be_bytes());
    }
}
