//! Links of PostgreSQL: messages are framed from the first one on, so that a COMMIT is known when it comes and when it was carried out.
//!
//! In: both ends of a connection. Out: the same bytes; [`Stop::Cut`] where a rule cuts a commit. Elsewhere: how both ends come about and end
//! (`relay`), where messages begin and end (`framing`), what of them is a commit and what answers it (`session`).
//!
//! Bytes are passed on as they are, as soon as they are known not to be part of something that is cut.

mod framing;
mod session;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::WriteHalf;
use tokio::sync::Notify;

use self::framing::{Frame, Frames};
use self::session::{Answered, Session};
use crate::link::Link;
use crate::relay::Stop;
use crate::socket::{Reading, Socket};

/// For each way.
const BUFFER: usize = 64 * 1024;

/// Passes on until both ways have ended, or a commit is cut.
pub(crate) async fn pass(link: &Link, caller: &mut Socket, server: &mut Socket) -> Result<(), Stop> {
    let (from_caller, to_caller) = caller.split();
    let (from_server, to_server) = server.split();
    let relay = Relay { link, session: Mutex::default(), released: Notify::new() };
    tokio::try_join!(relay.there(from_caller, to_server), relay.back(from_server, to_caller)).map(|_| ())
}

/// What the two ways of a connection share.
struct Relay<'a> {
    link: &'a Link,
    session: Mutex<Session>,
    /// The commit that was waited for was not carried out: the caller's further messages may go.
    released: Notify,
}

impl Relay<'_> {
    async fn there(&self, mut from: Reading<'_>, mut to: WriteHalf<'_>) -> Result<(), Stop> {
        let (mut frames, mut out) = (Frames::of_caller(), BytesMut::with_capacity(BUFFER));
        while from.read_buf(frames.room(BUFFER)).await? > 0 {
            if self.session().is_sealed() {
                frames.stop();
            }
            while let Some(frame) = frames.next() {
                let asked = self.session().asks(&frame);
                let cut = if asked.is_commit { self.link.commit() } else { None };
                match cut {
                    Some(commit) if !commit.reaches => {
                        to.write_all(&out).await?;
                        self.link.cut(commit);
                        return Err(Stop::Cut);
                    }
                    Some(commit) => self.session().waits_for(commit),
                    None => {}
                }
                out.extend_from_slice(frame.bytes());
                if asked.ends_group && self.session().is_waiting() {
                    to.write_all(&out.split()).await?;
                    self.is_released().await;
                }
            }
            to.write_all(&out.split()).await?;
        }
        Ok(to.shutdown().await?)
    }

    async fn back(&self, mut from: Reading<'_>, mut to: WriteHalf<'_>) -> Result<(), Stop> {
        let (mut frames, mut out) = (Frames::of_server(), BytesMut::with_capacity(BUFFER));
        while from.read_buf(frames.room(BUFFER)).await? > 0 {
            while let Some(frame) = self.next_of_server(&mut frames) {
                let answered = self.session().answers(&frame);
                match answered {
                    Answered::Passes => {}
                    Answered::Refused => self.released.notify_one(),
                    Answered::Committed(commit) => {
                        to.write_all(&out).await?;
                        self.link.cut(commit);
                        return Err(Stop::Cut);
                    }
                }
                out.extend_from_slice(frame.bytes());
            }
            to.write_all(&out.split()).await?;
        }
        Ok(to.shutdown().await?)
    }

    /// The server's next message, or the byte with which it answers a request for encryption.
    fn next_of_server(&self, frames: &mut Frames) -> Option<Frame> {
        let mut session = self.session();
        if !session.byte_is_due() {
            return frames.next();
        }
        let byte = frames.next_byte()?;
        session.has_byte(byte[0]);
        if session.is_sealed() {
            frames.stop();
        }
        Some(Frame::Part(byte))
    }

    async fn is_released(&self) {
        while self.session().is_waiting() {
            self.released.notified().await;
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
