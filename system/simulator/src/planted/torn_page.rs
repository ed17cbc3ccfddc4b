//! `torn_page`: a page's rows and the head that it names are read one after the other.
//!
//! People do this by two statements without a common snapshot.

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, StoredPage};

use crate::model::channel_store::ModelChannelStore;

/// Rows first, then the head.
pub(super) async fn page(
    inner: &ModelChannelStore,
    account: AccountNo,
    before: Option<Seq>,
    limit: u32,
) -> Result<Option<StoredPage>, StoreError> {
    let Some(rows) = inner.page(account, before, limit).await? else { return Ok(None) };
    let Some(later) = inner.page(account, None, 1).await? else { return Ok(None) };
    Ok(Some(StoredPage { head: later.head, ..rows }))
}
