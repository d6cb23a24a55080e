//! Version tokens: the ETag, and behind a line break the store's own version number where it has one.

use object_store::{ObjectMeta, UpdateVersion};

use crate::Version;

pub(super) fn of(meta: &ObjectMeta) -> Option<Version> {
    let tag = meta.e_tag.as_deref()?;
    Some(match &meta.version {
        Some(number) => Version::from_token(format!("{tag}\n{number}")),
        None => Version::from_token(tag),
    })
}

pub(super) fn to_update(version: &Version) -> UpdateVersion {
    let (tag, number) = match version.as_str().split_once('\n') {
        Some((tag, number)) => (tag, Some(number.to_owned())),
        None => (version.as_str(), None),
    };
    UpdateVersion { e_tag: Some(tag.to_owned()), version: number }
}
