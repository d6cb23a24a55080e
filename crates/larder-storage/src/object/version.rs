//! Version tokens: the ETag, and behind a line break the store's own version number where it has one.

use object_store::{ObjectMeta, UpdateVersion};

use crate::{PutIf, Result, Version};

pub(super) fn of(meta: &ObjectMeta) -> Option<Version> {
    let tag = meta.e_tag.as_deref()?;
    Some(match &meta.version {
        Some(number) => Version::from_token(format!("{tag}\n{number}")),
        None => Version::from_token(tag),
    })
}

/// `Conflict` for what no server names a version: an empty tag or `*` would be no condition at all.
pub(super) fn to_update(version: &Version) -> Result<UpdateVersion> {
    let (tag, number) = match version.as_str().split_once('\n') {
        Some((tag, number)) => (tag, Some(number.to_owned())),
        None => (version.as_str(), None),
    };
    if !number.iter().map(String::as_str).chain([tag]).all(names_a_version) {
        return Err(PutIf::Version(version.clone()).lost());
    }
    Ok(UpdateVersion { e_tag: Some(tag.to_owned()), version: number })
}

fn names_a_version(text: &str) -> bool {
    !matches!(text.trim(), "" | "*") && !text.contains(char::is_control)
}
