use larder_sqlite::Attempt;
use rusqlite::Connection;

use super::rank::{Cap, Ranking};

/// What a writer has to know before it begins. It stays true until somebody else writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Entries with this id or a lower one are cleared.
    pub(super) cleared_through: i64,
    /// No id above this one was given.
    pub(super) last_id: i64,
    /// Whether there may be tags, or entries that are cleared and not swept yet.
    pub(super) is_mixed: bool,
    /// When the first entry expires, in nanoseconds since 1970.
    pub(super) next_expiry: Option<i64>,
    pub(super) ranking: Option<Ranking>,
}

impl Settings {
    pub(super) fn read(db: &Connection) -> Attempt<Self> {
        let (cleared_through, highest, is_mixed, next_expiry) = db
            .prepare_cached(
                "SELECT value, (SELECT max(id) FROM entry),
                    ifnull((SELECT min(id) FROM entry) <= value, 0) OR EXISTS (SELECT 1 FROM tag),
                    (SELECT min(expires_at) FROM entry WHERE expires_at IS NOT NULL)
                 FROM meta WHERE name = 'cleared_through'",
            )?
            .query_row([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?))
            })?;
        let last_id = highest.unwrap_or(0).max(cleared_through);
        let ranking = Cap::read(db)?.map(|cap| Ranking::new(db, cap)).transpose()?;
        Ok(Self { cleared_through, last_id, is_mixed, next_expiry, ranking })
    }

    /// Whether entries may have to be swept, or to be looked at before they are replaced.
    pub(super) fn is_mixed(&self, now: i64) -> bool {
        self.is_mixed || self.next_expiry.is_some_and(|at| at <= now)
    }

    /// Whether an entry without tags can be set by one statement.
    pub(super) fn is_plain(&self, now: i64) -> bool {
        !self.is_mixed(now) && self.ranking.is_none()
    }
}
