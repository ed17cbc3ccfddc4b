//! What a channel tells of a transfer: each answer as a row, whether it was asked for or came with the transfer itself.
//!
//! In: an instance and a transfer's id, or a request that was answered. Out: rows of `transfer_read`. Elsewhere: who asks, how often
//! (`watch`, `resolve`, `sender`).

use std::time::Duration;

use bankstorm_contracts::channel_api::TransferView;
use bankstorm_contracts::{Outcome, ParamsHash, TransferId};
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::TransferReadRow;
use bytes::Bytes;
use hyper::Method;

use crate::answer::Ending;
use crate::instance::Instance;
use crate::wire::{Answer, NoAnswer};

/// One question gives up after this.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Where it stands.
    View(TransferView),
    /// 404: the channel does not know the id.
    NotFound,
    /// No answer, or none that tells.
    Nothing,
}

/// Asks `instance` where `transfer` stands.
pub(crate) async fn read_state(
    instance: &Instance,
    transfer: TransferId,
    origin: &Origin,
    limit: Duration,
) -> (TransferReadRow, Told) {
    let mut client = instance.take().await;
    let path = format!("/v1/transfers/{transfer}");
    let invoked_ns = origin.moment(monotonic_ns());
    let exchange = tokio::time::timeout(limit, client.exchange(Method::GET, &path, &Bytes::new())).await;
    let completed_ns = origin.moment(monotonic_ns());
    let (outcome, told) = match exchange {
        Ok(exchange) => {
            instance.give_back(client).await;
            understood(transfer, exchange)
        }
        // The connection goes with the client: its answer may still come.
        Err(_) => (Outcome::Unknown, Told::Nothing),
    };
    let view = if let Told::View(view) = &told { Some(view) } else { None };
    let row = TransferReadRow {
        transfer: transfer.0.as_u128(),
        invoked_ns,
        completed_ns,
        store: "channel".to_owned(),
        instance: instance.name().to_owned(),
        via: "read".to_owned(),
        params_hash: None,
        outcome: outcome.as_str().to_owned(),
        stage: view.map(|view| view.state.as_str().to_owned()),
        reason: view.and_then(|view| view.reason).map(|reason| reason.as_str().to_owned()),
        seq: view.and_then(|view| view.seq),
    };
    (row, told)
}

fn understood(transfer: TransferId, exchange: Result<Answer, NoAnswer>) -> (Outcome, Told) {
    match exchange {
        Ok(Answer { status: 200, body }) => match serde_json::from_slice::<TransferView>(&body) {
            Ok(view) if view.id == transfer => (Outcome::Ok, Told::View(view)),
            Ok(_) | Err(_) => (Outcome::Unknown, Told::Nothing),
        },
        Ok(Answer { status: 404, .. }) => (Outcome::Ok, Told::NotFound),
        Ok(Answer { status, .. }) => (Outcome::of_http(status, false, None), Told::Nothing),
        Err(NoAnswer::Unsent(_)) => (Outcome::Failed, Told::Nothing),
        Err(NoAnswer::Lost(_)) => (Outcome::Unknown, Told::Nothing),
    }
}

/// The row of a transfer that was sent to `instance`; moments by CLOCK_MONOTONIC.
pub(crate) fn submit_row(
    transfer: TransferId,
    params_hash: ParamsHash,
    instance: &str,
    origin: &Origin,
    from_to_ns: (i64, i64),
    ending: &Ending,
) -> TransferReadRow {
    TransferReadRow {
        transfer: transfer.0.as_u128(),
        invoked_ns: origin.moment(from_to_ns.0),
        completed_ns: origin.moment(from_to_ns.1),
        store: "channel".to_owned(),
        instance: instance.to_owned(),
        via: "submit".to_owned(),
        params_hash: Some(params_hash.0.to_vec()),
        outcome: ending.outcome.as_str().to_owned(),
        stage: ending.stage.map(|stage| stage.as_str().to_owned()),
        reason: ending.reason.map(|reason| reason.as_str().to_owned()),
        seq: ending.seq,
    }
}
