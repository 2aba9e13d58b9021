//! Async closures that work inside a transaction.

use std::future::Future;

use diesel_async::AsyncPgConnection;

/// What [`crate::run::Run::step`] takes: `async |tx| { … }`. Never implemented by hand; it exists because a bound on
/// the async closure alone cannot say that its future may move between threads.
pub trait InTx<'tx, R>:
    AsyncFnOnce(&'tx mut AsyncPgConnection) -> R
    + FnOnce(&'tx mut AsyncPgConnection) -> <Self as InTx<'tx, R>>::Work
{
    /// The closure's future.
    type Work: Future<Output = R>;
}

impl<'tx, F, Work, R> InTx<'tx, R> for F
where
    F: AsyncFnOnce(&'tx mut AsyncPgConnection) -> R + FnOnce(&'tx mut AsyncPgConnection) -> Work,
    Work: Future<Output = R>,
{
    type Work = Work;
}
