//! Where PostgreSQL's messages begin and end, either way.
//!
//! In: bytes as they come. Out: [`Frame`]s, which together are the same bytes. Elsewhere: what they mean (`session`).
//!
//! A long message is not waited for: its head comes as soon as it is there, and the rest of it in parts. Bytes that are no messages of the
//! protocol (encrypted ones, or nonsense) are passed on in parts as well: it is the server that refuses what is wrong.

use bytes::{Bytes, BytesMut};

/// As much of a message as is ever looked at.
const HEAD: usize = 1_024;
/// The longest first message that a server takes.
const STARTUP_MAX: usize = 10_000;
/// The codes of requests for encryption, which a server answers with a single byte.
const ENCRYPTIONS: [u32; 2] = [80_877_103, 80_877_104];

/// A stretch of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A request for encryption.
    Encryption(Bytes),
    /// The first message of a session.
    Startup(Bytes),
    /// A message.
    Message {
        /// Which.
        tag: u8,
        /// It, or its head where it is long.
        bytes: Bytes,
        /// Whether that is all of it.
        is_whole: bool,
    },
    /// More of a long message, or what is not understood.
    Part(Bytes),
}

impl Frame {
    /// The bytes as they came.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Encryption(bytes) | Self::Startup(bytes) | Self::Message { bytes, .. } | Self::Part(bytes) => bytes,
        }
    }
}

/// The bytes of one way.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: BytesMut,
    stage: Stage,
    /// Of a long message, what has not come.
    rest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Startup,
    Messages,
    /// Not understood any more.
    Parts,
}

impl Frames {
    /// What a caller sends.
    pub(super) fn of_caller() -> Self {
        Self { buffer: BytesMut::new(), stage: Stage::Startup, rest: 0 }
    }

    /// What a server sends.
    pub(super) fn of_server() -> Self {
        Self { stage: Stage::Messages, ..Self::of_caller() }
    }

    /// Bytes that have come and are in no frame so far.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Where further bytes go.
    pub(super) fn room(&mut self, bytes: usize) -> &mut BytesMut {
        self.buffer.reserve(bytes);
        &mut self.buffer
    }

    /// From here on nothing is understood.
    pub(super) fn stop(&mut self) {
        self.stage = Stage::Parts;
    }

    /// The next single byte, where one is due instead of a message.
    pub(super) fn next_byte(&mut self) -> Option<Bytes> {
        (!self.buffer.is_empty()).then(|| self.take(1))
    }

    /// The next frame, once enough of it is there.
    pub(super) fn next(&mut self) -> Option<Frame> {
        if self.buffer.is_empty() {
            return None;
        }
        if self.rest > 0 {
            let part = self.rest.min(self.buffer.len());
            self.rest -= part;
            return Some(Frame::Part(self.take(part)));
        }
        match self.stage {
            Stage::Startup => self.startup(),
            Stage::Messages => self.message(),
            Stage::Parts => Some(Frame::Part(self.take(self.buffer.len()))),
        }
    }

    /// Length, itself included, and code; no tag.
    fn startup(&mut self) -> Option<Frame> {
        let length = self.number_at(0)? as usize;
        if !(8..=STARTUP_MAX).contains(&length) {
            return self.not_understood();
        }
        let code = self.number_at(4)?;
        if self.buffer.len() < length {
            return None;
        }
        let bytes = self.take(length);
        if ENCRYPTIONS.contains(&code) {
            return Some(Frame::Encryption(bytes));
        }
        self.stage = Stage::Messages;
        Some(Frame::Startup(bytes))
    }

    /// Tag and length, which counts itself and not the tag.
    fn message(&mut self) -> Option<Frame> {
        let tag = self.buffer[0];
        let length = self.number_at(1)? as usize;
        if length < 4 {
            return self.not_understood();
        }
        let whole = 1 + length;
        let head = whole.min(HEAD);
        if self.buffer.len() < head {
            return None;
        }
        self.rest = whole - head;
        Some(Frame::Message { tag, bytes: self.take(head), is_whole: self.rest == 0 })
    }

    fn not_understood(&mut self) -> Option<Frame> {
        self.stop();
        self.next()
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.buffer.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")))
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.buffer.split_to(length).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Frames, HEAD};

    fn startup(code: u32, body: &[u8]) -> Vec<u8> {
        let length = 8 + body.len() as u32;
        [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = 4 + body.len() as u32;
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    /// Every frame, the bytes coming in pieces of `size`.
    fn frames(mut frames: Frames, bytes: &[u8], size: usize) -> Vec<Frame> {
        let mut found = Vec::new();
        for piece in bytes.chunks(size) {
            frames.room(piece.len()).extend_from_slice(piece);
            found.extend(std::iter::from_fn(|| frames.next()));
        }
        found
    }

    #[test]
    fn messages_are_found_however_their_bytes_come() {
        let sent = [
            startup(80_877_103, b""),
            startup(196_608, b"user\0me\0\0"),
            message(b'Q', b"COMMIT\0"),
            message(b'S', b""),
        ];
        let bytes = sent.concat();
        for size in 1..=bytes.len() {
            let found = frames(Frames::of_caller(), &bytes, size);
            assert_eq!(found.iter().map(|frame| frame.bytes().to_vec()).collect::<Vec<_>>(), sent, "pieces of {size}");
            assert!(matches!(found[0], Frame::Encryption(_)) && matches!(found[1], Frame::Startup(_)), "{found:?}");
            assert!(matches!(found[2], Frame::Message { tag: b'Q', is_whole: true, .. }), "{found:?}");
            assert!(matches!(found[3], Frame::Message { tag: b'S', is_whole: true, .. }), "{found:?}");
        }
    }

    #[test]
    fn a_long_message_is_passed_on_before_its_end_has_come() {
        let long = message(b'D', &[7; 5_000]);
        let bytes = [long.clone(), message(b'Z', b"I")].concat();
        let mut coming = Frames::of_server();
        coming.room(0).extend_from_slice(&bytes[..2_000]);
        let Some(Frame::Message { tag: b'D', bytes: head, is_whole: false }) = coming.next() else {
            panic!("its head is there")
        };
        assert_eq!(head.len(), HEAD);
        for size in [1, 700, 1_024, 6_000] {
            let found = frames(Frames::of_server(), &bytes, size);
            assert_eq!(found.iter().flat_map(|frame| frame.bytes().to_vec()).collect::<Vec<_>>(), bytes);
            assert!(matches!(found.last(), Some(Frame::Message { tag: b'Z', is_whole: true, .. })), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_passed_on_as_it_is() {
        for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 1, 2, 3], &[255; 40]] {
            let found = frames(Frames::of_caller(), nonsense, 64);
            assert_eq!(found, [Frame::Part(nonsense.to_vec().into())]);
        }
        let mut sealed = Frames::of_caller();
        sealed.stop();
        assert_eq!(frames(sealed, &startup(196_608, b"\0"), 64).len(), 1);
        let mut short = Frames::of_server();
        short.room(0).extend_from_slice(b"Q\0\0\0\x01rest");
        assert_eq!(short.next(), Some(Frame::Part(b"Q\0\0\0\x01rest".to_vec().into())));
    }
}
