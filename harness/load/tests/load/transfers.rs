//! Transfers: sent to channels, asked about until they are settled, and never settled by the generator itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_customers::Plan;
use bankstorm_load::run::ChannelAddress;
use bankstorm_load::{DriveError, DriveInput, DriveResult, Sharding, drive, read_transfers};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::{OperationRow, TransferReadRow};

use crate::server::{Behaviour, Server};
use crate::{input, nothing_is_missing, outcomes, plan_of};

/// Two names for one server.
pub(crate) fn channels(url: &str) -> Vec<ChannelAddress> {
    let channel = |name: &str| ChannelAddress { instance: name.to_owned(), url: url.to_owned() };
    vec![channel("channel-0"), channel("channel-1")]
}

pub(crate) fn with_channels(plan: &Arc<Plan>, url: &str) -> DriveInput {
    DriveInput { channels: channels(url), ..input(plan, url) }
}

fn reads_of<'a>(result: &'a DriveResult, row: &OperationRow) -> Vec<&'a TransferReadRow> {
    result.transfer_reads.iter().filter(|read| read.transfer == row.transfer).collect()
}

#[tokio::test]
async fn every_answer_about_a_transfer_is_kept() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("transfer", "60/s", "2s", "lookup = 0\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    assert_eq!((result.operations.len(), server.submits(), server.deposits()), (132, 132, 0));
    let [ok, unknown, failed] = ["ok", "unknown", "failed"].map(|word| outcomes(&result, Some(word)).count());
    assert_eq!((ok, unknown, failed), (44, 44, 44));
    for (row, planned) in result.operations.iter().zip(plan.operations()) {
        assert_eq!((row.kind.as_str(), row.intent, row.attempts), ("transfer", Some(planned.op), Some(1)));
        assert_eq!((row.user, row.to_bank.as_deref()), (planned.user().map(|user| user.0), Some("900")));
        let reads = reads_of(&result, row);
        let first = reads.first().expect("its own answer");
        assert_eq!((first.via.as_str(), first.params_hash.as_ref()), ("submit", Some(&row.params_hash)));
        assert_eq!(Some(&first.outcome), row.outcome.as_ref());
        assert!(reads.windows(2).all(|pair| pair[0].invoked_ns <= pair[1].invoked_ns));
    }
    let instances: BTreeSet<_> = result.transfer_reads.iter().map(|read| read.instance.as_str()).collect();
    assert_eq!(instances, BTreeSet::from(["channel-0", "channel-1"]));
    // Who waits asks until it is settled, which this bank does at the second question; the last ones run into the end of load.
    let settled = outcomes(&result, Some("unknown")).filter(|row| {
        let last = reads_of(&result, row).last().and_then(|read| read.stage.clone());
        last.as_deref() == Some("completed")
    });
    assert!(settled.count() >= 20);
    assert!(outcomes(&result, Some("unknown")).all(|row| row.resolved.is_none() && row.seq.is_none()));
    // He looks once at what his history shows meanwhile; who was answered does not.
    let looks = |row: &OperationRow| result.pages.iter().filter(|page| page.op == Some(row.op)).count();
    assert!(outcomes(&result, Some("unknown")).all(|row| looks(row) <= 1));
    assert!(outcomes(&result, Some("unknown")).filter(|row| looks(row) == 1).count() >= 20);
    assert_eq!(result.pages.len(), outcomes(&result, Some("unknown")).map(looks).sum::<usize>());
    let payer = |op: Option<u64>| result.operations.iter().find(|row| Some(row.op) == op).map(|row| row.account);
    assert!(result.pages.iter().all(|page| payer(page.op) == Some(page.account) && page.cursor.is_none()));
    let keys: Vec<_> = result.pages.iter().map(|page| (page.account, page.invoked_ns)).collect();
    assert!(keys.is_sorted());
}

#[tokio::test]
async fn a_load_that_tries_again_does_so_under_the_same_id_and_says_how_often() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("transfer", "30/s", "2s", "lookup = 0\nretry = \"same_id\"\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let attempts: u64 = result.operations.iter().map(|row| u64::from(row.attempts.unwrap_or(0))).sum();
    assert_eq!(attempts, server.submits());
    assert!(result.operations.iter().any(|row| row.attempts > Some(1)));
    for row in &result.operations {
        let submits = reads_of(&result, row).into_iter().filter(|read| read.via == "submit").count();
        assert_eq!(row.attempts, u32::try_from(submits).ok());
        // Only what was refused is sent again: an open one is being checked.
        assert!(row.attempts == Some(1) || row.attempts <= Some(3) && row.sent_ns < row.acked_ns);
    }
}

