//! What callers make of their neighbours' answers, and of silence (D41): a channel of core's, core of the other banks', they of core's.
//!
//! In: a seed. Out: trials. Elsewhere: the network itself (`model::network`), the same on HTTP (`adapters/tests`).

use std::time::Duration;

use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Party, Purpose, Transfer, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{AccountNo, DigestRange, TransferId, TransferState, WallMicros, Won};
use bankstorm_outside::bank_network::{BankBook, BankNetwork, CreditReply, OutcomeSink};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use bankstorm_simulator::model::bank_network::{BanksEndpoint, ModelBankBook, ModelBankNetwork, ModelOutcomeSink};
use bankstorm_simulator::model::core_api::{CoreEndpoint, ModelCoreApi};
use bankstorm_simulator::model::network::Network;
use bankstorm_simulator::model::process::ModelScope;
use libtest_mimic::Trial;
use tokio::time::Instant;

use crate::{on_virtual_time, over_seeds};

const LIMIT: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! list {
        ($($case:ident),* $(,)?) => {
            vec![$(over_seeds(concat!("neighbours::", stringify!($case)).to_owned(), |seed| on_virtual_time($case(seed)))),*]
        };
    }
    list![
        where_nobody_listens_nothing_is_begun,
        a_channel_tells_cores_answers_apart,
        a_silent_core_is_unavailable_within_the_callers_limit,
        core_tells_the_other_banks_answers_apart,
        the_other_banks_tell_cores_answers_apart,
        a_book_outlives_its_process,
    ]
}

fn id() -> TransferId {
    TransferId(uuid::Uuid::from_u128(7))
}

fn transfer() -> Transfer {
    Transfer {
        id: id(),
        from: AccountNo::new(AccountNo::FIRST_CUSTOMER),
        to: credit().to,
        amount: Won::new(10),
        requested_at: WallMicros(0),
        valid_for_ms: 3_000,
    }
}

fn credit() -> Credit {
    let to = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    Credit { id: id(), to, amount: Won::new(10) }
}

fn answer(state: CreditState) -> CreditAnswer {
    CreditAnswer { id: id(), state }
}

fn verdict(state: TransferState) -> Verdict {
    Verdict { id: id(), state, reason: None, seq: None, balance_after: None, posted_at: None, params_hash: None }
}

fn problem(kind: ProblemKind) -> Problem {
    Problem::new(kind, "says so")
}

/// Core, which answers the same to everything.
fn core(response: CoreResponse) -> (CoreEndpoint, ModelScope) {
    let (at, scope) = (CoreEndpoint::new("core-request"), ModelScope::named("core"));
    at.listen(scope.clone(), move |_: CoreRequest| {
        let response = response.clone();
        Box::pin(async move { response })
    });
    (at, scope)
}

fn banks(response: BanksResponse) -> BanksEndpoint {
    let at = BanksEndpoint::new("banks-request");
    at.listen(ModelScope::named("banks"), move |_: BanksRequest| {
        let response = response.clone();
        Box::pin(async move { response })
    });
    at
}

fn not_started<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::NotStarted(_)))
}

fn not_sent<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::NotSent(_)))
}

fn unavailable<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Err(CallError::Unavailable(_)))
}

async fn where_nobody_listens_nothing_is_begun(seed: u64) {
    let network = Network::new(seed, 4);
    let channel = ModelCoreApi::new(network.link("channel-0", "core"), CoreEndpoint::new("core-request"));
    assert!(not_sent(&channel.transfer(&transfer(), LIMIT).await));
    assert!(not_sent(&channel.resolve(id()).await));
    assert!(not_sent(&channel.heads(&[], Purpose::Sweep).await));
    assert!(not_sent(&channel.digests(DigestRange::ALL).await));
    let core = ModelBankNetwork::new(network.link("core", "banks"), BanksEndpoint::new("banks-request"));
    assert!(not_sent(&core.credit(&credit()).await) && not_sent(&core.cancel(id()).await));
    let banks = ModelOutcomeSink::new(network.link("banks", "core"), CoreEndpoint::new("core-request"));
    assert!(not_sent(&banks.outcome(answer(CreditState::Credited)).await));
}

