//! A request of a service, and its answer.
//!
//! In: bytes as they come. Out: the exchange. Elsewhere: its two sides (`exchange`).
//!
//! A proxy that understands HTTP writes heads anew, so of a message that has come only the body is compared.

use std::io::{BufRead, Error, ErrorKind, Result};

use super::{BODY, Exchange, Round};

/// POST with a body, answered by the same body.
pub(in crate::commands::calibrate) fn http() -> Exchange {
    let message = |first: &str| {
        let head = format!("{first}content-type: application/json\r\ncontent-length: {}\r\n\r\n", BODY.len());
        [head.as_bytes(), BODY.as_bytes()].concat()
    };
    let round = Round {
        request: message("POST /v1/transfers HTTP/1.1\r\nhost: 127.0.0.1\r\n"),
        answer: message("HTTP/1.1 200 OK\r\n"),
    };
    Exchange { name: "http", opening: None, round, comes: |from, _| Ok(body(from)? == BODY.as_bytes()) }
}

/// A message's body. Its head must say how long it is.
fn body(from: &mut dyn BufRead) -> Result<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().map_err(Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::{BODY, body};

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let one = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nx: y\r\n\r\n{BODY}", BODY.len());
        let mut two = std::io::Cursor::new([one.clone(), one].concat());
        for _ in 0..2 {
            assert_eq!(body(&mut two).expect("a message"), BODY.as_bytes());
        }
        assert!(body(&mut two).is_err());
    }
}
