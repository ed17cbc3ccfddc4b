//! What rules do to bytes, whatever they mean: on links of bytes, and below HTTP.

use std::io::ErrorKind;
use std::time::Duration;

use bankstorm_faults::rule::{Effect, Way};
use bankstorm_proxy::{Protocol, Settings, serve};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::caller::Caller;
use super::rig::{Rig, all, http, listen, run, soon};
use super::server::{Server, took};
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("bytes_pass_both_ways_and_so_does_the_end_of_each", pass),
        ("late_bytes_come_in_their_order", late),
        ("in_a_black_hole_connections_stay_open_until_it_closes", black_hole),
        ("a_way_that_is_cut_leaves_the_other", cut),
        ("late_bytes_in_a_black_hole_are_lost_and_two_delays_add_up", together),
        ("a_reset_ends_open_and_new_connections_and_spares_the_rules", reset),
        ("below_http_bytes_are_late_vanish_and_are_reset_too", below_http),
        ("an_end_in_a_black_hole_is_not_heard_of", end_in_a_black_hole),
        ("a_proxy_that_is_asked_to_end_ends", ends),
    ]
}

const LATE: Duration = Duration::from_millis(100);

impl Rig {
    /// Both ends of a connection, which has passed a byte each way.
    async fn pair(&self) -> (Caller, Caller) {
        let mut caller = self.proxy.caller().await;
        caller.write(&[0]).await;
        let mut server = self.accepted().await;
        assert_eq!(server.bytes(1).await, [0]);
        server.write(&[1]).await;
        assert_eq!(caller.bytes(1).await, [1]);
        (caller, server)
    }
}

fn pass() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (caller, mut server) = rig.pair().await;
        let large: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (mut to, sent) = (caller.stream.into_split().1, large.clone());
        let written = async {
            to.write_all(&sent).await.expect("written");
            to.shutdown().await.expect("one way ends");
        };
        let (got, ()) = tokio::join!(server.bytes(large.len()), written);
        assert!(got == large, "as they were");
        assert_eq!(server.end().await, None, "the way there has ended");
        // A connection that is opened ahead of time is passed on before it says anything.
        let (mut caller2, mut server2) = (rig.proxy.caller().await, rig.accepted().await);
        server2.write(b"hello").await;
        assert_eq!(caller2.bytes(5).await, b"hello");
        drop(server2);
        assert_eq!(caller2.end().await, None);
    });
}

fn late() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (mut caller, mut server) = rig.pair().await;
        rig.proxy.put("1", all(Effect::Delay(LATE))).await;
        let sent = Instant::now();
        for number in 0..20_u8 {
            caller.write(&[number; 100]).await;
        }
        let came = server.bytes(2_000).await;
        took(sent, Instant::now(), LATE);
        assert!(came.is_sorted(), "in their order");
        server.write(b"back").await;
        assert_eq!(caller.bytes(4).await, b"back");
        took(sent, Instant::now(), LATE * 2);
        let hits = rig.proxy.take("1").await;
        assert!(hits.hits >= 2 && hits.first_ns.is_some(), "{hits:?}");
        assert_eq!((hits.seen, hits.keys), (1, 0), "one connection was open");
        caller.write(b"again").await;
        assert_eq!(server.bytes(5).await, b"again");
    });
}

fn black_hole() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (mut caller, mut server) = rig.pair().await;
        let (mut idle, mut idle_server) = rig.pair().await;
        rig.proxy.put("1", all(Effect::Blackhole)).await;
        caller.write(b"lost").await;
        rig.proxy.has_hit("1", 1).await;
        server.write(b"lost too").await;
        rig.proxy.has_hit("1", 2).await;
        let mut new = rig.proxy.caller().await;
        new.write(&[0, 0]).await;
        rig.proxy.has_hit("1", 3).await;
        assert!([&caller, &server, &new].iter().all(|end| end.hears_nothing()));
        let hits = rig.proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits), (3, 3));
        assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));
        assert_eq!(server.end().await, Some(ErrorKind::ConnectionReset));
        assert_eq!(new.end().await, Some(ErrorKind::ConnectionReset));
        // Who lost nothing goes on.
        idle.write(b"on").await;
        assert_eq!(idle_server.bytes(2).await, b"on");
    });
}

fn cut() {
    run(async {
        for (way, passes) in [(Way::There, Way::Back), (Way::Back, Way::There)] {
            let rig = Rig::new(Protocol::Bytes).await;
            let (mut caller, mut server) = rig.pair().await;
            rig.proxy.put("1", all(Effect::Cut(way))).await;
            let (lost_from, heard_by) = match passes {
                Way::Back => (&mut caller, &mut server),
                Way::There => (&mut server, &mut caller),
            };
            lost_from.write(b"lost").await;
            rig.proxy.has_hit("1", 1).await;
            assert!(heard_by.hears_nothing());
            heard_by.write(b"passes").await;
            assert_eq!(lost_from.bytes(6).await, b"passes");
            assert_eq!(rig.proxy.take("1").await.hits, 1);
            assert_eq!(lost_from.end().await, Some(ErrorKind::ConnectionReset));
        }
    });
}

