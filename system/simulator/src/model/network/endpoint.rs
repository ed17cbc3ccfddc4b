//! Where a process answers.
//!
//! In: requests that arrived. Out: the handler's answer, or word that the process ended. Elsewhere: the way there and back (`network`).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bankstorm_outside::process::Scope;
use tokio::runtime::Handle;

use super::Link;
use crate::model::process::{Ended, ModelScope};

/// A future that may go from task to task.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Handler<Q, A> = dyn Fn(&str, Q) -> BoxFuture<'static, A> + Send + Sync;

struct Listener<Q, A> {
    scope: ModelScope,
    handler: Arc<Handler<Q, A>>,
}

struct Place<Q, A> {
    name: &'static str,
    listener: Mutex<Option<Listener<Q, A>>>,
}

/// Where a process answers; the process may be killed and started anew, the endpoint stays. Clones share it.
pub struct Endpoint<Q, A>(Arc<Place<Q, A>>);

impl<Q, A> Clone for Endpoint<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> Endpoint<Q, A> {
    /// An endpoint at which nobody listens yet. `name` is what panics of its handlers are kept under.
    pub fn new(name: &'static str) -> Self {
        Self(Arc::new(Place { name, listener: Mutex::new(None) }))
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener<Q, A>>> {
        self.0.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on requests are handled in this process, until it ends or somebody else listens.
    pub fn listen(&self, scope: ModelScope, handler: impl Fn(Q) -> BoxFuture<'static, A> + Send + Sync + 'static) {
        self.listen_to(scope, move |_, request| handler(request));
    }

    /// Like [`Self::listen`], for those who want to know who calls: the name at the near end of his link.
    pub fn listen_to(
        &self,
        scope: ModelScope,
        handler: impl Fn(&str, Q) -> BoxFuture<'static, A> + Send + Sync + 'static,
    ) {
        let before = self.listener().replace(Listener { scope, handler: Arc::new(handler) });
        drop(before);
    }

    /// Nobody listens from now on. What is under way goes on.
    pub fn close(&self) {
        let before = self.listener().take();
        drop(before);
    }

    /// Hands a request that came over `link` to whoever listens at this moment; `None` when nobody does.
    pub(super) fn begin(&self, request: Q, link: Link) -> Option<Work<A>>
    where
        A: Send + 'static,
    {
        let (scope, handler) = {
            let listener = self.listener();
            let Listener { scope, handler } = listener.as_ref()?;
            if scope.is_killed() {
                return None;
            }
            (scope.clone(), Arc::clone(handler))
        };
        let task = self.0.name;
        // A handler begins to work when it is first polled, which a frozen process does not do.
        let work = handler(link.from(), request);
        Some(Work { scope, task, link, handler: Some(work) })
    }
}

/// A request in work.
pub(super) struct Work<A: Send + 'static> {
    scope: ModelScope,
    task: &'static str,
    link: Link,
    handler: Option<BoxFuture<'static, A>>,
}

impl<A: Send + 'static> Work<A> {
    /// The answer.
    pub(super) async fn end(mut self) -> Result<A, Ended> {
        let handler = self.handler.as_mut().expect("it is only taken at the end");
        let ended = self.scope.run(self.task, handler).await;
        self.handler = None;
        ended
    }
}

impl<A: Send + 'static> Drop for Work<A> {
    /// The caller is gone. A close that the process sees ends the handler, which happens by dropping it.
    fn drop(&mut self) {
        let Some(mut handler) = self.handler.take() else { return };
        if Handle::try_current().is_err() {
            return;
        }
        if self.link.hides_a_close() {
            self.scope.spawn(self.task, async move {
                handler.await;
            });
        } else if self.scope.is_paused() {
            // Request and close both lie in the socket: the process takes up the one before it sees the other.
            self.scope.spawn(self.task, async move {
                poll_fn(|context| {
                    let _left_off = handler.as_mut().poll(context).is_ready();
                    Poll::Ready(())
                })
                .await;
            });
        }
    }
}
