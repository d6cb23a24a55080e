use std::{fmt, ops::Range, path::Path, sync::MutexGuard};

use larder_storage::Result;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{Attempt, database::Writer, queue::Place};

/// A turn at writing, which ends when this is dropped; see [`Database::turn`](crate::Database::turn).
pub struct Turn<'db> {
    pub(crate) path: &'db Path,
    // Dropped before the connection, so that other processes need not wait for this one's threads.
    pub(crate) place: Place<'db>,
    pub(crate) writer: MutexGuard<'db, Writer>,
}

impl Turn<'_> {
    /// The [`state`](crate::Database::state) before this turn, and the one after it.
    pub fn span(&self) -> Range<u64> {
        self.place.span()
    }

    /// Says that what is done in this turn changes nothing that anybody remembers of a state, so that it is the same one
    /// afterwards.
    pub fn keep_state(&mut self) {
        self.place.keep_state();
    }

    /// Runs `work` in a transaction, and commits what it did if it succeeds.
    ///
    /// # Errors
    ///
    /// Those of `work`, and then nothing was changed; for SQLite's own, `Corrupt`, `Full`, `Io`, `Backend`, or `Locked`
    /// where another program holds the database for a minute.
    pub fn transact<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Attempt<T>) -> Result<T> {
        let run = || {
            let transaction =
                self.writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = work(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        };
        let done: Attempt<T> = run();
        done.map_err(|failure| failure.at(self.path))
    }

    /// Runs `work` without a transaction: each statement is one by itself, which takes less time where there is only one.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact), but what a statement did before another failed stays.
    pub fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        work(&self.writer.connection).map_err(|failure| failure.at(self.path))
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("path", &self.path).field("span", &self.span()).finish()
    }
}
