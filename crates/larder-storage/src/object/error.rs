//! What a client reports, in Larder's kinds.

use std::{error::Error as StdError, fmt};

use object_store::{
    Error as Remote,
    client::{HttpError, HttpErrorKind},
};

use crate::{Error, ErrorKind, PutIf};

/// What the clouds' machines are asked at, each by its own client, for credentials that nobody set.
const MACHINE_CREDENTIALS: [&str; 3] =
    ["/latest/api/token", "/computeMetadata/v1/", "/metadata/identity/oauth2/token"];

/// `what` failed: why, of which kind, and what to do about it.
pub(crate) fn failed(error: Remote, what: &str) -> Error {
    let text = OneLine::new(&error);
    let (kind, why) = match &error {
        Remote::NotFound { .. } if names_bucket(&text.0) => no_bucket(),
        Remote::NotFound { .. } => (ErrorKind::NotFound, "is gone, or its bucket is"),
        Remote::AlreadyExists { .. } | Remote::Precondition { .. } | Remote::NotModified { .. } => {
            (ErrorKind::Conflict, "another writer came first: read it again")
        }
        Remote::PermissionDenied { .. } if text.0.contains("RequestTimeTooSkewed") => {
            (ErrorKind::Io, "the server refuses this machine's time: set its clock")
        }
        Remote::PermissionDenied { .. } | Remote::Unauthenticated { .. } => (
            ErrorKind::Io,
            "the server refuses these credentials: check them, and that they may read, write, list and delete there",
        ),
        Remote::NotImplemented { .. } | Remote::NotSupported { .. } => {
            (ErrorKind::Unsupported, "this kind of store cannot do it")
        }
        Remote::InvalidPath { .. } => (ErrorKind::Invalid, "no object can have this name"),
        Remote::UnknownConfigurationKey { .. } => (ErrorKind::Invalid, "there is no such setting"),
        error => generic(error, &text.0),
    };
    Error::new(kind, format!("{what}: {why}")).with_source(text)
}

/// As [`failed`], for a listing: what another program put there may have a name that no path can hold.
pub(super) fn not_listed(error: Remote) -> Error {
    if !matches!(error, Remote::InvalidPath { .. }) {
        return failed(error, "cannot list");
    }
    let OneLine(text) = OneLine::new(&error);
    let why = format!("cannot list: remove what has such a name, or use another prefix: {text}");
    Error::new(ErrorKind::Format, why)
}

/// As [`failed`], for a put: a conflict says which condition did not hold.
pub(super) fn not_put(error: Remote, when: &PutIf) -> Error {
    let conflict = matches!(error, Remote::AlreadyExists { .. } | Remote::Precondition { .. });
    let lost = match when {
        _ if !conflict => return failed(error, "cannot put"),
        // Nothing was asked that could be lost but the place itself.
        PutIf::Always => Error::new(
            ErrorKind::Invalid,
            "the server cannot hold it: objects lie above or below this key, remove those first",
        ),
        when => when.lost(),
    };
    lost.with_source(OneLine::new(&error))
}

/// `None` where there is no object; that the bucket is missing stays an error where the server tells.
pub(super) fn found<T>(outcome: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match outcome {
        Err(error @ Remote::NotFound { .. }) if !names_bucket(&error.to_string()) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Whether no connection was made, so that nothing can have happened.
pub(super) fn is_connect(error: &Remote) -> bool {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return http.kind() == HttpErrorKind::Connect;
        }
        source = error.source();
    }
    false
}

fn names_bucket(text: &str) -> bool {
    // As an answer has them; the name of an object cannot hold this.
    has_code(text, "NoSuchBucket") || has_code(text, "ContainerNotFound")
}

fn has_code(text: &str, code: &str) -> bool {
    text.split("<Code>").skip(1).any(|rest| rest.starts_with(code))
}

fn no_bucket() -> (ErrorKind, &'static str) {
    (ErrorKind::NotFound, "there is no such bucket: make it first, or mend the address")
}

fn generic(error: &Remote, text: &str) -> (ErrorKind, &'static str) {
    if MACHINE_CREDENTIALS.iter().any(|path| text.contains(path)) {
        (
            ErrorKind::Invalid,
            "no credentials: set those of the store, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    } else if is_connect(error) {
        (ErrorKind::Backend, "cannot reach the server: check the address and the network")
    } else if names_bucket(text) {
        no_bucket()
    } else if has_code(text, "KeyTooLong") || has_code(text, "InvalidURI") {
        (ErrorKind::Invalid, "the server cannot hold an object of this name")
    } else {
        (ErrorKind::Backend, "the server failed")
    }
}

/// A client's report, with those of its sources that it leaves out. What servers answer has many lines.
#[derive(Debug)]
struct OneLine(String);

impl OneLine {
    fn new(error: &Remote) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let why = error.to_string();
            if !text.contains(&why) {
                text = format!("{text}: {why}");
            }
            source = error.source();
        }
        Self(text.replace(char::is_control, " "))
    }
}

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for OneLine {}
