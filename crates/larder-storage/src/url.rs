//! Every storage by its URL.

use std::{env, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, http::HttpBuilder, path::Path,
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

/// The settings that may have several lines.
const TEXTS: [&str; 2] = ["service_account_key", "proxy_ca_certificate"];

/// The schemes of URLs that may name a container before their account, `container@account`.
const OF_AZURE: [&str; 5] = ["az", "azure", "adl", "abfs", "abfss"];

/// Opens the storage that `url` names, with the settings of the environment, but for plain HTTP and how long to wait:
/// those only [`Options::setting`] changes (`allow_http`, `connect_timeout`, `read_timeout`, `timeout`).
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
/// `Invalid` for what is no such URL, and where credentials are missing or a setting is wrong; otherwise as
/// [`LocalStorage::open`] and [`ObjectStorage::new`].
pub fn open(url: &str) -> Result<Arc<dyn Storage>> {
    open_with(url, &Options::default())
}

/// As [`open`], with settings of one's own for a remote store.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(url: &str, options: &Options) -> Result<Arc<dyn Storage>> {
    let text = url;
    let url = Url::parse(url).map_err(|error| unknown("is no URL").with_source(error))?;
    let has_user = !url.username().is_empty() && !OF_AZURE.contains(&url.scheme());
    if url.query().is_some() || url.fragment().is_some() || url.password().is_some() || has_user {
        let why =
            "a storage's URL has no query, fragment, user or password: give those as settings";
        return Err(Error::new(ErrorKind::Invalid, why));
    }
    match url.scheme() {
        "memory" => Ok(Arc::new(MemoryStorage::new())),
        "file" => {
            // The URL that `file:x` is parsed to names `/x`.
            if !text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//")) {
                return Err(unknown("names no directory from the root on"));
            }
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
    let (scheme, prefix) =
        ObjectStoreScheme::parse(url).map_err(|_| match Path::from_url_path(url.path()) {
            Ok(_) => unknown("has another scheme"),
            Err(error) => failed(error.into(), "cannot open the store below this prefix"),
        })?;
    for (name, value) in settings(options) {
        check(name, value)?;
    }
    if scheme == ObjectStoreScheme::Http {
        let store = http(url, options).map_err(|error| failed(error, what))?;
        return ObjectStorage::new(store, prefix.as_ref(), &options.clone().read_only());
    }
    let store = bucket(&scheme, url, options).map_err(|error| match error {
        // What a builder refuses has not reached any server yet.
        object_store::Error::Generic { source, .. } => {
            let why = format!("{what}: a setting is missing or wrong: {source}");
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
        builder
    }};
}

/// As [`configured`], on top of the environment.
macro_rules! from_environment {
    ($builder:expr, $url:expr, $options:expr) => {{
        let builder = configured!($builder, $url, $options);
        // What the variables of the environment come to, where no setting replaces them.
        for (name, _) in env::vars_os() {
            let Ok(key) = name.to_string_lossy().to_ascii_lowercase().parse() else { continue };
            if let Some(value) = builder.get_config_value(&key) {
                check(key.as_ref(), &value).map_err(|error| object_store::Error::Generic {
                    store: "environment",
                    source: error.into(),
                })?;
            }
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
            let builder = AmazonS3Builder::from_env().with_disable_bulk_delete(true);
            from_environment!(builder, url, options)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            from_environment!(GoogleCloudStorageBuilder::from_env(), url, options)
        }
        _ => from_environment!(MicrosoftAzureBuilder::from_env(), url, options),
    }
}

fn http(url: &Url, options: &Options) -> object_store::Result<Arc<dyn ObjectStore>> {
    let host = url[..url::Position::BeforePath].to_owned();
    Ok(Arc::new(configured!(HttpBuilder::new(), host, options).build()?))
}

fn settings(options: &Options) -> impl Iterator<Item = (&str, &str)> {
    let own = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    DEFAULTS.into_iter().chain(own)
}

/// Checks a setting for what clients panic on. Its value may be a secret, and is not told.
fn check(name: &str, value: &str) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    let is_address = lower.ends_with("base_url")
        || (lower.contains("endpoint") && !lower.ends_with("use_fabric_endpoint"));
    let wrong = if is_address && !is_http(value) {
        "is no http:// or https:// URL of a server"
    } else if value.contains(char::is_control) && !TEXTS.iter().any(|text| lower.ends_with(text)) {
        "holds a control character, such as the end of a line"
    } else {
        return Ok(());
    };
    let why = format!("the setting {} {wrong}: mend it", name.escape_debug());
    Err(Error::new(ErrorKind::Invalid, why))
}

/// Whether this is a server's URL, spelled as the clients need it: [`Url`] mends what they do not.
fn is_http(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let host = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    matches!(url.scheme(), "http" | "https")
        && host.is_some_and(|host| !host.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
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
        error(url, options).kind()
    }

    fn error(url: &str, options: &Options) -> Error {
        let error = open_with(url, options).expect_err(url);
        assert_eq!(error.chain().to_string().lines().count(), 1, "{error:?}");
        error
    }

    #[test]
    fn refuses_what_names_no_storage() {
        let unknown = ["", "/data", "ftp://host/x", "s3:", "s3://"];
        let more = ["memory:?x=1", "https://u:p@host/", "https://token@host/", "s3://token@bucket"];
        for url in unknown.into_iter().chain(more) {
            let error = error(url, &Options::default());
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(!error.chain().to_string().contains("token"), "{error:?}");
        }
    }

    #[test]
    fn refuses_directories_that_are_not_named_from_the_root_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        for url in [format!("file:{path}/a"), format!("file:{}/b", &path[1..])] {
            let error = error(&url, &Options::default());
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains("file:///directory"), "{error}");
        }
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
    }

    #[test]
    fn tells_a_wrong_prefix_from_a_wrong_scheme() {
        for url in ["s3://bucket/a//b", "s3://bucket/%0a", "s3://bucket/%FF", "http://host/a//b"] {
            let error = error(url, &Options::default());
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(error.message().contains("prefix"), "{error}");
        }
    }

    #[test]
    fn refuses_settings_that_clients_panic_on() {
        let addresses = [
            "127.0.0.1:9000",
            "localhost:9000",
            "nonsense",
            "",
            "http://",
            "http:///x",
            "http:x",
            "http://127.0.0.1:99999",
            " http://x",
            "http://x/a b",
            "file:///x",
        ];
        let wrong = addresses.map(|address| ("aws_endpoint", address)).into_iter().chain([
            ("AWS_ENDPOINT_URL_S3", "localhost:9000"),
            ("aws_access_key_id", "hidden\r"),
            ("aws_secret_access_key", "hidden\n"),
            ("aws_session_token", "hidden\n"),
            ("aws_region", "us\neast"),
        ]);
        for (name, value) in wrong {
            let options = Options::default()
                .setting("aws_access_key_id", "a")
                .setting("aws_secret_access_key", "b")
                .setting(name, value);
            let error = error("s3://bucket/x", &options);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}={value:?}: {error:?}");
            assert!(error.message().contains(name), "{error}");
            assert!(!error.chain().to_string().contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn takes_settings_that_have_several_lines() {
        check("google_service_account_key", "{\n}").unwrap();
        check("azure_use_fabric_endpoint", "true").unwrap();
        check("aws_endpoint", "HTTP://localhost:9000/x").unwrap();
    }

    #[test]
    fn refuses_the_same_from_the_environment_unless_a_setting_replaces_it() {
        const NAME: &str = "AWS_ENDPOINT_URL";
        if env::var(NAME).as_deref() == Ok("localhost:9000") {
            let options = Options::default()
                .setting("aws_access_key_id", "a")
                .setting("aws_secret_access_key", "b")
                .probe(false);
            let error = error("s3://bucket/x", &options);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains("aws_endpoint"), "{error}");
            open_with("s3://bucket/x", &options.setting("endpoint", "http://localhost")).unwrap();
            return;
        }
        // An environment of its own needs a process of its own.
        let mut test = std::process::Command::new(env::current_exe().unwrap());
        let name = "url::tests::refuses_the_same_from_the_environment_unless_a_setting_replaces_it";
        test.args(["--exact", name]).env(NAME, "localhost:9000").env_remove("AWS_ENDPOINT");
        let output = test.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
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
        let error = error("s3://bucket", &options);
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(error.chain().to_string().contains("refused"), "{error:?}");
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
