//! A proxy before a server, or before a server's side that is in the test's own hands; and the limits of a test.

use std::net::SocketAddr;
use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Keys, Picks, RULES, Rule};
use bankstorm_proxy::{Protocol, Settings, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::caller::{Caller, Got};
use super::server::Server;

/// Within this everything that must happen happens, on any machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Runs a test on a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async { timeout(Duration::from_secs(120), test).await.expect("a test that ends") });
}

/// What must happen.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(SOON, event).await.expect("it happens within the limit")
}

/// A rule for everything.
pub(crate) fn all(effect: Effect) -> Rule {
    Rule { effect, picks: Picks::default() }
}

/// A rule for some requests.
pub(crate) fn of(effect: Effect, of: &str) -> Rule {
    Rule { effect, picks: Picks { of: Some(of.to_owned()), keys: Keys::All, nth: None } }
}

/// A port of its own, and its address.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// A tiny server, and before it a proxy that reads requests.
pub(crate) async fn http() -> (Server, Proxy) {
    let server = Server::start().await;
    let proxy = Proxy::before(server.address, Protocol::Http).await;
    (server, proxy)
}

/// A link whose server's side is in the test's own hands.
pub(crate) struct Rig {
    listener: TcpListener,
    pub(crate) proxy: Proxy,
}

impl Rig {
    pub(crate) async fn new(protocol: Protocol) -> Self {
        let (listener, address) = listen().await;
        let proxy = Proxy::before(address, protocol).await;
        Self { listener, proxy }
    }

    /// From now on nobody listens where the server was; its connections stay.
    pub(crate) fn closed(self) -> Proxy {
        self.proxy
    }

    /// The server's end of the next connection.
    pub(crate) async fn accepted(&self) -> Caller {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        Caller::of(stream)
    }
}

/// A proxy before a server that is not there.
pub(crate) async fn before_nobody() -> Proxy {
    // Bound and given back: nobody listens there now.
    let (_, nobody) = listen().await;
    Proxy::before(nobody, Protocol::Http).await
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr, protocol: Protocol) -> Self {
        let (listener, address) = listen().await;
        let upstream = server.to_string().parse().expect("an address");
        let settings = Settings { upstream, protocol };
        #[expect(clippy::disallowed_methods, reason = "the test's own runtime; ends with it")]
        let serving = tokio::spawn(serve(listener, settings, std::future::pending()));
        Self { address, serving }
    }

    /// A connection through it.
    pub(crate) async fn caller(&self) -> Caller {
        Caller::connect(self.address).await
    }

    /// What it answers to a request of its own.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> Got {
        let mut caller = self.caller().await;
        caller.send(method, path, body).await;
        caller.answer().await.expect("it always answers")
    }

    pub(crate) async fn put(&self, id: &str, rule: Rule) {
        let body = serde_json::to_string(&rule).expect("a rule is JSON");
        let got = self.control("PUT", &format!("{RULES}{id}"), &body).await;
        assert_eq!(got.status, 204, "{got:?}");
    }

    pub(crate) async fn hits(&self, id: &str) -> Hits {
        self.counts("GET", id).await
    }

    pub(crate) async fn take(&self, id: &str) -> Hits {
        self.counts("DELETE", id).await
    }

    async fn counts(&self, method: &str, id: &str) -> Hits {
        let got = self.control(method, &format!("{RULES}{id}"), "").await;
        assert_eq!(got.status, 200, "{got:?}");
        serde_json::from_str(&got.body).expect("counts")
    }

    /// Waits until a rule that has met something has nothing of it in hand.
    pub(crate) async fn has_none_in_hand(&self, id: &str) -> Hits {
        soon(async {
            loop {
                let hits = self.hits(id).await;
                if hits.hits > 0 && hits.in_hand == 0 {
                    return hits;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Waits until a rule has met so many.
    pub(crate) async fn has_hit(&self, id: &str, times: u64) -> Hits {
        soon(async {
            loop {
                let hits = self.hits(id).await;
                if hits.hits >= times {
                    return hits;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
