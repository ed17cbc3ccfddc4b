//! What customers do: each load with its rate, its window, and what goes with its operation.
//!
//! In: what was typed under `[[load]]`, and the phases. Out: loads. Elsewhere: what is planned from them (`customers`).

use std::time::Duration;

use super::{OPERATIONS_MAX, RATE_MAX, Refusal, count, seconds, span};
use crate::file;
use crate::resolved::{Arrivals, Behaviour, Load, OnUnknown, Op, Phases, Retry, Scroll};
use crate::units::{ShareText, duration_text};

pub(super) fn loads(typed: &[file::Load], phases: &Phases) -> Result<Vec<Load>, Refusal> {
    if typed.is_empty() || typed.len() > 16 {
        let message = format!("has {} entries; accepted are 1 to 16, each under [[load]]", typed.len());
        return Err(Refusal::new("load", message));
    }
    let loads: Vec<Load> =
        typed.iter().enumerate().map(|(index, typed)| load(index, typed, phases)).collect::<Result<_, _>>()?;
    let planned = planned_operations(&loads, phases);
    if planned > OPERATIONS_MAX as f64 {
        let message = format!(
            "plans {planned:.0} operations (all rates times warm_up and measure); accepted are {OPERATIONS_MAX} at most"
        );
        return Err(Refusal::new("load", message));
    }
    Ok(loads)
}

/// Operations that the load is to send, warm-up included; random arrivals make it a few more or less.
pub(super) fn planned_operations(loads: &[Load], phases: &Phases) -> f64 {
    let time = |load: &Load| load.window.map_or(phases.warm_up + phases.measure, |(from, until)| until - from);
    let more = |load: &Load| 1.0 + load.behaviour.double_click + load.behaviour.reuse_key + load.behaviour.two_devices;
    loads.iter().map(|load| load.rate_per_s * time(load).as_secs_f64() * more(load)).sum()
}

fn load(index: usize, typed: &file::Load, phases: &Phases) -> Result<Load, Refusal> {
    let path = |key: &str| format!("load.{index}.{key}");
    let rate_per_s = typed.rate.0;
    if !(rate_per_s > 0.0 && rate_per_s <= RATE_MAX) {
        let message = format!("is \"{rate_per_s}/s\"; accepted is above 0 and at most {RATE_MAX}/s");
        return Err(Refusal::new(path("rate"), message));
    }
    let op = match typed.op {
        file::Op::Deposit => Op::Deposit,
        file::Op::Transfer => Op::Transfer,
        file::Op::Outbound => Op::Outbound,
        file::Op::Scroll => Op::Scroll,
        file::Op::Sync => Op::Sync,
    };
    refuse_strange_keys(index, op, typed)?;
    Ok(Load {
        op,
        rate_per_s,
        arrivals: match typed.arrivals {
            Some(file::Arrivals::Constant) | None => Arrivals::Constant,
            Some(file::Arrivals::Poisson) => Arrivals::Poisson,
        },
        window: typed.window.map(|[from, until]| window(&path("window"), from.0, until.0, phases)).transpose()?,
        timeout: span(&path("timeout"), typed.timeout, seconds(5), Duration::from_millis(10), seconds(60))?,
        retry: match typed.retry {
            Some(file::Retry::None) | None => Retry::None,
            Some(file::Retry::SameId) => Retry::SameId,
        },
        connections: count(&path("connections"), typed.connections, 64, 1, 10_000)?,
        // A read is what a lookup would do.
        lookup: if op.is_read() { 0.0 } else { typed.lookup.map_or(0.01, |share| share.0) },
        behaviour: behaviour(index, typed)?,
        scroll: (op == Op::Scroll).then(|| scroll(index, typed)).transpose()?,
    })
}

/// A part of the measured phase that is not empty.
fn window(path: &str, from: Duration, until: Duration, phases: &Phases) -> Result<(Duration, Duration), Refusal> {
    if from < until && until <= phases.measure {
        return Ok((from, until));
    }
    let [from, until, measure] = [from, until, phases.measure].map(duration_text);
    let message = format!(
        "is [\"{from}\", \"{until}\"]; accepted are two moments, the first before the second, from the start of the measured phase to its \
         end at \"{measure}\""
    );
    Err(Refusal::new(path, message))
}

fn scroll(index: usize, typed: &file::Load) -> Result<Scroll, Refusal> {
    let path = |key: &str| format!("load.{index}.{key}");
    // There is one beginning yet.
    let (Some(file::ScrollFrom::Newest) | None) = typed.from;
    let default = Scroll::default();
    Ok(Scroll {
        readers: count(&path("readers"), typed.readers, default.readers, 1, 10_000)?,
        pages: count(&path("pages"), typed.pages, default.pages, 1, 100_000)?,
        page_size: count(&path("page_size"), typed.page_size, default.page_size, 1, 100)?,
    })
}

/// Keys of other operations.
fn refuse_strange_keys(index: usize, op: Op, typed: &file::Load) -> Result<(), Refusal> {
    let refused = |keys: &[(&str, bool)], why: &str| {
        let given = keys.iter().find(|(_, given)| *given);
        given.map_or(Ok(()), |(key, _)| {
            let message = format!("{why}: leave it out", why = why.replace("{op}", op.as_str()));
            Err(Refusal::new(format!("load.{index}.{key}"), message))
        })
    };
    if op.is_read() {
        let of_postings = [("retry", typed.retry.is_some()), ("lookup", typed.lookup.is_some())];
        refused(&of_postings, "is what is done about a posting; a {op} posts nothing")?;
    }
    if !op.is_transfer() {
        let of_transfers = [
            ("on_unknown", typed.on_unknown.is_some()),
            ("double_click", typed.double_click.is_some()),
            ("reuse_key", typed.reuse_key.is_some()),
            ("two_devices", typed.two_devices.is_some()),
            ("read_own", typed.read_own.is_some()),
        ];
        let why = if op.is_read() {
            "is what a customer does with a transfer; a {op} is none"
        } else {
            "is what a customer does with a transfer; a {op} has no customer"
        };
        refused(&of_transfers, why)?;
    }
    if op != Op::Scroll {
        let of_scrolls = [
            ("readers", typed.readers.is_some()),
            ("pages", typed.pages.is_some()),
            ("page_size", typed.page_size.is_some()),
            ("from", typed.from.is_some()),
        ];
        refused(&of_scrolls, "is how a customer scrolls; a {op} has no pages")?;
    }
    Ok(())
}

fn behaviour(index: usize, typed: &file::Load) -> Result<Behaviour, Refusal> {
    let share = |typed: Option<ShareText>| typed.map_or(0.0, |share| share.0);
    let behaviour = Behaviour {
        on_unknown: match typed.on_unknown {
            Some(file::OnUnknown::Wait) | None => OnUnknown::Wait,
            Some(file::OnUnknown::Resubmit) => OnUnknown::Resubmit,
        },
        double_click: share(typed.double_click),
        reuse_key: share(typed.reuse_key),
        two_devices: share(typed.two_devices),
        read_own: share(typed.read_own),
    };
    let together = behaviour.double_click + behaviour.reuse_key + behaviour.two_devices;
    if together > 1.0 {
        let message = format!(
            "is {together} together with reuse_key and two_devices; accepted is 1 at most: one of them befalls a transfer"
        );
        return Err(Refusal::new(format!("load.{index}.double_click"), message));
    }
    Ok(behaviour)
}
