//! `resolve`: the verdict on an id, and a tombstone where there is none (D11, D32).
//!
//! In: an id. Out: its verdict. Elsewhere: who asks and when (the channel's poller; the harness, for its own deposits).
//!
//! The question is asked by an insert, not by a read: an insert waits for an uncommitted holder of the id and then tells the truth, a
//! read would say "not found" while the posting is about to commit (R1).

use bankstorm_contracts::core_api::{CoreResponse, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{ParamsHash, RejectReason, TransferId};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{Claim, Claimed, CoreStore, CoreTx, Writes};
use bankstorm_outside::process::{Metrics, Points};
use bankstorm_outside::{CommitOutcome, StoreError};

use crate::config::{CoreConfig, Fence};
use crate::{book, markers};

/// Resolves an id; one whose hold is open is processing. Decision point P6.
pub(crate) async fn resolve<O: CoreOutside>(outside: &O, config: &CoreConfig, id: TransferId) -> CoreResponse {
    outside.metrics().count("core_resolves_total", 1);
    match config.protections.fence {
        Fence::Tombstone => ask_by_insert(outside, config, id).await,
        Fence::PlainRead => ask_by_read(outside, config, id).await,
    }
}

/// Waits for whoever holds the id; an id that nobody has is buried.
async fn ask_by_insert<O: CoreOutside>(outside: &O, config: &CoreConfig, id: TransferId) -> CoreResponse {
    let mut tx = match outside.store().begin().await {
        Ok(tx) => tx,
        Err(error) => return not_started(&error),
    };
    match tx.claim(&[Claim::tombstone(id)], config.resolve_wait).await {
        Ok(claimed) => match claimed.into_iter().next() {
            Some(Claimed::Existing(record)) => {
                CoreResponse::Verdict(book::verdict_of(&record, config.protections.binding))
            }
            Some(Claimed::New) => bury(outside, tx, id).await,
            None => unreachable!("the store answers every claim"),
        },
        Err(StoreError::LockTimeout) => {
            outside.points().reached(markers::PROCESSING);
            CoreResponse::Verdict(book::processing(id))
        }
        Err(error) => not_started(&error),
    }
}

/// P6 off: what is committed now. It waits for nobody, and nothing that comes later meets its answer.
async fn ask_by_read<O: CoreOutside>(outside: &O, config: &CoreConfig, id: TransferId) -> CoreResponse {
    match outside.store().transfer(id).await {
        Ok(Some(record)) => CoreResponse::Verdict(book::verdict_of(&record, config.protections.binding)),
        Ok(None) => CoreResponse::Verdict(book::rejected(id, RejectReason::NotReceived)),
        Err(error) => not_started(&error),
    }
}

async fn bury<O: CoreOutside>(outside: &O, tx: <O::Store as CoreStore>::Tx, id: TransferId) -> CoreResponse {
    let refused = book::rejected(id, RejectReason::NotReceived);
    let verdict = Verdict { params_hash: Some(ParamsHash::TOMBSTONE), ..refused };
    let writes = Writes { settled: vec![book::settled(&verdict)], ..Writes::default() };
    match tx.write_and_commit(&writes).await {
        CommitOutcome::Ok => {
            outside.points().reached(markers::TOMBSTONE);
            outside.metrics().count("core_tombstones_total", 1);
            CoreResponse::Verdict(verdict)
        }
        CommitOutcome::Failed(error) => not_started(&error),
        CommitOutcome::Unknown(detail) => {
            outside.points().reached(markers::COMMIT_UNKNOWN);
            CoreResponse::Problem(Problem::new(
                ProblemKind::Unknown,
                format!("whether {id} was refused is not known ({detail}); ask again"),
            ))
        }
    }
}

fn not_started(error: &StoreError) -> CoreResponse {
    CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, format!("nothing was done: {error}")))
}
