//! How a record is named on the command line.

use larder::{
    provenance::Id,
    storage::{Error, ErrorKind, Result},
};

use super::{AnyStore, is_unreadable};

/// The fewest digits that stand for an id.
const MIN_DIGITS: usize = 8;

/// The most records that a message names.
const MAX_NAMED: usize = 3;

/// The record that is named by its id, by the beginning or the end of that, or by a tag that it alone has.
///
/// # Errors
/// `NotFound` where no record has this name; `Invalid` where several have, or it cannot be a name; else those of the
/// store. A whole id is not looked up.
pub(super) fn find(store: &AnyStore, name: &str) -> Result<Id> {
    if let Some(tag) = name.strip_prefix('@') {
        return only(store.tagged(tag)?, || format!("the tag {tag:?}"));
    }
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let digits = name.replace('-', "").to_ascii_lowercase();
    if digits.len() < MIN_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!(
            "{name:?} is no name of a record: give its id, at least {MIN_DIGITS} digits of its beginning or end, or @TAG"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    only(ids_with(store, &digits)?, || format!("an id that begins or ends with {name}"))
}

/// The records whose ids begin or end so.
fn ids_with(store: &AnyStore, digits: &str) -> Result<Vec<Id>> {
    let mut found = Vec::new();
    for record in store.records() {
        let id = match record {
            Ok(record) => record.id,
            // Others can be named all the same.
            Err(error) if is_unreadable(&error) => continue,
            Err(error) => return Err(error),
        };
        let all = id.to_string().replace('-', "");
        if all.starts_with(digits) || all.ends_with(digits) {
            found.push(id);
        }
    }
    Ok(found)
}

/// The one of them; `what` they have in common.
fn only(ids: Vec<Id>, what: impl Fn() -> String) -> Result<Id> {
    match ids[..] {
        [id] => Ok(id),
        [] => {
            let message =
                format!("no record has {}: `larder provenance ls --all` lists them", what());
            Err(Error::new(ErrorKind::NotFound, message))
        }
        _ => {
            let named: Vec<String> = ids.iter().take(MAX_NAMED).map(Id::to_string).collect();
            let message = format!(
                "{} records have {}: name one, such as {}",
                ids.len(),
                what(),
                named.join(" or ")
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}
