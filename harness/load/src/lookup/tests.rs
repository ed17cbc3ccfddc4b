//! Lookups and reads of heads against channels that are silent, gone, or answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_contracts::channel_api::HistoryPage;
use bankstorm_record::clock::Origin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Heads, Job, LOOKUPS_MAX, Lookups, Wanted, read_heads};
use crate::run::ChannelAddress;
use crate::sharding::Sharding;
use crate::stop::Stop;
use crate::tally::Tally;
use crate::wire::Address;

/// A channel that accepts, and answers every request with an empty page or never.
struct Channel {
    address: SocketAddr,
    /// First lines of requests.
    asked: Arc<Mutex<BTreeSet<String>>>,
    _tasks: JoinSet<()>,
}

impl Channel {
    async fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&asked);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, answers, Arc::clone(&noted)));
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    fn named(&self, instance: &str) -> ChannelAddress {
        ChannelAddress { instance: instance.to_owned(), url: format!("http://{}", self.address) }
    }

    async fn has_been_asked(&self, wanted: impl Fn(&BTreeSet<String>) -> bool) {
        while !wanted(&self.asked.lock().expect("not poisoned")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, answers: bool, asked: Arc<Mutex<BTreeSet<String>>>) {
    let page = HistoryPage { items: vec![], next_cursor: None, as_of_seq: 0, stale: false, pending: vec![] };
    let body = serde_json::to_string(&page).expect("JSON");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut request = [0; 4_096];
    while let Ok(bytes) = stream.read(&mut request).await {
        let Some(line) = str::from_utf8(&request[..bytes]).expect("text").lines().next() else { return };
        asked.lock().expect("not poisoned").insert(line.to_owned());
        if answers && stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An address at which nobody listens any more.
async fn gone(instance: &str) -> ChannelAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    ChannelAddress { instance: instance.to_owned(), url: format!("http://{address}") }
}

fn asked(heads: &Heads, instance: &str) -> usize {
    heads.pages.iter().filter(|page| page.instance == instance).count()
}

#[tokio::test]
async fn a_channel_that_is_silent_or_gone_is_asked_once_and_the_next_one_for_the_rest() {
    let (silent, answering) = (Channel::start(false).await, Channel::start(true).await);
    let channels = [gone("gone").await, silent.named("silent"), answering.named("answering")];
    let heads = read_heads(&channels, 1..=20, Origin::now(), Duration::from_secs(60)).await.expect("addresses");
    assert_eq!((asked(&heads, "gone"), asked(&heads, "silent"), asked(&heads, "answering")), (1, 1, 20));
    assert_eq!(heads.unread, 0);
}

#[tokio::test]
async fn what_was_not_read_within_the_limit_is_counted() {
    let answering = Channel::start(true).await;
    let channels = [answering.named("answering")];
    let heads = read_heads(&channels, 1..=20, Origin::now(), Duration::ZERO).await.expect("addresses");
    assert_eq!((heads.pages.len(), heads.unread), (0, 20));
    let silent = Channel::start(false).await;
    let limit = Duration::from_millis(100);
    let heads = read_heads(&[silent.named("silent")], 1..=20, Origin::now(), limit).await.expect("addresses");
    assert_eq!((heads.pages.len(), heads.unread), (1, 20));
    let heads = read_heads(&[], 1..=20, Origin::now(), limit).await.expect("no address");
    assert_eq!((heads.pages.len(), heads.unread), (0, 20));
}

#[tokio::test]
async fn no_more_than_so_many_lookups_ask_at_the_same_time() {
    let silent = Channel::start(false).await;
    let jobs_total = LOOKUPS_MAX as u64 + 40;
    let (feed, jobs) = mpsc::unbounded_channel();
    for op in 0..jobs_total {
        let account = 1_000_000 + i64::try_from(op).expect("small");
        feed.send(Job { op, account, wanted: Wanted::Entry(1) }).expect("room");
    }
    drop(feed);
    let stop = Arc::new(Stop::new());
    let lookups = Lookups {
        jobs,
        channels: vec![("silent".to_owned(), Address::resolve(&silent.named("silent").url).await.expect("an address"))],
        sharding: Sharding::NONE,
        origin: Origin::now(),
        limit: Duration::from_secs(60),
        stop: Arc::clone(&stop),
        tally: Arc::new(Tally::new()),
    };
    let (say, said) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || say.send(lookups.run()));
    silent.has_been_asked(|asked| asked.len() >= LOOKUPS_MAX).await;
    // Connections are accepted in their order: whatever was under way by now is seen before this one.
    let mut probe = TcpStream::connect(silent.address).await.expect("connected");
    probe.write_all(b"probe\r\n").await.expect("written");
    silent.has_been_asked(|asked| asked.contains("probe")).await;
    stop.raise();
    let seen = said.await.expect("it ends").expect("a runtime");
    assert_eq!(seen.given_up.len() as u64, jobs_total);
    // Those that waited for their turn ended without having asked.
    assert_eq!(silent.asked.lock().expect("not poisoned").len(), LOOKUPS_MAX + 1);
}
