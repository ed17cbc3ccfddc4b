//! Rules come in at the proxy's own address, and only those that can be carried out.

use bankstorm_faults::rule::{Effect, Hits};

use super::rig::{all, http, run};
use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_rule_that_is_unknown_or_malformed_is_refused_with_what_is_wrong", refusals),
        ("a_rule_may_be_put_again_and_taken_away_once", put_and_taken),
    ]
}

fn refusals() {
    run(async {
        let (_server, proxy) = http().await;
        assert_eq!(proxy.control("GET", "/-/proxy/ready", "").await.status, 200);
        let all = "\"picks\": {\"of\": null, \"keys\": \"all\", \"nth\": null}";
        for (method, path, body, status, said) in [
            ("GET", "/-/proxy/rules/7", String::new(), 404, "there is no rule \\\"7\\\""),
            ("DELETE", "/-/proxy/rules/7", String::new(), 404, "there is no rule \\\"7\\\""),
            ("GET", "/-/proxy/other", String::new(), 404, "/-/proxy/ready"),
            ("PUT", "/-/proxy/rules/", String::new(), 404, "/-/proxy/rules/<id>"),
            ("POST", "/-/proxy/rules/7", String::new(), 405, "PUT, GET and DELETE"),
            ("PUT", "/-/proxy/rules/7", "{".to_owned(), 400, "EOF"),
            ("PUT", "/-/proxy/rules/7", format!("{{\"effect\": \"explode\", {all}}}"), 400, "explode"),
            ("PUT", "/-/proxy/rules/7", format!("{{\"effect\": \"reset\", \"extra\": 1, {all}}}"), 400, "extra"),
            ("PUT", "/-/proxy/rules/7", format!("{{\"effect\": \"commit_cut_after\", {all}}}"), 400, "protocol http"),
            ("PUT", "/-/proxy/rules/7", format!("{{\"effect\": {{\"request_twice\": 1}}, {all}}}"), 400, "2 to 100"),
        ] {
            let got = proxy.control(method, path, &body).await;
            assert_eq!(got.status, status, "{method} {path} {body}: {got:?}");
            assert!(got.head.contains("application/problem+json"), "{got:?}");
            assert!(got.body.contains(said) && got.body.contains(&format!("\"status\":{status}")), "{said}: {got:?}");
        }
    });
}

fn put_and_taken() {
    run(async {
        let (_server, proxy) = http().await;
        proxy.put("7", all(Effect::ResponseDrop)).await;
        proxy.put("7", all(Effect::ResponseDrop)).await;
        let other = serde_json::to_string(&all(Effect::RequestDrop)).expect("a rule is JSON");
        assert_eq!(proxy.control("PUT", "/-/proxy/rules/7", &other).await.status, 409);
        assert_eq!(proxy.take("7").await, Hits::default());
        assert_eq!(proxy.control("DELETE", "/-/proxy/rules/7", "").await.status, 404);
        // A connection that speaks to the server may ask too.
        let mut caller = proxy.caller().await;
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 1");
        assert_eq!(caller.ask("GET", "/-/proxy/ready", "").await.status, 200);
        assert_eq!(caller.ask("GET", "/", "").await.body, "answer 2");
    });
}
