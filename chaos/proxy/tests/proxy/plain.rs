//! With no rule in force callers and servers see what they would see without a proxy.

use bankstorm_proxy::Protocol;

use super::caller::Caller;
use super::rig::{Proxy, http, listen, run};
use super::server::Event;
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("requests_and_answers_pass_as_they_are_on_one_connection", pass),
        ("a_server_that_ends_its_connection_is_called_on_another", called_again),
        ("a_server_that_is_not_there_leaves_its_caller_without_an_answer", not_there),
        ("a_caller_that_hangs_up_takes_its_request_along", hangs_up),
        ("a_body_that_is_too_large_is_refused", too_large),
    ]
}

fn pass() {
    run(async {
        let (mut server, proxy) = http().await;
        let mut caller = proxy.caller().await;
        for number in 1..=3 {
            let got = caller.ask("POST", "/v1/transfers?limit=5", "{\"id\": \"7\"}").await;
            assert_eq!((got.status, got.body), (200, format!("answer {number}")));
            assert!(got.head.contains("x-server: tiny"), "{}", got.head);
            let arrived = server.arrived().await;
            assert_eq!(
                (arrived.what.as_str(), arrived.body.as_str()),
                ("POST /v1/transfers?limit=5", "{\"id\": \"7\"}")
            );
            assert_eq!((arrived.caller.as_deref(), arrived.connection), (Some("test"), 1));
        }
        let mut other = proxy.caller().await;
        assert_eq!(other.ask("GET", "/", "").await.body, "answer 4");
        assert_eq!(server.arrived().await.connection, 2, "a connection of its caller's alone");
    });
}

fn called_again() {
    run(async {
        let (mut server, proxy) = http().await;
        let mut caller = proxy.caller().await;
        for number in 1..=5 {
            assert_eq!(caller.ask("GET", "/last", "").await.body, format!("answer {number}"));
            assert_eq!(server.arrived().await.connection, number);
        }
    });
}

fn not_there() {
    run(async {
        // Bound and given back: nobody listens there now.
        let (_, nobody) = listen().await;
        for protocol in Protocol::ALL {
            let proxy = Proxy::before(nobody, protocol).await;
            let mut caller = proxy.caller().await;
            caller.send("POST", "/v1/transfers", "{}").await;
            caller.answer().await.expect_err("no answer");
            assert_eq!(proxy.control("GET", "/-/proxy/ready", "").await.status, 200);
        }
    });
}

fn hangs_up() {
    run(async {
        let (mut server, proxy) = http().await;
        let mut caller = proxy.caller().await;
        caller.send("POST", "/silent", "{}").await;
        server.arrived().await;
        drop(caller);
        assert_eq!(server.event().await, Event::HungUp);
    });
}

fn too_large() {
    run(async {
        let (mut server, proxy) = http().await;
        let mut caller: Caller = proxy.caller().await;
        caller.write(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3000000\r\n\r\n").await;
        let got = caller.answer().await.expect("an answer");
        assert_eq!(got.status, 413);
        assert!(got.body.contains("2097152 bytes"), "{}", got.body);
        let large = "x".repeat(2_000_000);
        assert_eq!(proxy.caller().await.ask("POST", "/", &large).await.body, "answer 1");
        assert_eq!(server.arrived().await.body.len(), large.len());
    });
}
