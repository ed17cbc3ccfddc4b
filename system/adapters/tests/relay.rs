//! Relays before a database, for one connection.
//!
//! In: the connection string of a database. Out: that of the relay. Elsewhere: relays that break connections at a commit
//! (`scripts_on_postgres::proxy`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Counts how often the client speaks after the server has spoken.
#[expect(clippy::disallowed_methods, reason = "a trial's own relay")]
pub(crate) async fn turn_counter(url: &str) -> (String, Arc<AtomicUsize>) {
    let (listener, url, port) = before(url).await;
    let counted = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&counted);
    tokio::spawn(async move {
        let (mut near, mut far) = both(&listener, port).await;
        let (mut asked, mut said) = ([0; 65_536], [0; 65_536]);
        let mut server_spoke = true;
        loop {
            tokio::select! {
                biased;
                read = near.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    turns.fetch_add(usize::from(server_spoke), Ordering::SeqCst);
                    server_spoke = false;
                    far.write_all(&asked[..count]).await.expect("the server reads");
                }
                read = far.read(&mut said) => {
                    let Ok(count @ 1..) = read else { return };
                    server_spoke = true;
                    near.write_all(&said[..count]).await.expect("the client reads");
                }
            }
        }
    });
    (url, counted)
}

/// Makes of the client's BEGIN a statement that prepares and then fails.
#[expect(clippy::disallowed_methods, reason = "a trial's own relay")]
pub(crate) async fn begin_breaker(url: &str) -> String {
    let (listener, url, port) = before(url).await;
    tokio::spawn(async move {
        let (mut near, mut far) = both(&listener, port).await;
        let (mut asked, mut said) = ([0; 65_536], [0; 65_536]);
        let (sound, broken) = (b"\0BEGIN\0", b"\0DO ''\0");
        loop {
            tokio::select! {
                biased;
                read = near.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    let place = asked[..count].windows(sound.len()).position(|window| window == sound);
                    if let Some(place) = place {
                        asked[place..place + broken.len()].copy_from_slice(broken);
                    }
                    far.write_all(&asked[..count]).await.expect("the server reads");
                }
                read = far.read(&mut said) => {
                    let Ok(count @ 1..) = read else { return };
                    near.write_all(&said[..count]).await.expect("the client reads");
                }
            }
        }
    });
    url
}

/// A relay's listener, the connection string that leads there, the server's port.
async fn before(url: &str) -> (TcpListener, String, u16) {
    let port: u16 =
        url.split_whitespace().find_map(|part| part.strip_prefix("port=")).expect("a port").parse().expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("bound").port();
    (listener, url.replace(&format!("port={port}"), &format!("port={own}")), port)
}

async fn both(listener: &TcpListener, port: u16) -> (TcpStream, TcpStream) {
    let (near, _) = listener.accept().await.expect("a client");
    (near, TcpStream::connect(("127.0.0.1", port)).await.expect("the server"))
}
