//! The links of a bank: who talks to whom in it, and how each of them goes.
//!
//! In: the links of a scenario, those of its environment. Out: what run.json says of them. Elsewhere: which links a bank has (`scenario`),
//! who could reach whom at which address (`environment`), which links go through a proxy (`specs`).

use std::collections::BTreeMap;

use bankstorm_environment::Link;
use bankstorm_faults::nodes;

/// Each link by its name, `channel-0->core`, with `direct` or `proxied`: those of `bank`, and whatever has a proxy in `environment`, which
/// has an address of everything for everybody, also where nobody ever connects.
pub(super) fn told(bank: &[(String, String)], environment: &[Link]) -> BTreeMap<String, String> {
    let own = bank.iter().map(|(from, to)| (nodes::link(from, to), "direct"));
    let proxied = environment.iter().filter(|link| link.proxy.is_some());
    let proxied = proxied.map(|link| (nodes::link(&link.from, &link.to), "proxied"));
    own.chain(proxied).map(|(link, goes)| (link, goes.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: &str, to: &str, proxy: Option<&str>) -> Link {
        Link { from: from.into(), to: to.into(), address: "127.0.0.1:1".into(), proxy: proxy.map(str::to_owned) }
    }

    #[test]
    fn a_bank_has_its_own_links_and_not_all_that_could_be() {
        let bank = [("channel-0", "core"), ("core", "banks")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        let environment = [
            link("channel-0", "core", Some("proxy-channel-0-core")),
            link("core", "banks", None),
            link("core", "channel-0", None),
            link("harness", "kafka-1", Some("proxy-harness-kafka-1")),
        ];
        let told = told(&bank, &environment);
        let told: Vec<(&str, &str)> = told.iter().map(|(link, goes)| (link.as_str(), goes.as_str())).collect();
        let expected = [("channel-0->core", "proxied"), ("core->banks", "direct"), ("harness->kafka-1", "proxied")];
        assert_eq!(told, expected, "nobody in core calls a channel; what has a proxy is told, whoever it is of");
    }
}
