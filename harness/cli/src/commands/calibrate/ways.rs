//! The ways that one exchange takes: direct, through a bare relay, and through proxies.
//!
//! In: an exchange, the protocols of the proxies. Out: where each way begins; of what was measured, what each proxy costs beside the same
//! exchange without it. Elsewhere: what stands there (`echo`, `bare`, `hop`), who measures (`rounds`).

use std::net::SocketAddr;
use std::sync::Arc;

use bankstorm_record::calibrate_json::{HopCost, LatencyUs};

use super::bare::Bare;
use super::echo::Echo;
use super::exchange::Exchange;
use super::hop::Hop;
use super::rounds::End;
use crate::error::CliError;

/// Everything between two ends that say the same to each other.
pub(super) struct Ways {
    exchange: Arc<Exchange>,
    echo: Echo,
    bare: Bare,
    /// With the protocol that it understands.
    hops: Vec<(&'static str, Hop)>,
}

impl Ways {
    pub(super) fn start(exchange: Exchange, protocols: &[&'static str]) -> Result<Self, CliError> {
        let name = exchange.name;
        let lost = |what: &str, error: std::io::Error| CliError::Environment(format!("{name}, {what}: {error}"));
        let exchange = Arc::new(exchange);
        let echo = Echo::start(Arc::clone(&exchange)).map_err(|error| lost("the server", error))?;
        let bare = Bare::start(echo.address()).map_err(|error| lost("the bare relay", error))?;
        let hop = |protocol: &&'static str| match Hop::start(protocol, echo.address()) {
            Ok(hop) => Ok((*protocol, hop)),
            Err(error) => Err(lost(&format!("the proxy for {protocol}"), error)),
        };
        let hops = protocols.iter().map(hop).collect::<Result<_, _>>()?;
        Ok(Self { exchange, echo, bare, hops })
    }

    /// The direct one first, then the bare relay, then the proxies.
    pub(super) fn ends(&self) -> Vec<End> {
        let end = |through: &str, address: SocketAddr| End {
            name: format!("{}, {through}", self.exchange.name),
            address,
            exchange: Arc::clone(&self.exchange),
        };
        let without = [end("direct", self.echo.address()), end("through the bare relay", self.bare.address())];
        let hops =
            self.hops.iter().map(|(protocol, hop)| end(&format!("through the proxy for {protocol}"), hop.address()));
        without.into_iter().chain(hops).collect()
    }

    /// Takes what was measured at each of [`Self::ends`], in their order.
    pub(super) fn costs(&self, measured: &mut impl Iterator<Item = LatencyUs>) -> Vec<HopCost> {
        let mut next = || measured.next().expect("something was measured at every end");
        let [direct, bare] = [next(), next()];
        let [request_bytes, answer_bytes] = self.exchange.bytes();
        let cost = |(protocol, _): &(&'static str, Hop)| {
            let latency = next();
            let [added_p50_us, added_p99_us] = latency.added_to(&direct);
            HopCost {
                exchange: self.exchange.name.to_owned(),
                request_bytes,
                answer_bytes,
                protocol: (*protocol).to_owned(),
                direct,
                bare,
                latency,
                added_p50_us,
                added_p99_us,
            }
        };
        self.hops.iter().map(cost).collect()
    }
}
