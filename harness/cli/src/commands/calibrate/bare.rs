//! The least that can stand between two ends of a connection: what it adds is what this machine takes to wake two more threads.
//!
//! In: a server. Out: where it listens. Elsewhere: the proxies that are measured beside it (`hop`). Threads end with their connections; the one
//! that accepts ends with the process.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

/// A running relay.
pub(super) struct Bare(SocketAddr);

impl Bare {
    pub(super) fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who could not be let through sees his connection end.
                let _ = join(client, server);
            }
        });
        Ok(Self(address))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.0
    }
}

fn join(client: TcpStream, server: SocketAddr) -> Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let back = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || copy(client, server));
    std::thread::spawn(move || copy(back.0, back.1));
    Ok(())
}

/// One way, until its beginning ends; then the other end hears of it.
fn copy(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes)?;
        if count == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&bytes[..count])?;
    }
}
