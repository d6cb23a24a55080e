//! The storage contract on real object stores.

use std::{process::Command, thread};

use larder_storage::{
    ErrorKind, Key, PutIf, Storage, StorageExt, object::Options, open_with, testing,
};

use crate::servers::{Careless, servers};

#[test]
fn the_conformance_suite_is_green_on_real_servers() {
    for server in servers("conformance") {
        server.open("probed");
        let mut fresh = 0..;
        testing::remote_conformance(|| {
            server.reopen(&format!("a b%41é/{}", fresh.next().unwrap_or(0)))
        });
    }
}

#[test]
fn eight_processes_count_to_exactly_200_on_every_storage() {
    let dir = tempfile::tempdir().unwrap();
    let local = format!("file://{}", dir.path().display());
    count(&local, &[]);
    for server in servers("increments by eight processes") {
        count(&server.url("counted"), &server.settings());
    }
}

/// Lets eight processes increment one counter 25 times each, and checks the sum.
fn count(url: &str, settings: &[(&str, String)]) {
    let options = settings
        .iter()
        .fold(Options::default(), |options, (name, value)| options.setting(*name, value.as_str()));
    let storage = open_with(url, &options).unwrap();
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

#[test]
fn of_400_races_for_a_create_each_has_one_winner() {
    for server in servers("races for a create") {
        let storage = server.open("races");
        let won: usize = (0..400).map(|round| race(&*storage, round)).sum();
        assert_eq!(won, 400, "{}", server.name());
    }
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
    for server in servers("a listing of several pages") {
        let storage = server.reopen("pages");
        thread::scope(|scope| {
            for writer in 0..2 {
                let storage = &storage;
                scope.spawn(move || {
                    for number in 0..501 {
                        let key = Key::new(format!("{writer}/{number}")).unwrap();
                        storage.put(&key, "x".into(), PutIf::Always).unwrap();
                    }
                });
            }
        });
        let listed = storage.list(None).unwrap().map(Result::unwrap);
        let mut keys: Vec<_> = listed.map(|entry| entry.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 1002, "{}", server.name());
    }
}

#[test]
fn a_missing_bucket_is_told() {
    for server in servers("a missing bucket") {
        let outcome = open_with("s3://no-such-bucket/x", &server.options());
        let error = outcome.expect_err(server.name());
        // SeaweedFS tells no writer which buckets there are.
        let told = if server.name() == "SeaweedFS" { ErrorKind::Io } else { ErrorKind::NotFound };
        assert_eq!(error.kind(), told, "{}: {error:?}", server.name());
        let storage = open_with("s3://no-such-bucket/x", &server.options().probe(false)).unwrap();
        let outcome = storage.get(&Key::new("a").unwrap());
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound, "{}", server.name());
    }
}

#[test]
fn a_server_that_ignores_conditions_is_refused() {
    let careless = Careless::start();
    let options = Options::default()
        .setting("aws_endpoint", careless.address())
        .setting("aws_access_key_id", "a")
        .setting("aws_secret_access_key", "b");
    let error = open_with("s3://bucket/x", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("lets a create replace an object"), "{error}");
    assert!(open_with("s3://bucket/x", &options.probe(false)).is_ok());
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
