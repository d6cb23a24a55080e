//! Every storage by its URL.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, http::HttpBuilder,
};
use url::Url;

use crate::{
    Durability, Error, ErrorKind, LocalStorage, MemoryStorage, ObjectStorage, Result, Storage,
    object::{Options, failed},
};

/// What the clients are told unless a setting says otherwise: a server that is out of reach is given up after some
/// 10 s, one that stalls after 30 s, while a large object may take as long as its bytes keep coming.
const DEFAULTS: [(&str, &str); 4] =
    [("allow_http", "true"), ("connect_timeout", "3s"), ("read_timeout", "30s"), ("timeout", "1h")];

/// Opens the storage that `url` names, with the settings of the environment.
///
/// | URL | storage |
/// | --- | --- |
/// | `memory:` | a new [`MemoryStorage`] |
/// | `file:///a/directory` | [`LocalStorage`], at [`Durability::Process`] |
/// | `s3://bucket/prefix` | S3 and what speaks its protocol; `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, ... |
/// | `gs://bucket/prefix` | Google Cloud Storage; `GOOGLE_SERVICE_ACCOUNT`, ... |
/// | `az://container/prefix` | Azure Blob Storage; `AZURE_STORAGE_ACCOUNT_NAME`, ... |
/// | `http://host/prefix`, `https://...` | a web server, for reading only |
///
/// Larder's own tests run on servers that speak the protocols of S3 (moto, SeaweedFS) and Azure (azurite). None speaks
/// Google's: that is claimed only as far as `object_store` tests itself on it, and as the probe at open shows each time.
///
/// ```
/// use larder_storage::{Key, PutIf};
///
/// # fn main() -> larder_storage::Result<()> {
/// let storage = larder_storage::open("memory:")?;
/// storage.put(&Key::new("a")?, "1".into(), PutIf::Absent)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `Invalid` for what is no such URL, and where credentials are missing; otherwise as [`LocalStorage::open`] and
/// [`ObjectStorage::new`].
pub fn open(url: &str) -> Result<Arc<dyn Storage>> {
    open_with(url, &Options::default())
}

/// As [`open`], with settings of one's own for a remote store.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(url: &str, options: &Options) -> Result<Arc<dyn Storage>> {
    let url = Url::parse(url).map_err(|error| unknown("is no URL").with_source(error))?;
    if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
        let why = "a storage's URL has no query, fragment or password: give those as settings";
        return Err(Error::new(ErrorKind::Invalid, why));
    }
    match url.scheme() {
        "memory" => Ok(Arc::new(MemoryStorage::new())),
        "file" => {
            let path = url.to_file_path().map_err(|()| unknown("names no local directory"))?;
            Ok(Arc::new(LocalStorage::open(path, Durability::Process)?))
        }
        _ => Ok(Arc::new(remote(&url, options)?)),
    }
}

fn unknown(why: &str) -> Error {
    let known =
        "memory:, file:///directory, s3://bucket, gs://bucket, az://container, http(s)://host";
    Error::new(ErrorKind::Invalid, format!("the address of a storage {why}: use one of {known}"))
}

fn remote(url: &Url, options: &Options) -> Result<ObjectStorage> {
    // Another part of the program may have chosen its provider before; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let what = "cannot open the store";
    let Ok((scheme, prefix)) = ObjectStoreScheme::parse(url) else {
        return Err(unknown("has another scheme"));
    };
    if scheme == ObjectStoreScheme::Http {
        let store = http(url, options).map_err(|error| failed(error, what))?;
        return ObjectStorage::new(store, prefix.as_ref(), &options.clone().read_only());
    }
    let store = bucket(&scheme, url, options).map_err(|error| match error {
        // What a builder refuses has not reached any server yet.
        error @ object_store::Error::Generic { .. } => {
            let why = format!("{what}: a setting is missing or wrong: {error}");
            Error::new(ErrorKind::Invalid, why.replace(char::is_control, " "))
        }
        error => failed(error, what),
    })?;
    ObjectStorage::new(store, prefix.as_ref(), options)
}

/// Settings of one's own come before the defaults, those before the environment.
macro_rules! configured {
    ($builder:expr, $url:expr, $options:expr) => {{
        let mut builder = $builder.with_url($url.as_str()).with_retry(retry());
        for (name, value) in settings($options) {
            builder = builder.with_config(name.to_ascii_lowercase().parse()?, value);
        }
        Ok(Arc::new(builder.build()?))
    }};
}

fn bucket(
    scheme: &ObjectStoreScheme,
    url: &Url,
    options: &Options,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    match scheme {
        // One object at a time is deleted, and not every server knows how to delete many.
        ObjectStoreScheme::AmazonS3 => {
            configured!(AmazonS3Builder::from_env().with_disable_bulk_delete(true), url, options)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            configured!(GoogleCloudStorageBuilder::from_env(), url, options)
        }
        _ => configured!(MicrosoftAzureBuilder::from_env(), url, options),
    }
}

fn http(url: &Url, options: &Options) -> object_store::Result<Arc<dyn ObjectStore>> {
    configured!(HttpBuilder::new(), url[..url::Position::BeforePath].to_owned(), options)
}

fn settings(options: &Options) -> impl Iterator<Item = (&str, &str)> {
    let own = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    DEFAULTS.into_iter().chain(own)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        max_retries: 8,
        retry_timeout: Duration::from_secs(6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, PutIf};

    fn kind(url: &str, options: &Options) -> ErrorKind {
        let error = open_with(url, options).expect_err(url);
        assert_eq!(error.chain().to_string().lines().count(), 1, "{error:?}");
        error.kind()
    }

    #[test]
    fn refuses_what_names_no_storage() {
        for url in ["", "/data", "ftp://host/x", "s3:", "s3://", "memory:?x=1", "https://u:p@host/"]
        {
            assert_eq!(kind(url, &Options::default()), ErrorKind::Invalid, "{url}");
        }
    }

    #[test]
    fn refuses_settings_that_there_are_not_and_halves_of_credentials() {
        let options = Options::default().setting("aws_endpiont", "http://localhost");
        assert_eq!(kind("s3://bucket", &options), ErrorKind::Invalid);
        let options = Options::default().setting("aws_access_key_id", "a");
        assert_eq!(kind("s3://bucket", &options), ErrorKind::Invalid);
    }

    #[test]
    fn says_that_a_server_is_out_of_reach() {
        let options = Options::default()
            .setting("aws_endpoint", "http://127.0.0.1:1")
            .setting("aws_access_key_id", "a")
            .setting("aws_secret_access_key", "hidden");
        let started = std::time::Instant::now();
        assert_eq!(kind("s3://bucket", &options), ErrorKind::Backend);
        assert!(started.elapsed() < Duration::from_secs(15));
        assert!(!format!("{options:?}").contains("hidden"));
    }

    #[test]
    fn a_web_server_is_not_written_to() {
        let storage = open("http://127.0.0.1:1/x").unwrap();
        let outcome = storage.put(&Key::new("a").unwrap(), "1".into(), PutIf::Always);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn opens_local_directories_with_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a b%é");
        let url = Url::from_file_path(&root).unwrap();
        let storage = open(url.as_str()).unwrap();
        assert_eq!(storage.local_root(), Some(&*root.canonicalize().unwrap()));
    }
}
