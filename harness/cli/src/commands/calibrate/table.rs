//! What is told of what was measured: for each exchange one row a way, and whether the goal is reached.
//!
//! In: the document's figures. Out: lines. Elsewhere: the figures (`ways`).

use bankstorm_record::calibrate_json::{HopCost, LatencyUs, ProxyCost};

/// The whole table, and a last line for the goal.
pub(super) fn lines(cost: &ProxyCost) -> Vec<String> {
    let head = ["requests", "p50 us", "p99 us", "added p50", "added p99"].map(|title| format!("{title:>11}"));
    let mut lines = vec![format!("{:<18}{}", "", head.concat())];
    lines.extend(exchanges(cost).flat_map(rows));
    lines.push(format!("added p50 <= {:.0} us: {}", cost.goal_added_p50_us, goal(cost)));
    lines
}

/// Hops that are compared with the same.
fn exchanges(cost: &ProxyCost) -> impl Iterator<Item = &[HopCost]> {
    cost.hops.chunk_by(|one, next| one.exchange == next.exchange)
}

fn rows(hops: &[HopCost]) -> Vec<String> {
    let HopCost { exchange, request_bytes, answer_bytes, direct, bare, .. } = &hops[0];
    let mut rows = vec![
        format!("{exchange}, {request_bytes} bytes there and {answer_bytes} back"),
        own("direct", direct),
        with_added("bare relay", bare, bare.added_to(direct)),
    ];
    rows.extend(hops.iter().map(|hop| {
        let name = format!("proxy, {}", hop.protocol);
        with_added(&name, &hop.latency, [hop.added_p50_us, hop.added_p99_us])
    }));
    rows
}

fn own(name: &str, latency: &LatencyUs) -> String {
    format!("  {name:<16}{:>11}{:>11.1}{:>11.1}", latency.count, latency.p50_us, latency.p99_us)
}

fn with_added(name: &str, latency: &LatencyUs, [p50_us, p99_us]: [f64; 2]) -> String {
    format!("{}{p50_us:>11.1}{p99_us:>11.1}", own(name, latency))
}

/// Where it is missed, by whom, and how much of it no proxy could have saved.
fn goal(cost: &ProxyCost) -> String {
    if cost.goal_reached {
        return "reached".to_owned();
    }
    let missed = cost.hops.iter().filter(|hop| hop.added_p50_us > cost.goal_added_p50_us);
    let missed: Vec<&str> = missed.map(|hop| hop.protocol.as_str()).collect();
    let bare = |hops: &[HopCost]| format!("{:.1} to {}", hops[0].bare.added_to(&hops[0].direct)[0], hops[0].exchange);
    let bare: Vec<String> = exchanges(cost).map(bare).collect();
    format!("not reached by {}; a bare relay, which only copies, adds {}", missed.join(", "), bare.join(", "))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::calibrate_json::{HopCost, LatencyUs, ProxyCost};

    use super::lines;

    fn latency(p50_us: f64) -> LatencyUs {
        LatencyUs { count: 900, min_us: 1.0, p50_us, p90_us: 2.0 * p50_us, p99_us: 3.0 * p50_us, max_us: 1_000.0 }
    }

    fn hop(exchange: &str, protocol: &str, [direct, bare, p50]: [f64; 3]) -> HopCost {
        HopCost {
            exchange: exchange.to_owned(),
            request_bytes: 240,
            answer_bytes: 200,
            protocol: protocol.to_owned(),
            direct: latency(direct),
            bare: latency(bare),
            latency: latency(p50),
            added_p50_us: p50 - direct,
            added_p99_us: 3.0 * (p50 - direct),
        }
    }

    fn cost(hops: Vec<HopCost>, goal_reached: bool) -> ProxyCost {
        ProxyCost { seconds: 10, connections: 1, hops, goal_added_p50_us: 50.0, goal_reached }
    }

    #[test]
    fn every_way_stands_beneath_the_exchange_that_it_is_compared_in() {
        let hops = vec![
            hop("http", "http", [20.0, 55.0, 90.0]),
            hop("http", "bytes", [20.0, 55.0, 65.0]),
            hop("postgres", "postgres", [18.0, 50.5, 88.0]),
        ];
        let expected = [
            "                     requests     p50 us     p99 us  added p50  added p99",
            "http, 240 bytes there and 200 back",
            "  direct                  900       20.0       60.0",
            "  bare relay              900       55.0      165.0       35.0      105.0",
            "  proxy, http             900       90.0      270.0       70.0      210.0",
            "  proxy, bytes            900       65.0      195.0       45.0      135.0",
            "postgres, 240 bytes there and 200 back",
            "  direct                  900       18.0       54.0",
            "  bare relay              900       50.5      151.5       32.5       97.5",
            "  proxy, postgres         900       88.0      264.0       70.0      210.0",
            "added p50 <= 50 us: not reached by http, postgres; \
             a bare relay, which only copies, adds 35.0 to http, 32.5 to postgres",
        ];
        assert_eq!(lines(&cost(hops, false)), expected);
        let reached = lines(&cost(vec![hop("http", "http", [20.0, 55.0, 70.0])], true));
        assert_eq!(reached.last().map(String::as_str), Some("added p50 <= 50 us: reached"));
    }
}