#[tokio::test]
async fn what_is_open_is_settled_by_reading_alone() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("transfer", "60/s", "1s", "lookup = 0\n");
    let mut result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    let sent = server.submits();
    // One that no channel ever heard of: its request was lost.
    let lost = result.operations.iter().position(|row| row.outcome.as_deref() == Some("unknown")).expect("one");
    result.operations[lost].transfer = 4_711;
    let unknown = outcomes(&result, Some("unknown")).count() as u64;
    let limit = Duration::from_secs(30);
    let read =
        read_transfers(&mut result.operations, &channels(&server.url()), Sharding::NONE, Origin::now(), limit).await;
    let (resolved, reads) = read.expect("addresses in use");
    assert_eq!((resolved.unknown, resolved.resolved, resolved.attempts), (unknown, unknown, reads.len() as u64));
    assert_eq!(server.submits(), sent, "nothing is sent");
    assert!(reads.iter().all(|read| read.via == "read" && read.store == "channel"));
    for row in outcomes(&result, Some("unknown")).filter(|row| row.transfer != 4_711) {
        assert_eq!((row.resolved.as_deref(), row.seq.is_some()), (Some("ok"), true));
    }
    assert_eq!(result.operations[lost].resolved.as_deref(), Some("failed"));
    assert_eq!(result.operations[lost].detail.as_deref(), Some("no channel ever knew it"));
}

#[tokio::test]
async fn a_customer_who_sends_again_has_a_row_of_the_same_intent_under_another_id() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("transfer", "15/s", "4s", "lookup = 0\non_unknown = \"resubmit\"\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    let planned = usize::try_from(plan.counts().total()).expect("small");
    let again = &result.operations[planned..];
    assert!(!again.is_empty());
    assert_eq!(server.submits(), result.operations.len() as u64);
    assert!(result.operations.iter().zip(0..).all(|(row, op)| row.op == op));
    let by_op: BTreeMap<u64, &OperationRow> = result.operations.iter().map(|row| (row.op, row)).collect();
    for row in again {
        let first = by_op[&row.intent.expect("a transfer has one")];
        assert_eq!(first.outcome.as_deref(), Some("unknown"));
        assert_ne!(row.transfer, first.transfer);
        assert_eq!((&row.params_hash, row.user), (&first.params_hash, first.user));
        assert!(row.sent_ns.is_some() && row.outcome.is_some() && row.intended_ns > first.intended_ns);
    }
}

#[tokio::test]
async fn a12_who_reads_what_he_sent_does_so_once_a_channel_has_answered() {
    let server = Server::start(Behaviour::Answer).await;
    let plan = plan_of("transfer", "60/s", "1s", "lookup = 0\nread_own = 1\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let pages = |row: &OperationRow| result.pages.iter().filter(|page| page.op == Some(row.op)).collect::<Vec<_>>();
    for row in &result.operations {
        let pages = pages(row);
        // An open one is looked at once more, by whoever asks where it stands.
        let expected = match row.http_status {
            Some(201) => 1..=1,
            Some(202) => 1..=2,
            _ => 0..=0,
        };
        assert!(expected.contains(&pages.len()), "{row:?}: {pages:?}");
        assert!(pages.iter().all(|page| Some(page.invoked_ns) >= row.acked_ns && page.account == row.account));
        assert!(pages.iter().all(|page| page.cursor.is_none() && page.page_no.is_none() && page.outcome == "ok"));
    }
    let instances: BTreeSet<_> = result.pages.iter().map(|page| page.instance.as_str()).collect();
    assert_eq!((instances.len(), result.own_unread.len(), result.lookups_given_up.len()), (2, 0, 0));
}

#[tokio::test]
async fn transfers_without_a_channel_are_a_mistake() {
    let plan = plan_of("outbound", "1/s", "1s", "");
    let refused = drive(input(&plan, "http://127.0.0.1:1")).await.expect_err("nobody to send to");
    assert!(matches!(refused, DriveError::NoChannel), "{refused}");
}

#[tokio::test]
async fn silence_about_a_transfer_is_unknown() {
    let server = Server::start(Behaviour::Silent).await;
    let plan = plan_of("outbound", "20/s", "1s", "timeout = \"500ms\"\nlookup = 0\n");
    let result = drive(with_channels(&plan, &server.url())).await.expect("driven");
    nothing_is_missing(&plan, &result);
    let written = result.operations.iter().filter(|row| row.sent_ns.is_some()).count();
    assert_eq!(outcomes(&result, Some("unknown")).count(), written);
    assert!(
        outcomes(&result, Some("unknown")).all(|row| row.resolved.is_none() && row.to_bank.as_deref() != Some("900"))
    );
}
