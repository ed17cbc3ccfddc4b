//! Ids that were used for two sets of parameters, neither of which was answered: every row gets the end that the channel's answers show.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{HistoryPage, TransferStage, TransferView};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Entry, EntryKind, Problem, RejectReason, TransferId, WallMicros, Won};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::{OperationRow, TransferReadRow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{DRIFTED, read_transfers};
use crate::resolve::Resolved;
use crate::run::ChannelAddress;
use crate::sharding::Sharding;

const LOST: u128 = 1;
const STORED: u128 = 2;
const PAYER: i64 = 1_000_100;

/// What a channel knows of [`STORED`]; of any other id nothing.
#[derive(Clone)]
struct Channel {
    stage: TransferStage,
    reason: Option<RejectReason>,
    /// The row of the payer's history that is its own.
    booked: Option<i64>,
}

impl Channel {
    fn completed(amount: i64) -> Self {
        Self { stage: TransferStage::Completed, reason: None, booked: Some(-amount) }
    }

    fn answer(&self, path: &str) -> (u16, Vec<u8>) {
        let id = TransferId(Uuid::from_u128(STORED));
        let seq = self.booked.map(|_| 7);
        if path == format!("/v1/transfers/{id}") {
            let view = TransferView { id, state: self.stage, reason: self.reason, seq, message: None };
            return (200, serde_json::to_vec(&view).expect("JSON"));
        }
        if path == format!("/v1/accounts/{PAYER}/history?limit=20&cursor=8") {
            let entry = |amount| Entry {
                account: AccountNo::new(PAYER),
                seq: 7,
                amount: Won::new(amount),
                balance_after: Won::new(1_000),
                transfer: id,
                kind: EntryKind::TransferOut,
                posted_at: WallMicros(0),
            };
            let items: Vec<Entry> = self.booked.map(entry).into_iter().collect();
            let page = HistoryPage { items, next_cursor: None, as_of_seq: 7, stale: false, pending: vec![] };
            return (200, serde_json::to_vec(&page).expect("JSON"));
        }
        assert!(path.starts_with("/v1/transfers/"), "unexpected: {path}");
        (404, serde_json::to_vec(&Problem::new(ProblemKind::NotFound, "no such transfer")).expect("JSON"))
    }
}

async fn serve(mut stream: TcpStream, channel: Arc<Channel>) {
    let mut request = [0; 4_096];
    while let Ok(bytes) = stream.read(&mut request).await {
        let text = str::from_utf8(&request[..bytes]).expect("text");
        let Some(path) = text.split(' ').nth(1) else { return };
        let (status, body) = channel.answer(path);
        let mut answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend(body);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn read(channel: Channel, rows: &mut [OperationRow], limit: Duration) -> (Resolved, Vec<TransferReadRow>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (channel, mut connections) = (Arc::new(channel), JoinSet::new());
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&channel)));
        }
    });
    let channels = [ChannelAddress { instance: "channel-0".to_owned(), url }];
    read_transfers(rows, &channels, Sharding::NONE, Origin::now(), limit).await.expect("addresses")
}

/// Sent, and never answered.
fn lost(op: u64, transfer: u128, amount: i64) -> OperationRow {
    OperationRow {
        op,
        kind: "transfer".to_owned(),
        transfer,
        account: PAYER,
        amount,
        params_hash: amount.to_le_bytes().to_vec(),
        outcome: Some("unknown".to_owned()),
        ..OperationRow::default()
    }
}

fn ends(rows: &[OperationRow]) -> Vec<Option<&str>> {
    rows.iter().map(|row| row.resolved.as_deref()).collect()
}

#[tokio::test]
async fn two_that_never_arrived_have_failed_and_one_of_two_that_was_stored_has_not() {
    let mut rows =
        [lost(0, LOST, 100), lost(1, LOST, 250), lost(2, STORED, 100), lost(3, STORED, 250), lost(4, STORED, 250)];
    let (facts, reads) = read(Channel::completed(250), &mut rows, Duration::from_secs(30)).await;
    assert_eq!(
        ends(&rows),
        [Some("failed"), Some("failed"), Some("rejected"), Some("ok"), Some("ok")],
        "the two last asked for the same"
    );
    assert_eq!((facts.unknown, facts.resolved), (5, 5), "every row counts");
    assert_eq!(facts.attempts, reads.len() as u64 + 1, "one page told which");
    assert_eq!((rows[2].seq, rows[2].detail.as_deref()), (None, Some(DRIFTED)));
    assert_eq!((rows[3].seq, rows[3].http_status), (Some(7), Some(200)));
    assert_eq!(reads.iter().filter(|read| read.transfer == STORED).count(), 1, "asked about once for all of them");
}

#[tokio::test]
async fn what_was_not_completed_has_one_end_for_all() {
    let channel =
        Channel { stage: TransferStage::Rejected, reason: Some(RejectReason::InsufficientFunds), booked: None };
    let mut rows = [lost(0, STORED, 100), lost(1, STORED, 250)];
    let (facts, reads) = read(channel, &mut rows, Duration::from_secs(30)).await;
    assert_eq!(ends(&rows), [Some("rejected"), Some("rejected")]);
    assert_eq!((facts.unknown, facts.resolved, facts.attempts, reads.len()), (2, 2, 1, 1), "no page was needed");
}

#[tokio::test]
async fn where_both_were_answered_each_has_what_it_was_told() {
    // One was taken on, the other was refused at once as another use of the id.
    let mut rows = [lost(0, STORED, 100), lost(1, STORED, 250)];
    rows[0].http_status = Some(202);
    (rows[1].outcome, rows[1].resolved) = (Some("rejected".to_owned()), Some("rejected".to_owned()));
    let (facts, _) = read(Channel::completed(100), &mut rows, Duration::from_secs(30)).await;
    assert_eq!((ends(&rows), facts.unknown, facts.resolved), (vec![Some("ok"), Some("rejected")], 1, 1));
    // Both were taken on: that is for the checks to find, and no reason to call either of them refused.
    let mut rows = [lost(0, STORED, 100), lost(1, STORED, 250)];
    rows.iter_mut().for_each(|row| row.http_status = Some(202));
    let channel = Channel { stage: TransferStage::Unknown, reason: None, booked: None };
    let (facts, reads) = read(channel, &mut rows, Duration::from_millis(300)).await;
    assert_eq!((ends(&rows), facts.unknown, facts.resolved), (vec![None, None], 2, 0));
    assert!(!reads.is_empty());
    // One was taken on, the other lost: it is refused without a question.
    let mut rows = [lost(0, STORED, 100), lost(1, STORED, 250)];
    rows[0].http_status = Some(202);
    let (facts, _) = read(Channel::completed(100), &mut rows, Duration::from_secs(30)).await;
    assert_eq!((ends(&rows), facts.unknown, facts.resolved), (vec![Some("ok"), Some("rejected")], 2, 2));
}

#[tokio::test]
async fn an_amount_that_nobody_asked_for_is_nobodys_verdict() {
    let mut rows = [lost(0, STORED, 100), lost(1, STORED, 250)];
    let (facts, _) = read(Channel::completed(999), &mut rows, Duration::from_secs(30)).await;
    assert_eq!((ends(&rows), facts.unknown, facts.resolved), (vec![None, None], 2, 0));
}
