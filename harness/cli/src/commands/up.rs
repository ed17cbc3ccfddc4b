//! `up SCENARIO`: the bank alone, until Ctrl-C.
//!
//! In: a scenario. Out: addresses on standard output; logs lie in the environment's own folder and go with it. Elsewhere: load and
//! checks (`run`).

use crate::args::UpArgs;
use crate::bank::{Addresses, Bank};
use crate::error::CliError;
use crate::output::say;
use crate::progress::Display;
use crate::stop::Interrupt;

/// Starts, prints, waits, stops.
pub(crate) async fn run(args: UpArgs) -> Result<u8, CliError> {
    let scenario = args.options.load(&args.file)?;
    let display = Display::new(args.options.live);
    let stop = Interrupt::listen()?;
    let started = tokio::select! {
        biased;
        () = stop.asked() => Err(CliError::Interrupted),
        started = Bank::start(&scenario, args.options.env.kind(), None, &display) => started,
    };
    if matches!(started, Err(CliError::Interrupted)) {
        crate::run::wait_for_the_reaper().await;
    }
    let bank = started?;
    print(&bank.addresses);
    let mut deaths = bank.deaths();
    let lost = tokio::select! {
        biased;
        () = stop.asked() => None,
        death = deaths.recv() => Some(death.map_or_else(
            || "nobody watches the bank any more: the reaper or the container engine ended by itself".to_owned(),
            |death| format!("{} ended by itself: {}", death.name, death.exit),
        )),
    };
    bank.stop().await?;
    lost.map_or(Ok(0), |lost| Err(CliError::Environment(lost)))
}

fn print(addresses: &Addresses) {
    say(&format!("core      {}", addresses.core_url));
    for (name, url) in &addresses.channels {
        say(&format!("{name} {url}"));
    }
    say(&format!("banks     {}", addresses.banks_url));
    say(&format!("kafka     {}", addresses.kafka));
    say(&format!("databases \"{}\"", addresses.core_database));
    for database in &addresses.channel_databases {
        say(&format!("          \"{database}\""));
    }
    say(&format!("\nTry:  curl {}/v1/accounts/1000000/head", addresses.core_url));
    if let Some((_, url)) = addresses.channels.first() {
        say(&format!("      curl '{url}/v1/accounts/1000000/history?limit=5'"));
    }
    say("\nCtrl-C stops everything.");
}
