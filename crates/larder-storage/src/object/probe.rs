//! Whether a server keeps conditions, tried out before anything is entrusted to it.

use std::sync::Arc;

use futures_util::{StreamExt, future::join_all, stream};
use object_store::{
    Error as Remote, ObjectStore, PutMode, PutOptions, PutResult, Result as RemoteResult,
    UpdateVersion, path::Path,
};
use uuid::Uuid;

use super::{error::failed, put, runtime};
use crate::{Error, ErrorKind, RESERVED_SEGMENT, Result};

/// How many writers race for one object, and how often.
const RACERS: usize = 8;
const RACES: usize = 3;

/// Why a server is refused.
enum Refusal {
    /// It does what its conditions forbid.
    Breaks(&'static str),
    /// It did not do what was asked.
    Fails(Remote),
}

impl From<Remote> for Refusal {
    fn from(error: Remote) -> Self {
        Self::Fails(error)
    }
}

type Verdict<T = ()> = std::result::Result<T, Refusal>;

/// Tries conditional writes on objects of its own, which it removes.
pub(super) fn run(store: &Arc<dyn ObjectStore>, prefix: &Path) -> Result<()> {
    let home = prefix.clone().join(RESERVED_SEGMENT).join("probe").join(Uuid::new_v4().to_string());
    let probe = Probe { store: store.clone(), home };
    let verdict = runtime::start(async move {
        // Where not even this comes through, there is nothing to try out, and nobody is asked to clean up.
        probe.put("once", "1", PutMode::Create).await?;
        let verdict = probe.try_out().await;
        probe.clean_up().await;
        verdict
    })?
    .wait()?;
    verdict.map_err(|refusal| match refusal {
        Refusal::Breaks(how) => {
            let why = format!("this server {how}, so updates would be lost: use one that keeps If-Match and If-None-Match");
            Error::new(ErrorKind::Unsupported, why)
        }
        Refusal::Fails(error) => failed(error, "cannot open the store"),
    })
}

struct Probe {
    store: Arc<dyn ObjectStore>,
    home: Path,
}

impl Probe {
    async fn try_out(&self) -> Verdict {
        let second = self.put("once", "2", PutMode::Create).await;
        refused(second, "lets a create replace an object")?;
        self.updates_only_the_current().await?;
        for round in 0..RACES {
            self.race(&format!("create-{round}"), &PutMode::Create).await?;
            let contested = format!("update-{round}");
            let current = self.put(&contested, "0", PutMode::Create).await?;
            self.race(&contested, &PutMode::Update(current.into())).await?;
        }
        Ok(())
    }

    async fn updates_only_the_current(&self) -> Verdict {
        let old: UpdateVersion = self.put("current", "1", PutMode::Create).await?.into();
        let new = self.put("current", "22", PutMode::Overwrite).await?.into();
        if old == new || old.e_tag.is_none() {
            return Err(Refusal::Breaks("names no versions (ETags)"));
        }
        let stale = self.put("current", "333", PutMode::Update(old.clone())).await;
        refused(stale, "lets an update replace a version that it does not name")?;
        self.put("current", "4444", PutMode::Update(new)).await?;
        put::delete(&*self.store, self.home.clone().join("current")).await?;
        let gone = self.put("current", "55555", PutMode::Update(old)).await;
        refused(gone, "lets an update bring back an object that was removed")?;
        Ok(())
    }

    /// Of several writers at once, at most one may win; one may lose to another that then fails.
    async fn race(&self, name: &str, mode: &PutMode) -> Verdict {
        let racers = (1..=RACERS).map(|racer| {
            let text = racer.to_string();
            async move { self.put(name, &text, mode.clone()).await }
        });
        let won = join_all(racers).await.into_iter().filter(|outcome| outcome.is_ok()).count();
        if won > 1 {
            return Err(Refusal::Breaks("lets several writers win the same race"));
        }
        Ok(())
    }

    async fn put(&self, name: &str, text: &str, mode: PutMode) -> RemoteResult<PutResult> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(&self.home.clone().join(name), text.to_owned().into(), options).await
    }

    /// What is left behind is hidden and harmless, so failures here refuse nobody.
    async fn clean_up(&self) {
        let races =
            (0..RACES).flat_map(|round| [format!("create-{round}"), format!("update-{round}")]);
        let names = ["once", "current"].map(str::to_owned).into_iter().chain(races);
        let places: Vec<_> = names.map(|name| Ok(self.home.clone().join(name))).collect();
        self.store.delete_stream(stream::iter(places).boxed()).for_each(|_| async {}).await;
    }
}

fn refused<T>(outcome: RemoteResult<T>, otherwise: &'static str) -> Verdict {
    match outcome {
        Ok(_) => Err(Refusal::Breaks(otherwise)),
        Err(
            Remote::AlreadyExists { .. } | Remote::Precondition { .. } | Remote::NotFound { .. },
        ) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
