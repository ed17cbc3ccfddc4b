//! A connection of a link, read through the rules for bytes: pieces are late, in their order, vanish, or pass.
//!
//! In: a socket and the way that is read from it. Out: what arrives, when it arrives. Elsewhere: which rule decides (`rules`), who must be
//! reset (`link`).
//!
//! Only reading goes through rules: the way there is read from the caller, the way back from the server, so each piece passes here once,
//! whatever the protocol. Without such a rule in force a read costs one more load than a plain socket's.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bankstorm_faults::rule::Way;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::link::Line;
use crate::rules::Air;

/// Bytes that may be on their way on a slow link; beyond them the sender waits, as on a real one.
const LATE_MAX: usize = 4 * 1024 * 1024;
/// The largest piece.
const PIECE_MAX: usize = 16 * 1024;

/// How a connection's two sides are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// What was sent still arrives, and then the end.
    Closed,
    /// At once, as by a host that lost the connection.
    Reset,
}

/// Ends a connection at once: SO_LINGER of 0 makes the kernel send a reset instead of an end.
pub(crate) fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "a connection is closed instead of reset");
    }
}

/// A socket and what was read from it and is on its way.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    air: Filter,
    /// Something was written since the last flush.
    is_writing: bool,
    /// Set with each flush of something.
    written: Arc<AtomicBool>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, way: Way, line: &Arc<Line>) -> Self {
        let air = Filter { way, line: Arc::clone(line), late: Late::default(), over: Over::No };
        Self { stream, air, is_writing: false, written: Arc::default() }
    }

    /// Becomes true whenever something was written and then flushed: all that its writer had.
    pub(crate) fn written(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.written)
    }

    /// Its two directions, for two loops.
    pub(crate) fn split(&mut self) -> (Reading<'_>, WriteHalf<'_>) {
        let (half, write) = self.stream.split();
        (Reading { half, air: &mut self.air }, write)
    }

    /// Leaves it.
    pub(crate) fn end(self, how: Ended) {
        match how {
            Ended::Closed => drop(self.stream),
            Ended::Reset => reset(self.stream),
        }
    }
}

/// The reading side of a [`Socket`].
pub(crate) struct Reading<'a> {
    half: ReadHalf<'a>,
    air: &'a mut Filter,
}

/// What stands between a socket and who reads it.
#[derive(Debug)]
struct Filter {
    way: Way,
    line: Arc<Line>,
    late: Late,
    over: Over,
}

/// Whether there is more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    No,
    /// The end was read, and is on its way.
    Read,
    /// It was passed on.
    Told,
    /// It vanished.
    Lost,
}

impl Filter {
    fn poll_read(
        &mut self,
        source: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.over == Over::No && self.late.pieces.is_empty() && !self.line.has_weather() {
            return source.poll_read(context, buffer);
        }
        self.poll_through(source, context, buffer)
    }

    /// Everything that has come gets its time, then what is due is given out.
    fn poll_through(
        &mut self,
        mut source: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.over == Over::No && self.late.bytes < LATE_MAX {
            match poll_piece(source.as_mut(), context) {
                Poll::Ready(piece) => self.take(piece),
                Poll::Pending => break,
            }
        }
        match self.over {
            Over::Told => Poll::Ready(Ok(())),
            // Whoever reads on is woken when the connection is reset.
            Over::Lost if self.late.pieces.is_empty() => Poll::Pending,
            _ => self.give(context, buffer),
        }
    }

    fn take(&mut self, piece: io::Result<Bytes>) {
        let is_end = !matches!(&piece, Ok(bytes) if !bytes.is_empty());
        let now = Instant::now();
        self.over = if is_end { Over::Read } else { Over::No };
        match self.line.meets(self.way, !is_end) {
            Air::Lost if is_end => self.over = Over::Lost,
            Air::Lost => {}
            Air::Clear => self.late.push(now, piece),
            Air::Late(delay) => self.late.push(now + delay, piece),
        }
    }

    fn give(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let given = self.late.poll_due(context, buffer);
        let is_end = self.over == Over::Read && self.late.pieces.is_empty();
        if is_end && given.is_ready() {
            self.over = Over::Told;
        }
        given
    }
}

/// What one read brings; nothing at the end.
fn poll_piece(source: Pin<&mut impl AsyncRead>, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut piece = vec![0; PIECE_MAX];
    let mut into = ReadBuf::new(&mut piece);
    let read = std::task::ready!(source.poll_read(context, &mut into));
    let length = into.filled().len();
    piece.truncate(length);
    Poll::Ready(read.map(|()| piece.into()))
}

/// Pieces on their way, in their order.
#[derive(Debug, Default)]
struct Late {
    pieces: VecDeque<(Instant, io::Result<Bytes>)>,
    bytes: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Late {
    /// No piece overtakes an earlier one.
    fn push(&mut self, due: Instant, piece: io::Result<Bytes>) {
        let last = self.pieces.back().map_or(due, |(last, _)| *last);
        self.bytes += piece.as_ref().map_or(0, Bytes::len);
        self.pieces.push_back((due.max(last), piece));
    }

    fn poll_due(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some((due, _)) = self.pieces.front() else { return Poll::Pending };
        if *due > Instant::now() {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(*due)));
            if timer.deadline() != *due {
                timer.as_mut().reset(*due);
            }
            std::task::ready!(timer.as_mut().poll(context));
        }
        let (due, piece) = self.pieces.pop_front().expect("seen just now");
        let mut piece = piece?;
        let fits = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..fits]);
        self.bytes -= fits;
        piece.advance(fits);
        if !piece.is_empty() {
            self.pieces.push_front((due, Ok(piece)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Reading<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.air.poll_read(Pin::new(&mut this.half), context, buffer)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.air.poll_read(Pin::new(&mut this.stream), context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_writing = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_writing = true;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) && std::mem::take(&mut self.is_writing) {
            self.written.store(true, Ordering::Relaxed);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
