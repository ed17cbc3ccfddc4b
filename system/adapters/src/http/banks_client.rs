//! The other banks, as core calls them, and core, as they call back, over HTTP/1.1.
//!
//! In: credits, cancels, outcomes. Out: what the other side said, or a [`CallError`]. Elsewhere: connections (`client`), when they are
//! asked again (`core::outbound`, `banks`).

use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditAnswer};
use bankstorm_outside::bank_network::{BankNetwork, CreditReply, OutcomeSink};
use bankstorm_outside::core_api::CallError;
use hyper::StatusCode;

use super::client::{Answer, Client};

/// How long one call may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// A client of the other banks. Clones share its connections.
#[derive(Clone, Debug)]
pub struct BanksClient(Option<Client>);

impl BanksClient {
    /// A client of the banks at `url` (`http://host:port`), with at most `connections` at once, that names itself `caller`. Nothing is
    /// connected yet.
    pub fn new(url: &str, connections: usize, caller: &str) -> Result<Self, CallError> {
        Client::new(url, connections, caller).map(|client| Self(Some(client)))
    }

    /// No banks at all: every call is [`CallError::NotSent`].
    pub const fn none() -> Self {
        Self(None)
    }

    fn client(&self) -> Result<&Client, CallError> {
        self.0.as_ref().ok_or_else(|| CallError::NotSent("core was started without other banks".to_owned()))
    }
}

impl BankNetwork for BanksClient {
    async fn credit(&self, credit: &Credit) -> Result<CreditReply, CallError> {
        let answer = self.client()?.post("/v1/credits", credit, CALL_LIMIT).await?;
        reply(credit.id, &answer)
    }

    async fn cancel(&self, id: TransferId) -> Result<CreditReply, CallError> {
        let answer = self.client()?.post_empty(&format!("/v1/credits/{id}/cancel"), CALL_LIMIT).await?;
        reply(id, &answer)
    }
}

/// Only a 200 about this very credit is definite. A refused request (4xx) is not: what became of the id it does not say (D39).
fn reply(id: TransferId, answer: &Answer) -> Result<CreditReply, CallError> {
    match answer.status {
        StatusCode::OK => {
            let definite: CreditAnswer = answer.read()?;
            if definite.id != id {
                let detail = format!("the banks were asked about {id} and answered about {}", definite.id);
                return Err(CallError::Unavailable(detail));
            }
            Ok(CreditReply::Answer(definite.state))
        }
        StatusCode::ACCEPTED => Ok(CreditReply::Accepted),
        _ => Err(answer.refusal()),
    }
}

/// A client of core for the banks' callbacks. Clones share its connections.
#[derive(Clone, Debug)]
pub struct OutcomeClient(Client);

impl OutcomeClient {
    /// A client of core at `url` (`http://host:port`), with at most `connections` at once, that names itself `caller`. Nothing is
    /// connected yet.
    pub fn new(url: &str, connections: usize, caller: &str) -> Result<Self, CallError> {
        Client::new(url, connections, caller).map(Self)
    }
}

impl OutcomeSink for OutcomeClient {
    async fn outcome(&self, answer: CreditAnswer) -> Result<(), CallError> {
        let path = format!("/v1/outbound/{}/outcome", answer.id);
        let told = self.0.post(&path, &answer, CALL_LIMIT).await?;
        if told.status == StatusCode::OK { Ok(()) } else { Err(told.refusal()) }
    }
}
