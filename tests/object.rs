//! The storage contract on real object stores.

use std::{env, net::TcpListener, process::Command, thread, time::Instant};

use larder_storage::{
    ErrorKind, Key, PutIf, Storage, StorageExt, object::Options, open_with, testing,
};

use crate::{
    servers::{Careless, Fault, Flaw, Server, on_each_server, options, server, servers},
    support::text,
};

mod answers;

#[test]
fn the_conformance_suite_is_green_on_real_servers() {
    on_each_server("conformance", |server| {
        server.open("probed");
        let mut fresh = 0..;
        testing::remote_conformance(|| {
            server.reopen(&format!("a b%41é/{}", fresh.next().unwrap_or(0)))
        });
    });
}

#[test]
fn eight_processes_count_to_exactly_200_on_every_storage() {
    let dir = tempfile::tempdir().unwrap();
    let local = format!("file://{}", dir.path().display());
    count(&local, vec![]);
    on_each_server("increments by eight processes", |server| {
        count(&server.url("counted"), server.settings());
    });
}

/// Lets eight processes increment one counter 25 times each, and checks the sum.
fn count(url: &str, settings: Vec<(&'static str, String)>) {
    let storage = open_with(url, &options(settings.clone())).unwrap();
    let counter = Key::new("counters/shared").unwrap();
    storage.put(&counter, "0".into(), PutIf::Absent).unwrap();
    let work = |_| {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        worker.args(["increment-at", url, counter.as_str(), "25"]);
        worker.envs(settings.iter().map(|(name, value)| (name.to_uppercase(), value)));
        worker.spawn().unwrap()
    };
    let workers: Vec<_> = (0..8).map(work).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success(), "{url}");
    }
    assert_eq!(storage.get_text(&counter).unwrap().as_deref(), Some("200"), "{url}");
}

/// How many races are run at once.
const LANES: usize = 8;

#[test]
fn of_400_races_for_a_create_each_has_one_winner() {
    on_each_server("races for a create", |server| {
        let storage = server.open("races");
        // Some at a time: where two meet at one object, SeaweedFS lets one of them sleep.
        let storage = &*storage;
        let lane =
            move |lane| (0..400).skip(lane).step_by(LANES).map(|round| race(storage, round)).sum();
        let won: Vec<usize> = thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|nth| scope.spawn(move || lane(nth))).collect();
            lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
        });
        assert_eq!(won.iter().sum::<usize>(), 400, "{}", server.name());
    });
}

/// How many of two writers made the object.
fn race(storage: &dyn Storage, round: u32) -> usize {
    let place = Key::new(format!("race/{round}")).unwrap();
    thread::scope(|scope| {
        let create = |id: u8| match storage.put(&place, vec![id].into(), PutIf::Absent) {
            Ok(()) => 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                0
            }
        };
        let racers: Vec<_> = (0..2).map(|id| scope.spawn(move || create(id))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    })
}

#[test]
fn a_listing_goes_on_past_its_first_page() {
    on_each_server("a listing of several pages", |server| {
        let objects = match server.name() {
            // The next test fills three pages there.
            "moto" => return,
            "azurite" => 5001,
            _ => 1002,
        };
        let storage = server.reopen("pages");
        fill(&*storage, objects);
        assert_eq!(listed(&*storage), objects, "{}", server.name());
    });
}

#[test]
fn a_listing_asks_for_no_page_before_it_is_needed() {
    let Some(server) = server("moto", "pages of a listing") else { return };
    let (proxy, storage) = server.behind_proxy("lazy");
    fill(&*server.reopen("lazy"), 2501);
    let pages = || proxy.take_count(&["GET", "list-type=2"]);
    for (taken, asked) in [(3, 1), (1000, 1), (1001, 2)] {
        let entries = storage.list(None).unwrap().take(taken).map(Result::unwrap);
        assert_eq!(entries.count(), taken);
        assert_eq!(pages(), asked, "requests for {taken} entries");
    }
    assert_eq!(listed(&*storage), 2501);
    assert_eq!(pages(), 3, "requests for all keys");
    // A page that never comes ends the listing with an error.
    proxy.spoil(&["continuation-token"], 1, Fault::Refused(400));
    let entries: Vec<_> = storage.list(None).unwrap().collect();
    assert_eq!(entries.len(), 1001);
    let told = entries[1000].as_ref().map_err(|error| error.kind());
    assert_eq!(told.unwrap_err(), ErrorKind::Backend);
}

/// Puts this many objects, some beside and some below each other.
fn fill(storage: &dyn Storage, number: usize) {
    const WRITERS: usize = 4;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in (writer..number).step_by(WRITERS) {
                    let key = Key::new(format!("{}/{number}", number % 3)).unwrap();
                    storage.put(&key, "x".into(), PutIf::Always).unwrap();
                }
            });
        }
    });
}

/// How many different keys are listed.
fn listed(storage: &dyn Storage) -> usize {
    let mut keys: Vec<_> = storage.keys(None).unwrap().map(Result::unwrap).collect();
    keys.sort();
    keys.dedup();
    keys.len()
}

