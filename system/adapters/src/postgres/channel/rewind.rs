//! A copy taken back to an earlier serial, so that the same entries can be applied once more.
//!
//! In: a database's address, the serial. Out: the copy as it stood there, and tables without a trace of what came after. Elsewhere: who
//! asks for it (the harness's `sweep`, between two cells), when no channel runs.
//!
//! Whatever a killed channel left is ended first: a session of its may still be about to commit. What was taken away is vacuumed and
//! written out, so that no cell pays for the one before it.

use std::time::Duration;

use bankstorm_contracts::Seq;
use bankstorm_outside::StoreError;
use tokio::time::timeout;

use super::connect_plain;
use crate::postgres::error::store_error;

/// How long each step may take.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// How long other sessions may take to end once they were told to.
const SESSIONS_LIMIT: Duration = Duration::from_secs(10);
const SESSIONS_LOOK: Duration = Duration::from_millis(10);

const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
const BACK: &str = "BEGIN;
DELETE FROM entry WHERE seq > TO_SEQ;
UPDATE account_sync s SET last_seq = TO_SEQ, balance = e.balance_after, dirty = false, hole = NULL
    FROM entry e
    WHERE e.account = s.account AND e.seq = TO_SEQ AND (s.last_seq <> TO_SEQ OR s.dirty OR s.hole IS NOT NULL);
TRUNCATE apply_journal, dead_letter, partition_owner, transfer RESTART IDENTITY;
COMMIT";
const TIDY: [&str; 3] = ["VACUUM (ANALYZE) entry", "VACUUM (ANALYZE) account_sync", "CHECKPOINT"];

/// Takes every account's copy back to `to_seq`, which all of them have reached, and empties the journal, letters, owners and transfers.
pub async fn rewind(url: &str, to_seq: Seq) -> Result<(), StoreError> {
    let (client, driver) = connect_plain(url).await?;
    let rewound = async {
        end_sessions(&client).await?;
        let back = BACK.replace("TO_SEQ", &to_seq.to_string());
        for step in std::iter::once(back.as_str()).chain(TIDY) {
            let done = timeout(STEP_LIMIT, client.batch_execute(step)).await;
            done.map_err(|_| late("taking the copy back", STEP_LIMIT))?.map_err(|error| store_error(&error))?;
        }
        Ok(())
    };
    let rewound = rewound.await;
    driver.abort();
    rewound
}

async fn end_sessions(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let looks = async {
        loop {
            let left = client.query_one(END_SESSIONS, &[]).await.map_err(|error| store_error(&error))?;
            if left.get::<_, i64>(0) == 0 {
                return Ok(());
            }
            tokio::time::sleep(SESSIONS_LOOK).await;
        }
    };
    timeout(SESSIONS_LIMIT, looks)
        .await
        .unwrap_or_else(|_| Err(late("ending the sessions of a channel", SESSIONS_LIMIT)))
}

fn late(what: &str, limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("{what} did not end within {limit:?}"))
}
