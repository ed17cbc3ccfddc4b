//! Links that go through a proxy: everything on them does, and nothing else.

use bankstorm_environment::HARNESS;

use super::super::support::get;
use super::rig::Up;

/// What a service finds when it is asked to try something, by a link that no proxy stands on.
async fn tried(up: &Up, service: &str, what: &str) -> std::io::Result<String> {
    get(&format!("{}/{what}", up.environment.direct(service))).await
}

pub(crate) async fn on_their_own_links(up: &Up) {
    for (proxy, what) in [("proxy-beta-alpha", "peer"), ("proxy-beta-postgres-core", "database-core")] {
        let before = tried(up, "beta", what).await.unwrap_or_else(|error| panic!("through {proxy}: {error}"));
        up.kill(proxy).await;
        assert!(tried(up, "beta", what).await.is_err(), "there is no way around {proxy}");
        for (other, what) in [("alpha", "peer"), ("alpha", "database-core"), ("beta", "database-channel")] {
            tried(up, other, what).await.unwrap_or_else(|error| panic!("{other} {what}: {error}"));
        }
        up.restart(proxy).await;
        assert_eq!(tried(up, "beta", what).await.expect("at the same address"), before);
    }
    let url = up.environment.url("beta", HARNESS);
    up.kill("proxy-harness-beta").await;
    assert!(get(&url).await.is_err(), "the harness's own link has one too");
    assert_eq!(get(&up.environment.direct("beta")).await.expect("around it"), "here");
    up.restart("proxy-harness-beta").await;
    assert_eq!(get(&url).await.expect("at the same address"), "here");
}

pub(crate) async fn before_a_dead_node(up: &Up) {
    up.kill("alpha").await;
    assert!(tried(up, "beta", "peer").await.is_err(), "nobody answers in its place");
    up.restart("alpha").await;
    assert_eq!(tried(up, "beta", "peer").await.expect("by the same proxy"), "here");
}
