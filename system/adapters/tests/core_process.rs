//! Core with everything real: a deposit's entry arrives on the topic.

use std::time::Duration;

use bankstorm_adapters::access::AccessFile;
use bankstorm_adapters::http::banks_client::BanksClient;
use bankstorm_adapters::kafka::KafkaLog;
use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_adapters::process::core::CoreProcess;
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, Party};
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Head, TransferId, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::log::{ConsumerEvent, EventConsumer, EventLog};
use libtest_mimic::Trial;
use tokio::time::timeout;
use uuid::Uuid;

use crate::Place;
use crate::database::{LIMIT, core_database};

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    vec![place.trial("core_process::deposits_arrive_on_the_topic_in_order".to_owned(), arrive)]
}

async fn arrive(place: Place) {
    let account = AccountNo::new(1_000_001);
    let url = core_database(&place.core, &[Head { account, seq: 0, balance: Won::ZERO }]).await;
    let store = PgCoreStore::connect(&url, 4).await.expect("the database is up");
    let (log, scope) = (KafkaLog::new(&place.kafka, "core"), ProcessScope::new());
    let banks = BanksClient::none();
    let (scope_of_core, registry, access) = (scope.clone(), Registry::new(), AccessFile::none());
    let process = CoreProcess { store, log: log.clone(), banks, scope: scope_of_core, registry, access };
    let core = Core::start(process, CoreConfig::default());
    for number in 1..=5 {
        let from = Party { bank: "088".to_owned(), account: "7".to_owned() };
        let deposit = Deposit { id: TransferId(Uuid::from_u128(number)), account, amount: Won::new(10), from };
        let answer = timeout(LIMIT, core.handle("trial", CoreRequest::Deposit(deposit))).await.expect("an answer");
        assert!(matches!(answer, CoreResponse::Created(_)), "{answer:?}");
    }
    let mut consumer = log.consumer("trial", &[ENTRIES_TOPIC]).await.expect("a consumer");
    let mut seqs = Vec::new();
    while seqs.len() < 5 {
        match timeout(LIMIT, consumer.next()).await.expect("an event").expect("a good consumer") {
            ConsumerEvent::Record(record) => {
                assert_eq!(record.key, event::key(account));
                seqs.push(event::decode(&record.value).expect("an entry").seq);
            }
            ConsumerEvent::Assigned(_) | ConsumerEvent::Lost(_) => {}
            ConsumerEvent::Revoked { done, .. } => drop(done),
        }
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    consumer.close().await;
    scope.stop();
    assert_eq!(scope.ended(Duration::from_secs(10)).await, 0);
}
