//! A tiny HTTP server that sends back what it was sent, as fast as it can be done.
//!
//! In: requests with a content-length. Out: their bodies. Elsewhere: who asks (`rounds`). Its threads end with their connections; the one
//! that accepts ends with the process.

use std::io::{BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::rounds::read_message;

/// A running server.
pub(super) struct Echo(SocketAddr);

impl Echo {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream));
            }
        });
        Ok(Self(address))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.0
    }
}

/// Until the other side ends it.
fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    let mut answer = Vec::new();
    loop {
        let body = read_message(&mut from)?;
        answer.clear();
        write!(answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())?;
        answer.extend_from_slice(&body);
        to.write_all(&answer)?;
    }
}
