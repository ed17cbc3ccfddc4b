//! A tiny server that answers one kind of exchange, as fast as it can be done.
//!
//! In: an exchange. Out: where it listens. Elsewhere: what is said (`exchange`), who asks (`rounds`). Its threads end with their connections;
//! the one that accepts ends with the process.

use std::io::{BufReader, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::exchange::Exchange;

/// A running server.
pub(super) struct Echo(SocketAddr);

impl Echo {
    pub(super) fn start(exchange: Arc<Exchange>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let exchange = Arc::clone(&exchange);
                std::thread::spawn(move || serve(&exchange, stream));
            }
        });
        Ok(Self(address))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.0
    }
}

/// Until the other side ends it.
fn serve(exchange: &Exchange, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut to = stream.try_clone()?;
    exchange.serve(&mut BufReader::new(stream), &mut to)
}
