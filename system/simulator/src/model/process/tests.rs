//! What a process promises: freezing, killing, panics.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bankstorm_outside::process::Scope;
use tokio::time::{Instant, sleep, timeout};

use super::{Ended, ModelScope, Panicked};

#[tokio::test(start_paused = true)]
async fn a_kill_ends_nested_tasks_and_nothing_starts_after_it() {
    let scope = ModelScope::default();
    let inner = scope.clone();
    scope.spawn("outer", async move {
        inner.spawn("nested", pending());
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
    scope.kill();
    tokio::task::yield_now().await;
    assert!(scope.is_idle());
    scope.spawn("late", async { panic!("a killed process runs nothing") });
    tokio::task::yield_now().await;
    assert!(scope.panicked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_wakes_those_who_wait_and_those_who_come_later() {
    let scope = ModelScope::default();
    let waiting = scope.clone();
    tokio::join!(biased; waiting.stopping(), async { scope.stop() });
    scope.stopping().await;
    assert!(scope.is_stopping());
}

/// Counts every 10 ms.
fn ticking(scope: &ModelScope) -> Arc<AtomicU64> {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    scope.spawn("ticks", async move {
        loop {
            sleep(Duration::from_millis(10)).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    ticks
}

#[tokio::test(start_paused = true)]
async fn a_frozen_process_runs_nothing_and_finds_its_timers_run_out() {
    let scope = ModelScope::named("core");
    let ticks = ticking(&scope);
    sleep(Duration::from_millis(35)).await;
    assert_eq!(ticks.load(Ordering::SeqCst), 3);
    scope.pause();
    scope.spawn("late", async { panic!("runs once the process goes on") });
    sleep(Duration::from_secs(5)).await;
    assert_eq!((ticks.load(Ordering::SeqCst), scope.panicked().len()), (3, 0));
    scope.resume();
    sleep(Duration::from_millis(5)).await;
    assert_eq!(ticks.load(Ordering::SeqCst), 4, "the timer that ran out meanwhile, once");
    assert_eq!(scope.panicked().len(), 1);
    sleep(Duration::from_millis(30)).await;
    assert!(ticks.load(Ordering::SeqCst) >= 6, "it goes on as before");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_process_can_be_killed_and_stays_dead() {
    let scope = ModelScope::named("core");
    let ticks = ticking(&scope);
    scope.pause();
    sleep(Duration::from_millis(35)).await;
    scope.kill();
    scope.resume();
    sleep(Duration::from_millis(35)).await;
    assert_eq!(ticks.load(Ordering::SeqCst), 0);
    assert!(scope.is_idle() && scope.is_killed() && !scope.is_paused());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_others_drive_runs_only_while_its_process_does() {
    let scope = ModelScope::named("core");
    let born = Instant::now();
    scope.pause();
    let work = scope.run("work", async { sleep(Duration::from_millis(10)).await });
    let resume = async {
        sleep(Duration::from_millis(50)).await;
        scope.resume();
    };
    let (ended, ()) = tokio::join!(biased; work, resume);
    // Its own timer began when it first ran.
    assert_eq!((ended, born.elapsed()), (Ok(()), Duration::from_millis(60)));
    let kill = async {
        assert!(scope.is_serving());
        scope.kill();
    };
    let (ended, ()) = tokio::join!(biased; scope.run("work", pending::<()>()), kill);
    assert_eq!(ended, Err(Ended));
    assert!(!scope.is_serving());
    assert_eq!(timeout(Duration::ZERO, scope.run("work", async {})).await, Ok(Err(Ended)), "dead from the start");
}

#[tokio::test(start_paused = true)]
async fn panics_are_kept_with_their_task_and_message() {
    let scope = ModelScope::named("core");
    scope.spawn("relay", async { panic!("row {} is missing", 7) });
    sleep(Duration::from_millis(1)).await;
    let ended = scope.run("request", async { panic!("plain") }).await;
    assert_eq!(ended, Err::<(), _>(Ended));
    let kept = |task, message: &str| Panicked { task, message: message.to_owned() };
    assert_eq!(scope.panicked(), [kept("relay", "row 7 is missing"), kept("request", "plain")]);
}
