//! Claims: the row that is inserted, and what stands where another one was first.

use std::collections::{BTreeMap, BTreeSet};

use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{
    AccountNo, ParamsHash, RejectReason, TransferId, TransferKind, TransferState, WallMicros, Won,
};
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{Claim, Claimed, OpenHold, TransferRecord};
use postgres_types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::super::columns::{Column, column, word};
use super::super::pool::Lease;
use super::sql::CoreSql;

/// Claims as columns.
pub(super) struct ClaimColumns {
    ids: Vec<Uuid>,
    others: Vec<Column>,
}

impl ClaimColumns {
    pub(super) fn of(claims: &[Claim]) -> Self {
        let others = vec![
            column(claims, |claim| claim.params_hash.0.to_vec()),
            column(claims, |claim| claim.kind.as_str()),
            column(claims, |claim| claim.account.map(AccountNo::get)),
            column(claims, |claim| claim.amount.map(Won::get)),
            column(claims, |claim| claim.party.as_ref().map(|party| party.bank.clone())),
            column(claims, |claim| claim.party.as_ref().map(|party| party.account.clone())),
            column(claims, |claim| claim.promise.map(|promise| promise.requested_at.0)),
            column(claims, |claim| claim.promise.map(|promise| i64::from(promise.valid_for_ms))),
        ];
        Self { ids: claims.iter().map(|claim| claim.id.0).collect(), others }
    }
}

/// Inserts those that are free; gives their ids.
pub(super) async fn insert(lease: &Lease<CoreSql>, columns: &ClaimColumns) -> Result<Vec<Row>, Error> {
    let others = columns.others.iter().map(|column| &**column as &(dyn ToSql + Sync));
    let all: Vec<&(dyn ToSql + Sync)> = std::iter::once(&columns.ids as &(dyn ToSql + Sync)).chain(others).collect();
    lease.client().query(&lease.statements().claim, &all).await
}

/// Reads what stands under the ids, by a statement of its own.
pub(super) async fn read_standing(lease: &Lease<CoreSql>, columns: &ClaimColumns) -> Result<Vec<Row>, Error> {
    lease.client().query(&lease.statements().standing, &[&columns.ids]).await
}

/// What each claim met.
pub(super) fn met(claims: &[Claim], new: &BTreeSet<TransferId>, standing: &[Row]) -> Result<Vec<Claimed>, StoreError> {
    let records = standing
        .iter()
        .map(|row| record(row).map(|record| (record.id, record)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    claims
        .iter()
        .map(|claim| match records.get(&claim.id) {
            _ if new.contains(&claim.id) => Ok(Claimed::New),
            Some(record) => Ok(Claimed::Existing(record.clone())),
            // Released by its holder between the two statements: cannot be told from "in work" here.
            None => Err(StoreError::LockTimeout),
        })
        .collect()
}

/// A transfer's row.
pub(super) fn record(row: &Row) -> Result<TransferRecord, StoreError> {
    let hash: &[u8] = row.get("params_hash");
    let reason: Option<&str> = row.get("reason");
    Ok(TransferRecord {
        id: TransferId(row.get("id")),
        kind: word(row.get("kind"), TransferKind::from_word)?,
        params_hash: ParamsHash(hash.try_into().map_err(|_| StoreError::Other("a hash of another length".to_owned()))?),
        state: word(row.get("state"), TransferState::from_word)?,
        reason: reason.map(|text| word(text, RejectReason::from_word)).transpose()?,
        seq: row.get("seq"),
        balance_after: row.get::<_, Option<i64>>("balance_after").map(Won::new),
        posted_at: row.get::<_, Option<i64>>("posted_at_us").map(WallMicros),
    })
}

/// An open hold with its transfer's party.
pub(super) fn open_hold(row: &Row) -> Result<OpenHold, StoreError> {
    let transfer = TransferId(row.get("id"));
    let (Some(bank), Some(account)) = (row.get("party_bank"), row.get("party_account")) else {
        return Err(StoreError::Other(format!("transfer {transfer} has an open hold and names nobody it is for")));
    };
    Ok(OpenHold {
        transfer,
        account: AccountNo::new(row.get("account")),
        amount: Won::new(row.get("amount")),
        party: Party { bank, account },
        placed_at: WallMicros(row.get("placed_at_us")),
    })
}
