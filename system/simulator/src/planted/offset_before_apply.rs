//! `offset_before_apply`: a record's offset is committed before the record is worked.
//!
//! People do this by automatic commits, or by committing at the top of the loop.

use std::future::Future;
use std::pin::Pin;

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError};

use crate::model::log::ModelConsumer;

type Committing = Pin<Box<dyn Future<Output = Result<(), LogError>> + Send>>;

/// The record that was taken last, while its offset is being committed: survives a dropped `next`.
#[derive(Default)]
pub(super) struct Taking {
    under_way: Option<(ConsumerEvent, Committing)>,
}

impl Taking {
    /// The next event; a record only after its offset is committed. A refused commit is left at that.
    pub(super) async fn next(&mut self, inner: &mut ModelConsumer) -> Result<ConsumerEvent, LogError> {
        if self.under_way.is_none() {
            let event = inner.next().await?;
            let ConsumerEvent::Record(record) = &event else { return Ok(event) };
            let committing = Box::pin(inner.commit(&[(record.at.clone(), record.offset + 1)]));
            self.under_way = Some((event, committing));
        }
        if let Some((_, committing)) = &mut self.under_way {
            let _ = committing.as_mut().await;
        }
        match self.under_way.take() {
            Some((event, _)) => Ok(event),
            None => Err(LogError::Other("no event".to_owned())),
        }
    }
}
