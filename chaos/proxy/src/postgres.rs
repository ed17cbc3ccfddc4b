//! Links of PostgreSQL: messages are framed from the first one on, so that a COMMIT is known when it comes and when it was carried out.
//!
//! In: both ends of a connection. Out: the same bytes; [`Stop::Cut`] where a rule cuts a commit. Elsewhere: how both ends come about and end
//! (`relay`), where messages begin and end (`framing`), what of them is a commit and what answers it (`session`).
//!
//! Bytes are passed on as they are, as soon as they are known not to be part of something that is cut. While the answer to a commit is
//! waited for, what its caller sends ahead is read and kept: who hangs up meanwhile waits for no answer, and nothing is cut off from him.

mod framing;
mod session;

use std::future::pending;
use std::io;
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
/// The most that is read ahead of an answer that is waited for; who sends more is not seen to hang up.
const AHEAD_MAX: usize = 1024 * 1024;

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
    /// The commit that was waited for is not cut: the caller's further messages may go.
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
                        to.write_all(&out.split()).await?;
                        if self.link.cut(commit) {
                            return Err(Stop::Cut);
                        }
                    }
                    Some(commit) => self.session().waits_for(commit),
                    None => {}
                }
                out.extend_from_slice(frame.bytes());
                if asked.ends_group && self.session().is_waiting() {
                    to.write_all(&out.split()).await?;
                    self.is_released(&mut from, &mut frames).await?;
                }
            }
            to.write_all(&out.split()).await?;
        }
        self.session().ends();
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
                        to.write_all(&out.split()).await?;
                        if self.link.cut(commit) {
                            return Err(Stop::Cut);
                        }
                        self.released.notify_one();
                    }
                }
                out.extend_from_slice(frame.bytes());
            }
            to.write_all(&out.split()).await?;
        }
        // Whatever was waited for will not come.
        self.session().ends();
        self.released.notify_one();
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

    /// Waits until a commit that reached the server is answered, and reads ahead meanwhile.
    async fn is_released(&self, from: &mut Reading<'_>, frames: &mut Frames) -> io::Result<()> {
        while self.session().is_waiting() {
            let has_room = frames.len() < AHEAD_MAX;
            let more = async { if has_room { from.read_buf(frames.room(BUFFER)).await } else { pending().await } };
            tokio::select! {
                biased;
                () = self.released.notified() => {}
                read = more => if read? == 0 {
                    self.session().ends();
                },
            }
        }
        Ok(())
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
