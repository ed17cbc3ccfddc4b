//! The access log: one line for each call by which a channel reads what its copy should hold (G1).
//!
//! In: requests and their answers. Out: lines with caller, account, purpose, status. Elsewhere: the file (`adapters`), who reads it
//! (`harness/check`).
//!
//! A call is logged when it ends, refused and failed ones too. One whose caller hung up ends when its future is dropped: it may have taken a
//! slot all the same.

use bankstorm_contracts::AccountNo;
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Purpose};
use bankstorm_outside::process::{Access, AccessCall, AccessLog};

/// What a request reads, if it reads what a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reads {
    call: AccessCall,
    account: Option<AccountNo>,
    purpose: Option<Purpose>,
}

impl Reads {
    fn of(request: &CoreRequest) -> Option<Self> {
        let (call, account, purpose) = match request {
            CoreRequest::Entries { account, purpose, .. } => (AccessCall::Entries, Some(*account), *purpose),
            CoreRequest::Heads { accounts, purpose } => (AccessCall::Heads, the_one(accounts), *purpose),
            CoreRequest::Digests(_) => (AccessCall::Digests, None, None),
            CoreRequest::Deposit(_)
            | CoreRequest::Transfer(_)
            | CoreRequest::Resolve(_)
            | CoreRequest::BankOutcome(_)
            | CoreRequest::Head(_) => return None,
        };
        Some(Self { call, account, purpose })
    }
}

/// The account, where just one is asked for.
const fn the_one(accounts: &[AccountNo]) -> Option<AccountNo> {
    match accounts {
        [account] => Some(*account),
        _ => None,
    }
}

/// A call on its way; logged when this is dropped.
pub(super) struct Watched<'a, L: AccessLog> {
    log: &'a L,
    caller: &'a str,
    reads: Reads,
    begun: L::Begun,
    status: u16,
}

impl<'a, L: AccessLog> Watched<'a, L> {
    /// Begins to watch a call, if it is one that is logged.
    pub(super) fn begin(log: &'a L, caller: &'a str, request: &CoreRequest) -> Option<Self> {
        Reads::of(request).map(|reads| Self { log, caller, reads, begun: log.begun(), status: 0 })
    }

    /// It is answered.
    pub(super) fn answered(mut self, response: &CoreResponse) {
        self.status = match response {
            CoreResponse::Problem(problem) => problem.status,
            CoreResponse::Created(_) => 201,
            CoreResponse::Verdict(_)
            | CoreResponse::Entries(_)
            | CoreResponse::Head(_)
            | CoreResponse::Heads(_)
            | CoreResponse::Digests(_) => 200,
        };
    }
}

impl<L: AccessLog> Drop for Watched<'_, L> {
    fn drop(&mut self) {
        let Reads { call, account, purpose } = self.reads;
        self.log.ended(self.begun, &Access { caller: self.caller, call, account, purpose, status: self.status });
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::core_api::{CoreRequest, Purpose};
    use bankstorm_contracts::{AccountNo, DigestRange};

    use super::{AccessCall, Reads};

    #[test]
    fn heads_of_one_account_name_it_and_heads_of_several_name_none() {
        let accounts = [1_000_001, 1_000_002].map(AccountNo::new);
        let heads = |accounts: &[AccountNo]| CoreRequest::Heads { accounts: accounts.to_vec(), purpose: None };
        for (asked, account) in [(&accounts[..1], Some(accounts[0])), (&accounts, None), (&[], None)] {
            let reads = Reads { call: AccessCall::Heads, account, purpose: None };
            assert_eq!(Reads::of(&heads(asked)), Some(reads));
        }
        let purpose = Some(Purpose::Read);
        let entries = CoreRequest::Entries { account: accounts[1], after: 0, limit: 5, purpose };
        let reads = Reads { call: AccessCall::Entries, account: Some(accounts[1]), purpose };
        assert_eq!(Reads::of(&entries), Some(reads));
        assert_eq!(
            Reads::of(&CoreRequest::Digests(DigestRange::ALL)).map(|reads| reads.call),
            Some(AccessCall::Digests)
        );
        assert_eq!(Reads::of(&CoreRequest::Head(accounts[0])), None, "no channel asks so");
    }
}
