//! `calibrate`: measures the harness itself. `--proxy`: what a proxy with no fault adds to a request, beside a direct connection.
//!
//! In: seconds. Out: a table on standard output, `calibrate.json` and `machine.json`; exit code 0 also where the goal is not reached, since
//! it says something of the machine as well. Elsewhere: the proxies (`chaos/proxy`), the document (`record::calibrate_json`).
//!
//! A proxy of each protocol is measured with an exchange that it understands: requests of HTTP, statements of PostgreSQL; the one for mere
//! bytes with the first. Each exchange has a server, and one connection each to it: direct, through a bare relay, and through a proxy process of
//! each kind. All of them take turns request by request, so that whatever else the machine does meets all of them alike. The bare relay says
//! how much of what a proxy adds is the machine's: where processors sleep between two requests, waking them is most of it.

mod bare;
mod echo;
mod exchange;
mod hop;
mod rounds;
mod table;
mod ways;

use bankstorm_record::calibrate_json::{CalibrateJson, HopCost, ProxyCost, SCHEMA};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::write_machine;
use bankstorm_record::save::write_json;
use tokio::sync::oneshot;

use self::rounds::{Plan, Series};
use self::ways::Ways;
use crate::args::CalibrateArgs;
use crate::error::{CliError, unusable};
use crate::output::{note, say};
use crate::run::open::build;
use crate::stop::Interrupt;

/// The document's file.
const DOCUMENT: &str = "calibrate.json";
/// The goal: what a hop may add to the median.
const GOAL_US: f64 = 50.0;

/// Measures, tells, stores.
pub(crate) async fn run(args: CalibrateArgs) -> Result<u8, CliError> {
    std::fs::create_dir_all(&args.out).map_err(|error| unusable(&args.out, error))?;
    let interrupt = Interrupt::listen()?;
    note(&format!("measuring connections with and without a proxy for {} s", args.seconds));
    let measured = on_a_thread(args.seconds, interrupt.clone()).await?;
    if interrupt.is_asked() {
        note("interrupted; nothing is stored");
        return Ok(4);
    }
    let document = CalibrateJson { schema: SCHEMA, bankstorm: build(), proxy: measured };
    for line in table::lines(&document.proxy) {
        say(&line);
    }
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
    let ways = [Ways::start(exchange::http(), &["http", "bytes"])?, Ways::start(exchange::postgres(), &["postgres"])?];
    let plan = Plan {
        ends: ways.iter().flat_map(Ways::ends).collect(),
        warm_up_ns: seconds * 100_000_000,
        measure_ns: seconds * 1_000_000_000,
    };
    let series = rounds::run(&plan, &|| interrupt.is_asked())
        .map_err(|error| CliError::Environment(format!("a connection failed: {error}")))?;
    Ok(cost(seconds, &ways, &series))
}

fn cost(seconds: u64, ways: &[Ways], series: &[Series]) -> ProxyCost {
    let mut measured = series.iter().map(Series::summary);
    let hops: Vec<HopCost> = ways.iter().flat_map(|ways| ways.costs(&mut measured)).collect();
    ProxyCost {
        seconds,
        connections: 1,
        goal_added_p50_us: GOAL_US,
        goal_reached: hops.iter().all(|hop| hop.added_p50_us <= GOAL_US),
        hops,
    }
}
