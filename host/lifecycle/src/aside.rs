//! Work that keeps a thread busy, on threads that make way for others: [`Aside`].
//!
//! A component that computes for long lets other tasks run now and then, but each of them waits for its turn behind it. So
//! such work is moved to threads of its own, which the kernel runs at a lower priority, and comes back when it is through.
//! Where nothing else is to be done, those threads have the processor to themselves.
//!
//! What is moved is the whole future of a worker, which is owned by one runtime at a time. Whoever keeps the thread busy
//! says so with [`wanted`], in a poll of that future, and [`over`] ends it. Elsewhere both do nothing.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// The niceness of the threads: beside a thread of the usual one, such a thread has about a quarter of a processor. The kernel
/// weighs them against every program of the machine, and a call has a time limit: with 10, a tenth, calls of a tenth of a
/// second were not through within ten seconds beside builds and brokers that kept both processors busy.
const NICENESS: i32 = 5;

thread_local! {
    /// Whether the future that this thread polls is to be aside.
    static IS_WANTED: Cell<bool> = const { Cell::new(false) };
}

/// The work that is done here keeps the thread busy: it is moved aside as soon as it lets others run.
pub fn wanted() {
    IS_WANTED.set(true);
}

/// It is through.
pub fn over() {
    IS_WANTED.set(false);
}

/// The threads for such work. Clones share them.
#[derive(Debug, Clone)]
pub struct Aside(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Aside {
    /// Starts as many threads as there are processors.
    ///
    /// # Errors
    ///
    /// The threads cannot be started.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("hive-aside")
            .on_thread_start(make_way)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Arc::new(Threads {
            runtime: Some(runtime),
            handle,
        })))
    }

    /// Work that is done here as a whole. Dropping the future ends it.
    pub(crate) async fn run<F>(self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Err(error) = AbortOnDropHandle::new(self.0.handle.spawn(work)).await
            && let Ok(panic) = error.try_into_panic()
        {
            // As if it had panicked here.
            std::panic::resume_unwind(panic);
        }
    }

    /// The same work, which is moved here while it keeps a thread busy.
    pub(crate) fn movable<F>(&self, work: F) -> impl Future<Output = F::Output> + Send + use<F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Movable {
            aside: self.clone(),
            place: Place::Here(Box::pin(work)),
        }
    }
}

/// Lowers the priority of the thread that calls it. On Linux a niceness is a thread's own.
fn make_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the threads for work that takes long have the usual priority");
    }
}

impl Drop for Threads {
    /// Without waiting: this may run on a thread of another runtime, which must not block.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Movable<F: Future> {
    aside: Aside,
    place: Place<F>,
}

enum Place<F: Future> {
    Here(Pin<Box<F>>),
    Aside(JoinHandle<Return<F>>),
    /// Done, or on its way between the two.
    Nowhere,
}

/// With what a future comes back.
enum Return<F: Future> {
    Done(F::Output),
    GoesOn(Pin<Box<F>>),
}

// The future is in a box of its own.
impl<F: Future> Unpin for Movable<F> {}

impl<F> Future for Movable<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match &mut self.place {
                Place::Here(work) => {
                    over();
                    let polled = work.as_mut().poll(cx);
                    if let Poll::Ready(done) = polled {
                        self.place = Place::Nowhere;
                        return Poll::Ready(done);
                    }
                    if !IS_WANTED.get() {
                        return Poll::Pending;
                    }
                    if let Place::Here(work) = mem::replace(&mut self.place, Place::Nowhere) {
                        let away = Away(Some(work));
                        self.place = Place::Aside(self.aside.0.handle.spawn(away));
                    }
                }
                Place::Aside(away) => {
                    let returned = ready!(Pin::new(away).poll(cx));
                    self.place = Place::Nowhere;
                    match returned {
                        Ok(Return::Done(done)) => return Poll::Ready(done),
                        Ok(Return::GoesOn(work)) => self.place = Place::Here(work),
                        Err(error) => match error.try_into_panic() {
                            // As if it had panicked here.
                            Ok(panic) => std::panic::resume_unwind(panic),
                            // The threads are gone, and so is the process soon.
                            Err(_) => return Poll::Pending,
                        },
                    }
                }
                Place::Nowhere => return Poll::Pending,
            }
        }
    }
}

impl<F: Future> Drop for Movable<F> {
    fn drop(&mut self) {
        if let Place::Aside(away) = &self.place {
            away.abort();
        }
    }
}

/// A future aside.
struct Away<F: Future>(Option<Pin<Box<F>>>);

impl<F: Future> Unpin for Away<F> {}

impl<F: Future> Future for Away<F> {
    type Output = Return<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Return<F>> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        wanted();
        let polled = work.as_mut().poll(cx);
        let stays = IS_WANTED.replace(false);
        match (polled, self.0.take()) {
            (Poll::Ready(done), _) => Poll::Ready(Return::Done(done)),
            (Poll::Pending, Some(work)) if !stays => Poll::Ready(Return::GoesOn(work)),
            (Poll::Pending, work) => {
                self.0 = work;
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    fn is_aside() -> bool {
        std::thread::current().name() == Some("hive-aside")
    }

    #[tokio::test]
    async fn what_keeps_a_thread_busy_is_aside_until_it_is_through() {
        let aside = Aside::start().unwrap();
        let work = aside.movable(async {
            let mut seen = vec![is_aside()];
            wanted();
            yield_now().await;
            seen.push(is_aside());
            yield_now().await;
            seen.push(is_aside());
            over();
            yield_now().await;
            seen.push(is_aside());
            seen
        });
        assert_eq!(work.await, [false, true, true, false]);
    }

    #[tokio::test]
    async fn a_panic_aside_is_the_works_own() {
        let aside = Aside::start().unwrap();
        let work = aside.movable(async {
            wanted();
            yield_now().await;
            assert!(!is_aside(), "it is aside");
        });
        let ended = tokio::task::JoinSet::from_iter([work]).join_next().await;
        let error = ended.unwrap().unwrap_err();
        assert!(error.is_panic());
    }

    #[tokio::test]
    async fn dropped_work_ends_aside_as_well() {
        let aside = Aside::start().unwrap();
        let (dropped, seen) = tokio::sync::oneshot::channel::<()>();
        let (began, begins) = tokio::sync::oneshot::channel();
        let mut work = Box::pin(aside.movable(async move {
            let _dropped = dropped;
            wanted();
            yield_now().await;
            began.send(is_aside()).unwrap();
            std::future::pending::<()>().await;
        }));
        tokio::select! {
            () = &mut work => panic!("it does not end"),
            is_aside = begins => assert!(is_aside.unwrap()),
        }
        drop(work);
        assert!(seen.await.is_err());
    }

    #[tokio::test]
    async fn work_that_is_done_here_begins_and_stays_here() {
        let aside = Aside::start().unwrap();
        let (seen, sees) = tokio::sync::oneshot::channel();
        let work = async {
            let before = is_aside();
            over();
            yield_now().await;
            seen.send((before, is_aside())).unwrap();
        };
        aside.run(work).await;
        assert_eq!(sees.await, Ok((true, true)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_make_way() {
        let aside = Aside::start().unwrap();
        let niceness = aside.movable(async {
            wanted();
            yield_now().await;
            rustix::process::getpriority_process(None).unwrap()
        });
        assert!(niceness.await >= NICENESS);
        assert!(rustix::process::getpriority_process(None).unwrap() < 19);
    }
}