#[test]
fn a_missing_bucket_is_told() {
    on_each_server("a missing bucket", |server| {
        let outcome = open_with(&server.url_in("no-such-bucket", "x"), &server.options());
        let error = outcome.expect_err(server.name());
        // SeaweedFS tells no writer which buckets there are.
        let told = if server.name() == "SeaweedFS" { ErrorKind::Io } else { ErrorKind::NotFound };
        assert_eq!(error.kind(), told, "{}: {error:?}", server.name());
        let url = server.url_in("no-such-bucket", "x");
        let storage = open_with(&url, &server.options().probe(false)).unwrap();
        let outcome = storage.get(&Key::new("a").unwrap());
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound, "{}", server.name());
    });
}

#[test]
fn a_server_that_breaks_a_condition_is_refused() {
    use ErrorKind::{Backend, Conflict, Unsupported};
    for (flaw, kind, told) in [
        (Flaw::Creates, Unsupported, "lets a create replace an object"),
        (Flaw::Updates, Unsupported, "lets an update replace a version that it does not name"),
        (Flaw::Revivals, Unsupported, "lets an update bring back an object that was removed"),
        (Flaw::NoUpdate, Conflict, "cannot open the store"),
        (Flaw::RacedCreates, Unsupported, "lets several writers win the same race"),
        (Flaw::RacedUpdates, Unsupported, "lets several writers win the same race"),
        (Flaw::OneVersion, Unsupported, "names no versions (ETags)"),
        (Flaw::NoVersion, Backend, "cannot open the store"),
    ] {
        let careless = Careless::start(flaw);
        let options = s3_options(careless.address());
        let error = open_with("s3://bucket/x", &options).expect_err(told);
        assert_eq!(error.kind(), kind, "{flaw:?}: {error:?}");
        assert!(error.message().contains(told), "{flaw:?}: {error}");
        assert!(open_with("s3://bucket/x", &options.probe(false)).is_ok());
    }
}

fn s3_options(endpoint: String) -> Options {
    Options::default()
        .setting("aws_endpoint", endpoint)
        .setting("aws_access_key_id", "a")
        .setting("aws_secret_access_key", "b")
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let options = s3_options(endpoint).setting("read_timeout", "200ms");
    let started = Instant::now();
    let error = open_with("s3://bucket/x", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{error:?}");
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
}

#[test]
fn missing_credentials_are_told_with_the_settings_that_give_them() {
    // Where none are set, the client asks the cloud's machine, which is not there either.
    let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
    worker.args(["increment-at", "s3://bucket/x", "counter", "1"]);
    let set = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"));
    set.for_each(|(name, _)| _ = worker.env_remove(name));
    worker.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1");
    let output = worker.output().unwrap();
    let told = text(&output.stderr);
    assert!(!output.status.success());
    assert!(told.contains("Invalid: ") && told.contains("AWS_ACCESS_KEY_ID"), "{told}");
}

#[test]
fn wrong_credentials_are_told() {
    on_each_server("refused credentials", |server| {
        let (proxy, storage) = server.behind_proxy("refused");
        let key = Key::new("a").unwrap();
        for status in [401, 403] {
            proxy.spoil(&[], 2, Fault::Refused(status));
            let outcomes = [
                storage.put(&key, "x".into(), PutIf::Absent).unwrap_err(),
                storage.get(&key).unwrap_err(),
            ];
            for error in outcomes {
                assert_eq!(error.kind(), ErrorKind::Io, "{}: {error:?}", server.name());
                assert!(error.message().contains("credentials: check them"), "{error}");
            }
        }
        refuses_a_wrong_key(server);
    });
}

/// The others take every key.
fn refuses_a_wrong_key(server: &Server) {
    if server.name() == "azurite" {
        let options = server.options().setting("azure_storage_account_key", "d3Jvbmc=");
        let error = open_with(&server.url("refused"), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    }
}

#[test]
fn names_that_no_server_holds_are_refused_before_they_are_sent() {
    on_each_server("names that are too long", |server| {
        let (proxy, storage) = server.behind_proxy("a-prefix");
        let long = Key::new(vec!["x".repeat(255); 4].join("/")).unwrap();
        let refused = [
            storage.put(&long, "x".into(), PutIf::Always).unwrap_err(),
            storage.get(&long).unwrap_err(),
            storage.create(&long).unwrap_err(),
            storage.list(Some(&long)).err().unwrap(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert!(error.message().contains("1024 bytes"), "{error}");
        }
        assert_eq!(proxy.take_count(&[]), 0, "{}", server.name());
        let longest = Key::new(&long.as_str()[.."a-prefix/".len().abs_diff(1023)]).unwrap();
        storage.put(&longest, "x".into(), PutIf::Always).unwrap();
        assert_eq!(storage.get_text(&longest).unwrap().as_deref(), Some("x"), "{}", server.name());
    });
}

#[test]
fn calls_from_asynchronous_code_block_but_do_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for server in servers("calls from asynchronous code") {
        runtime.block_on(async {
            let storage = server.reopen("from-async");
            let key = Key::new("a").unwrap();
            storage.put(&key, "1".into(), PutIf::Always).unwrap();
            assert_eq!(storage.get_text(&key).unwrap().as_deref(), Some("1"));
            assert_eq!(storage.list(None).unwrap().count(), 1);
        });
    }
}
