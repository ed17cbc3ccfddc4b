//! `calibrate`: measures the harness itself. `--proxy`: what a proxy with no fault adds to a request, beside a direct connection.
//!
//! In: seconds. Out: a table on standard output, `calibrate.json` and `machine.json`; exit code 0 also where the goal is not reached, since
//! it says something of the machine as well. Elsewhere: the proxies (`chaos/proxy`), the document (`record::calibrate_json`).
//!
//! One connection each, to the same server: direct, through a bare relay, and through a proxy process of each kind. They take turns request by
//! request, so that whatever else the machine does meets all of them alike. The bare relay says how much of what a proxy adds is the machine's:
//! where processors sleep between two requests, waking them is most of it.

mod bare;
mod echo;
mod hop;
mod rounds;

use bankstorm_record::calibrate_json::{CalibrateJson, HopCost, ProxyCost, SCHEMA};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::write_machine;
use bankstorm_record::save::write_json;
use tokio::sync::oneshot;

use self::bare::Bare;
use self::echo::Echo;
use self::hop::Hop;
use self::rounds::{Plan, Series};
use crate::args::CalibrateArgs;
use crate::error::{CliError, unusable};
use crate::output::{note, say};
use crate::run::open::build;
use crate::stop::Interrupt;

/// The document's file.
const DOCUMENT: &str = "calibrate.json";
/// The goal: what a hop may add to the median.
const GOAL_US: f64 = 50.0;
/// The kinds that are measured; a link to PostgreSQL frames as a link of bytes does, and has no server here.
const HOPS: [&str; 2] = ["http", "bytes"];

/// Measures, tells, stores.
pub(crate) async fn run(args: CalibrateArgs) -> Result<u8, CliError> {
    std::fs::create_dir_all(&args.out).map_err(|error| unusable(&args.out, error))?;
    let interrupt = Interrupt::listen()?;
    note(&format!("measuring a direct connection and {} proxied ones for {} s", HOPS.len(), args.seconds));
    let measured = on_a_thread(args.seconds, interrupt.clone()).await?;
    if interrupt.is_asked() {
        note("interrupted; nothing is stored");
        return Ok(4);
    }
    let document = CalibrateJson { schema: SCHEMA, bankstorm: build(), proxy: measured };
    tell(&document.proxy);
    let cannot = |error: bankstorm_record::parquet::RecordError| CliError::Usage(error.to_string());
    write_machine(&RunFolder::new(&args.out)).map_err(cannot)?;
    write_json(args.out.join(DOCUMENT), &document).map_err(cannot)?;
    say(&format!("stored in {}: {DOCUMENT}, machine.json", args.out.display()));
    Ok(0)
}

/// Off the runtime: the one that measures waits for sockets and nothing else.
async fn on_a_thread(seconds: u64, interrupt: Interrupt) -> Result<ProxyCost, CliError> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = tell.send(measure(seconds, &interrupt));
    });
    told.await.unwrap_or_else(|_| Err(CliError::Bug("the thread that measures panicked".to_owned())))
}

fn measure(seconds: u64, interrupt: &Interrupt) -> Result<ProxyCost, CliError> {
    let lost = |what: &str, error: std::io::Error| CliError::Environment(format!("{what}: {error}"));
    let echo = Echo::start().map_err(|error| lost("the server", error))?;
    let bare = Bare::start(echo.address()).map_err(|error| lost("the bare relay", error))?;
    let hops: Vec<Hop> = HOPS
        .iter()
        .map(|protocol| Hop::start(protocol, echo.address()).map_err(|error| lost(protocol, error)))
        .collect::<Result<_, _>>()?;
    let plan = Plan {
        addresses: [echo.address(), bare.address()].into_iter().chain(hops.iter().map(Hop::address)).collect(),
        warm_up_ns: seconds * 100_000_000,
        measure_ns: seconds * 1_000_000_000,
    };
    let series = rounds::run(&plan, &|| interrupt.is_asked()).map_err(|error| lost("a connection", error))?;
    Ok(cost(seconds, &series))
}

fn cost(seconds: u64, series: &[Series]) -> ProxyCost {
    let [direct, bare, proxied @ ..] = series else { unreachable!("one series a connection") };
    let direct = direct.summary();
    let hop = |protocol: &str, series: &Series| {
        let latency = series.summary();
        let [added_p50_us, added_p99_us] = [latency.p50_us - direct.p50_us, latency.p99_us - direct.p99_us];
        HopCost { protocol: protocol.to_owned(), latency, added_p50_us, added_p99_us }
    };
    let hops: Vec<HopCost> = HOPS.iter().zip(proxied).map(|(protocol, series)| hop(protocol, series)).collect();
    ProxyCost {
        seconds,
        connections: 1,
        body_bytes: rounds::BODY.len() as u64,
        direct,
        bare: hop("bare", bare),
        goal_added_p50_us: GOAL_US,
        goal_reached: hops.iter().all(|hop| hop.added_p50_us <= GOAL_US),
        hops,
    }
}

fn tell(cost: &ProxyCost) {
    let head = ["requests", "p50 us", "p99 us", "added p50", "added p99"].map(|title| format!("{title:>11}"));
    say(&format!("{:<14}{}", "", head.concat()));
    let direct = &cost.direct;
    say(&format!("{:<14}{:>11}{:>11.1}{:>11.1}", "direct", direct.count, direct.p50_us, direct.p99_us));
    let row = |name: &str, hop: &HopCost| {
        let HopCost { latency, added_p50_us, added_p99_us, .. } = hop;
        let own = format!("{:>11}{:>11.1}{:>11.1}", latency.count, latency.p50_us, latency.p99_us);
        say(&format!("{name:<14}{own}{added_p50_us:>11.1}{added_p99_us:>11.1}"));
    };
    row("bare relay", &cost.bare);
    for hop in &cost.hops {
        row(&format!("proxy, {}", hop.protocol), hop);
    }
    let goal = if cost.goal_reached {
        "reached".to_owned()
    } else {
        format!("not reached; a bare relay, which only copies, adds {:.1}", cost.bare.added_p50_us)
    };
    say(&format!("added p50 <= {:.0} us: {goal}", cost.goal_added_p50_us));
}