async fn a_channel_tells_cores_answers_apart(seed: u64) {
    let network = Network::new(seed, 4);
    let ask = async |response: CoreResponse| {
        let (at, _core) = core(response);
        ModelCoreApi::new(network.link("channel-0", "core"), at).transfer(&transfer(), LIMIT).await
    };
    let (completed, rejected) = (verdict(TransferState::Completed), verdict(TransferState::Rejected));
    assert_eq!(ask(CoreResponse::Created(completed)).await, Ok(Submitted::Verdict(completed)));
    assert_eq!(ask(CoreResponse::Verdict(rejected)).await, Ok(Submitted::Verdict(rejected)));
    assert_eq!(ask(CoreResponse::Verdict(verdict(TransferState::Processing))).await, Ok(Submitted::Processing));
    let says = |kind| CoreResponse::Problem(problem(kind));
    assert_eq!(ask(says(ProblemKind::Processing)).await, Ok(Submitted::Processing));
    for kind in [ProblemKind::ParamDrift, ProblemKind::BadRequest] {
        assert_eq!(ask(says(kind)).await, Ok(Submitted::Refused(problem(kind))));
    }
    assert!(not_started(&ask(says(ProblemKind::NotStarted)).await));
    assert!(unavailable(&ask(says(ProblemKind::Unknown)).await));
}

async fn a_silent_core_is_unavailable_within_the_callers_limit(seed: u64) {
    let (at, core) = core(CoreResponse::Verdict(verdict(TransferState::Completed)));
    core.pause();
    let channel = ModelCoreApi::new(Network::new(seed, 4).link("channel-0", "core"), at);
    let began = Instant::now();
    assert!(unavailable(&channel.transfer(&transfer(), LIMIT).await));
    assert_eq!(began.elapsed(), LIMIT);
    core.resume();
    assert_eq!(channel.resolve(id()).await, Ok(verdict(TransferState::Completed)));
}

async fn core_tells_the_other_banks_answers_apart(seed: u64) {
    let network = Network::new(seed, 4);
    let ask = async |response: BanksResponse| {
        let core = ModelBankNetwork::new(network.link("core", "banks"), banks(response));
        let (credited, cancelled) = (core.credit(&credit()).await, core.cancel(id()).await);
        assert_eq!(credited, cancelled);
        credited
    };
    for state in [CreditState::Credited, CreditState::Refused] {
        assert_eq!(ask(BanksResponse::Answer(answer(state))).await, Ok(CreditReply::Answer(state)));
    }
    assert_eq!(ask(BanksResponse::Accepted(id())).await, Ok(CreditReply::Accepted));
    let other = CreditAnswer { id: TransferId(uuid::Uuid::from_u128(8)), state: CreditState::Credited };
    assert!(unavailable(&ask(BanksResponse::Answer(other)).await), "an answer on another transfer is none");
    assert!(not_started(&ask(BanksResponse::Problem(problem(ProblemKind::NotStarted))).await));
    assert!(unavailable(&ask(BanksResponse::Problem(problem(ProblemKind::Unknown))).await));
}

async fn the_other_banks_tell_cores_answers_apart(seed: u64) {
    let network = Network::new(seed, 4);
    let tell = async |response: CoreResponse| {
        let (at, _core) = core(response);
        let banks = ModelOutcomeSink::new(network.link("banks", "core"), at);
        banks.outcome(answer(CreditState::Credited)).await
    };
    assert_eq!(tell(CoreResponse::Verdict(verdict(TransferState::Completed))).await, Ok(()));
    assert!(not_started(&tell(CoreResponse::Problem(problem(ProblemKind::NotStarted))).await));
    assert!(unavailable(&tell(CoreResponse::Problem(problem(ProblemKind::NotFound))).await));
}

async fn a_book_outlives_its_process(seed: u64) {
    let book = ModelBankBook::new(seed);
    let scope = ModelScope::named("banks");
    let (first, second) = (answer(CreditState::Refused), answer(CreditState::Credited));
    let writes = async {
        book.append(first, None).await.expect("appended");
        book.append(second, Some(&credit())).await.expect("appended");
    };
    scope.run("banks-request", writes).await.expect("it lives");
    scope.kill();
    let again = book.clone();
    assert_eq!(again.read().await, Ok(vec![(first, None), (second, Some(credit()))]));
    assert_eq!(again.lines().len(), 2);
}