fn together() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (mut caller, mut server) = rig.pair().await;
        rig.proxy.put("late", all(Effect::Delay(LATE))).await;
        rig.proxy.put("later", all(Effect::Delay(LATE))).await;
        let sent = Instant::now();
        caller.write(b"twice").await;
        assert_eq!(server.bytes(5).await, b"twice");
        took(sent, Instant::now(), LATE * 2);
        rig.proxy.put("cut", all(Effect::Cut(Way::There))).await;
        caller.write(b"lost").await;
        rig.proxy.has_hit("cut", 1).await;
        server.write(b"back").await;
        assert_eq!(caller.bytes(4).await, b"back", "the other way is late alone");
        assert!(server.hears_nothing());
        let hits = rig.proxy.take("late").await;
        assert_eq!((hits.hits, hits.overruled), (2, 1));
    });
}

fn reset() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (mut caller, mut server) = rig.pair().await;
        rig.proxy.put("1", all(Effect::Reset)).await;
        assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));
        assert_eq!(server.end().await, Some(ErrorKind::ConnectionReset));
        let mut new = rig.proxy.caller().await;
        new.write(&[0]).await;
        assert_eq!(new.end().await, Some(ErrorKind::ConnectionReset));
        let mut silent = rig.proxy.caller().await;
        assert_eq!(silent.end().await, Some(ErrorKind::ConnectionReset));
        let hits = rig.proxy.take("1").await;
        assert_eq!((hits.seen, hits.hits, hits.keys), (3, 3, 0));
        rig.pair().await;
    });
}

fn below_http() {
    run(async {
        let (mut server, proxy) = http().await;
        let mut caller = proxy.caller().await;
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 1");
        proxy.put("late", all(Effect::Delay(LATE))).await;
        let sent = Instant::now();
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 2");
        took(sent, Instant::now(), LATE * 2);
        proxy.take("late").await;
        for _ in 0..2 {
            server.arrived().await;
        }

        proxy.put("back", all(Effect::Cut(Way::Back))).await;
        caller.send("GET", "/back", "").await;
        assert_eq!(server.arrived().await.what, "GET /back");
        proxy.has_hit("back", 1).await;
        assert!(caller.hears_nothing());
        proxy.take("back").await;
        assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));

        proxy.put("hole", all(Effect::Blackhole)).await;
        let mut lost = proxy.caller().await;
        lost.send("GET", "/lost", "").await;
        proxy.has_hit("hole", 1).await;
        assert!(server.saw_nothing() && lost.hears_nothing());
        proxy.take("hole").await;
        assert_eq!(lost.end().await, Some(ErrorKind::ConnectionReset));

        let mut open = proxy.caller().await;
        assert_eq!(open.ask("GET", "/", "").await.status, 200);
        proxy.put("rst", all(Effect::Reset)).await;
        assert_eq!(open.end().await, Some(ErrorKind::ConnectionReset));
        let mut new = proxy.caller().await;
        new.send("GET", "/", "").await;
        assert_eq!(new.answer().await.expect_err("no answer").kind(), ErrorKind::ConnectionReset);
        assert_eq!(proxy.take("rst").await.hits, 2);
        assert_eq!(proxy.caller().await.ask("GET", "/", "").await.status, 200);
    });
}

fn end_in_a_black_hole() {
    run(async {
        let rig = Rig::new(Protocol::Bytes).await;
        let (mut caller, server) = rig.pair().await;
        let (other, other_server) = rig.pair().await;
        rig.proxy.put("1", all(Effect::Blackhole)).await;
        // Neither a server's end nor a caller's is heard of on the other side.
        drop(server);
        drop(other);
        caller.write(b"lost").await;
        rig.proxy.has_hit("1", 1).await;
        assert!(caller.hears_nothing() && other_server.hears_nothing());
        rig.proxy.take("1").await;
        assert_eq!(caller.end().await, Some(ErrorKind::ConnectionReset));
    });
}

fn ends() {
    run(async {
        let server = Server::start().await;
        let (listener, address) = listen().await;
        let upstream = server.address.to_string().parse().expect("an address");
        let settings = Settings { upstream, protocol: Protocol::Http };
        let (stop, stopped) = oneshot::channel::<()>();
        let session = async {
            let mut caller = Caller::connect(address).await;
            caller.ask("GET", "/", "").await;
            caller.send("GET", "/silent", "").await;
            stop.send(()).expect("it serves");
            caller
        };
        let serving = serve(listener, settings, async { stopped.await.expect("asked") });
        let (mut caller, ()) = soon(async { tokio::join!(session, serving) }).await;
        caller.answer().await.expect_err("no answer");
    });
}
