//! A relay that breaks a connection at a commit.
//!
//! In: the server's port. Out: a port in front of it, a switch. Elsewhere: who throws it (`real`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bankstorm_outside::conformance::script::Cut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The answer to a COMMIT that was done.
const DONE: &[u8] = b"C\0\0\0\x0bCOMMIT\0";
const THROUGH: u8 = 0;
const BEFORE: u8 = 1;
const AFTER: u8 = 2;

/// A relay to one port.
pub(super) struct Proxy {
    pub(super) port: u16,
    armed: Arc<AtomicU8>,
}

impl Proxy {
    /// Starts one.
    #[expect(clippy::disallowed_methods, reason = "a trial's own relay, which ends with its runtime")]
    pub(super) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let armed = Arc::new(AtomicU8::new(THROUGH));
        let switch = Arc::clone(&armed);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.expect("a client");
                let far = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
                near.set_nodelay(true).expect("a socket");
                far.set_nodelay(true).expect("a socket");
                tokio::spawn(relay(near, far, Arc::clone(&switch)));
            }
        });
        Self { port, armed }
    }

    /// The next thing that the client says is a COMMIT: it breaks the connection there.
    pub(super) fn cut(&self, cut: Cut) {
        let armed = match cut {
            Cut::Before => BEFORE,
            Cut::After => AFTER,
        };
        self.armed.store(armed, Ordering::SeqCst);
    }
}

/// Both sockets close where it ends.
async fn relay(mut near: TcpStream, mut far: TcpStream, armed: Arc<AtomicU8>) {
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            biased;
            read = near.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                if armed.compare_exchange(BEFORE, THROUGH, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return;
                }
                if far.write_all(&asked[..count]).await.is_err() {
                    return;
                }
            }
            read = far.read(&mut said) => {
                let Ok(count @ 1..) = read else { return };
                let committed = said[..count].windows(DONE.len()).any(|window| window == DONE);
                if committed && armed.compare_exchange(AFTER, THROUGH, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return;
                }
                if near.write_all(&said[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
