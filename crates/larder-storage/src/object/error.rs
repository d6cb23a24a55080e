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
        Remote::NotFound { .. } => no_bucket(),
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

/// As [`failed`], for a put: a conflict says which condition did not hold.
pub(super) fn not_put(error: Remote, when: &PutIf) -> Error {
    let conflict = matches!(error, Remote::AlreadyExists { .. } | Remote::Precondition { .. });
    let (kind, why) = match when {
        _ if !conflict => return failed(error, "cannot put"),
        PutIf::Absent => (ErrorKind::Conflict, "exists already"),
        PutIf::Version(_) => {
            (ErrorKind::Conflict, "was changed or removed meanwhile: read it again")
        }
        // Nothing was asked that could be lost but the place itself.
        PutIf::Always => (
            ErrorKind::Invalid,
            "the server cannot hold it: objects lie above or below this key, remove those first",
        ),
    };
    Error::new(kind, why).with_source(OneLine::new(&error))
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
    text.contains("NoSuchBucket") || text.contains("ContainerNotFound")
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
    } else if text.contains("KeyTooLong") || text.contains("InvalidURI") {
        (ErrorKind::Invalid, "the server cannot hold an object of this name")
    } else {
        (ErrorKind::Backend, "the server failed")
    }
}

/// A client's report. Its sources are in its text already, and what servers answer has many lines.
#[derive(Debug)]
struct OneLine(String);

impl OneLine {
    fn new(error: &Remote) -> Self {
        let text = error.to_string();
        Self(text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for OneLine {}
