//! What panicked while a world lived, wherever it was: a service's task, a model's, a checker.
//!
//! In: panics of this thread. Out: what they said, in order. Elsewhere: what follows from them (`world::run`).
//!
//! A panic in a task ends that task alone, and one in a model's own task nobody would hear of. The process's hook stays in force for
//! whoever is no world.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Listens on this thread from now on.
pub(super) fn listen() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let heard = HEARD.with_borrow_mut(|heard| heard.as_mut().map(|heard| heard.push(panic.to_string())));
            if heard.is_none() {
                before(panic);
            }
        }));
    });
    HEARD.set(Some(Vec::new()));
}

/// What was heard; listens no more.
pub(super) fn take() -> Vec<String> {
    HEARD.take().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::{listen, take};

    #[test]
    fn a_panic_is_heard_while_a_world_listens_also_where_somebody_catches_it() {
        listen();
        catch_unwind(|| panic!("row 7 is missing")).expect_err("it panicked");
        let heard = take();
        assert_eq!(heard.len(), 1);
        assert!(heard[0].contains("row 7 is missing"), "{heard:?}");
        assert!(take().is_empty(), "nobody listens any more");
    }
}
