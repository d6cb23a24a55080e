//! Answers that are lost, late, cut short or wrong on their way from a real server.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use larder_storage::{Bytes, ErrorKind, Key, PutIf, Result, Storage, StorageExt, Version};

use crate::servers::{Fault, Proxy, Server, on_each_server};

/// More than one part of an upload.
const PARTS: usize = 9 << 20;

/// One key on a server: by way of the proxy, and as another writer sees it.
struct Scene {
    server: &'static Server,
    proxy: Proxy,
    storage: Arc<dyn Storage>,
    other: Arc<dyn Storage>,
    key: Key,
}

impl Scene {
    fn new(server: &'static Server, name: &str) -> Self {
        let (proxy, storage) = server.behind_proxy(name);
        let (other, key) = (server.reopen(name), Key::new("object").unwrap());
        Self { server, proxy, storage, other, key }
    }

    fn put(&self, text: &'static str, when: PutIf) -> Result<()> {
        self.storage.put(&self.key, text.into(), when)
    }

    /// What another writer does.
    fn meanwhile(&self, text: impl Into<Bytes>) -> Arc<dyn Fn() + Send + Sync> {
        let (other, key, text) = (self.other.clone(), self.key.clone(), text.into());
        Arc::new(move || other.put(&key, text.clone(), PutIf::Always).unwrap())
    }

    fn there(&self) -> Option<String> {
        self.other.get_text(&self.key).unwrap()
    }

    fn version(&self) -> Version {
        self.other.get(&self.key).unwrap().unwrap().version().clone()
    }

    /// The first line of the request that makes parts into an object.
    fn completion(&self) -> &'static [&'static str] {
        if self.server.speaks_s3() { &["POST", "uploadId="] } else { &["PUT", "comp=blocklist"] }
    }

    fn upload(&self, bytes: &[u8]) -> Result<()> {
        let mut upload = self.storage.create(&self.key)?;
        upload.write_all(bytes).unwrap();
        upload.commit(PutIf::Always)
    }
}

/// The ways in which the answer to a success can be lost.
fn losses() -> [Fault; 4] {
    [Fault::unanswered(), Fault::Stalled, Fault::Denied(500), Fault::Denied(503)]
}

#[test]
fn a_create_whose_answer_is_lost_succeeds_exactly_once() {
    on_each_server("lost answers to creates", |server| {
        for (round, loss) in losses().into_iter().enumerate() {
            let scene = Scene::new(server, &format!("lost-create-{round}"));
            scene.proxy.spoil(&["PUT"], 1, loss);
            scene.put("ours", PutIf::Absent).unwrap();
            assert!(scene.proxy.is_done());
            assert_eq!(scene.there().as_deref(), Some("ours"), "{}", server.name());
            let again = scene.put("ours", PutIf::Absent);
            assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict, "{}", server.name());
        }
    });
}

#[test]
fn an_update_whose_answer_is_lost_succeeds_exactly_once() {
    on_each_server("lost answers to updates", |server| {
        let scene = Scene::new(server, "lost-update");
        scene.put("0", PutIf::Absent).unwrap();
        for (round, loss) in losses().into_iter().enumerate() {
            let seen = scene.version();
            scene.proxy.spoil(&["PUT"], 1, loss);
            larder_storage::testing::increment(&*scene.storage, &scene.key);
            assert!(scene.proxy.is_done());
            assert_eq!(scene.there(), Some((round + 1).to_string()), "{}", server.name());
            let again = scene.put("9", PutIf::Version(seen));
            assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict, "{}", server.name());
        }
    });
}

#[test]
fn anothers_object_is_never_taken_for_ones_own() {
    on_each_server("other writers while answers are lost", |server| {
        // Even where both write the same bytes, so that the object's ETag does not tell.
        for theirs in ["theirs", "ours"] {
            let scene = Scene::new(server, &format!("not-ours-{theirs}"));
            for when in [None, Some("old")] {
                for loss in [Fault::Lost, Fault::Unanswered] {
                    scene.other.remove(&scene.key).unwrap();
                    if let Some(old) = when {
                        scene.other.put(&scene.key, old.into(), PutIf::Absent).unwrap();
                    }
                    let when = when.map_or(PutIf::Absent, |_| PutIf::Version(scene.version()));
                    scene.proxy.spoil(&["PUT"], 1, loss(scene.meanwhile(theirs)));
                    let error = scene.put("ours", when).unwrap_err();
                    let told = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Backend);
                    assert!(told && scene.proxy.is_done(), "{}: {error:?}", server.name());
                    assert_eq!(scene.there().as_deref(), Some(theirs), "{}", server.name());
                }
            }
        }
    });
}

#[test]
fn a_put_refused_for_another_that_fails_is_tried_again_for_a_while() {
    on_each_server("refusals without a reason", |server| {
        let scene = Scene::new(server, "refused-wrongly");
        scene.proxy.spoil(&["PUT"], 2, Fault::Refused(412));
        scene.put("created", PutIf::Absent).unwrap();
        scene.proxy.spoil(&["PUT"], 2, Fault::Refused(412));
        scene.put("updated", PutIf::Version(scene.version())).unwrap();
        assert!(scene.proxy.is_done());
        assert_eq!(scene.there().as_deref(), Some("updated"), "{}", server.name());
        scene.proxy.take_count(&[]);
        // One more than there are tries.
        scene.proxy.spoil(&["PUT"], 7, Fault::Refused(412));
        let error = scene.put("never", PutIf::Version(scene.version())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}: {error:?}", server.name());
        assert_eq!(scene.proxy.take_count(&["PUT"]), 6, "{}", server.name());
        assert_eq!(scene.there().as_deref(), Some("updated"), "{}", server.name());
    });
}

#[test]
fn an_unconditional_put_is_sent_until_it_is_answered() {
    on_each_server("lost answers to puts", |server| {
        let scene = Scene::new(server, "lost-put");
        for loss in losses() {
            scene.proxy.spoil(&["PUT"], 1, loss);
            scene.put("ours", PutIf::Always).unwrap();
            assert_eq!(scene.proxy.take_count(&["PUT"]), 2, "{}", server.name());
            assert_eq!(scene.there().as_deref(), Some("ours"), "{}", server.name());
        }
        scene.proxy.spoil(&["DELETE"], 1, Fault::unanswered());
        assert!(scene.storage.remove(&scene.key).unwrap());
        assert_eq!(scene.there(), None, "{}", server.name());
    });
}

#[test]
fn an_upload_whose_answers_are_lost_is_settled() {
    let bytes: Vec<u8> = (0..PARTS).map(|at| (at % 251) as u8).collect();
    on_each_server("lost answers to uploads", |server| {
        let scene = Scene::new(server, "lost-upload");
        for loss in [Fault::unanswered(), Fault::Denied(500)] {
            scene.other.remove(&scene.key).unwrap();
            scene.proxy.spoil(&["PUT"], 1, Fault::unanswered());
            scene.proxy.spoil(scene.completion(), 1, loss);
            scene.upload(&bytes).unwrap();
            assert!(scene.proxy.is_done());
            let there = scene.other.get(&scene.key).unwrap().unwrap();
            assert!(*there.bytes() == bytes, "{}", server.name());
        }
        let done = scene.completion();
        scene.put("old", PutIf::Always).unwrap();
        scene.proxy.spoil(done, 1, Fault::Refused(400));
        let error = scene.upload(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{}: {error:?}", server.name());
        assert_eq!(scene.there().as_deref(), Some("old"), "{}", server.name());
    });
}

#[test]
fn an_upload_is_not_aborted_while_a_part_is_on_its_way() {
    on_each_server("uploads that are dropped", |server| {
        // Azure forgets parts by itself, and is asked for nothing.
        if !server.speaks_s3() {
            return;
        }
        let scene = Scene::new(server, "dropped");
        let (proxy, early) = (scene.proxy.clone(), Arc::new(AtomicUsize::new(0)));
        let seen = early.clone();
        let meanwhile = move || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(200) {
                seen.fetch_add(proxy.take_count(&["DELETE"]), Ordering::SeqCst);
                thread::yield_now();
            }
        };
        scene.proxy.spoil(&["PUT", "partNumber=1"], 1, Fault::Late(Arc::new(meanwhile)));
        let mut upload = scene.storage.create(&scene.key).unwrap();
        upload.write_all(&[1; PARTS]).unwrap();
        drop(upload);
        assert!(scene.proxy.is_done());
        assert_eq!(early.load(Ordering::SeqCst), 0, "{}: before its part arrived", server.name());
        assert_eq!(scene.proxy.take_count(&["DELETE", "uploadId="]), 1, "{}", server.name());
    });
}

#[test]
fn an_object_that_is_cut_half_way_comes_whole_or_not_at_all() {
    let old: Vec<u8> = (0..600_000).map(|at| (at % 251) as u8).collect();
    let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
    on_each_server("answers cut half way", |server| {
        let scene = Scene::new(server, "cut");
        scene.storage.put(&scene.key, old.clone().into(), PutIf::Always).unwrap();
        let reader = scene.storage.open(&scene.key).unwrap().unwrap();
        let mut part = vec![0; 500_000];
        for times in [1, 2] {
            scene.proxy.spoil(&["GET"], times, Fault::cut());
            let whole = scene.storage.get(&scene.key).unwrap().unwrap();
            assert!(*whole.bytes() == old, "{}", server.name());
            scene.proxy.spoil(&["GET"], times, Fault::cut());
            reader.read_at(7, &mut part).unwrap();
            assert!(part == old[7..500_007], "{}", server.name());
        }
        // The second half would be another version's.
        scene.proxy.spoil(&["GET"], 1, Fault::Cut(scene.meanwhile(new.clone())));
        if let Ok(found) = scene.storage.get(&scene.key) {
            assert!(*found.unwrap().bytes() == new, "{}: mixed bytes", server.name());
        }
        scene.other.put(&scene.key, old.clone().into(), PutIf::Always).unwrap();
        let reader = scene.storage.open(&scene.key).unwrap().unwrap();
        scene.proxy.spoil(&["GET"], 1, Fault::Cut(scene.meanwhile(new.clone())));
        let error = reader.read_at(7, &mut part).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}: {error:?}", server.name());
        assert!(scene.proxy.is_done());
    });
}

#[test]
fn a_reader_whose_object_is_replaced_between_two_reads_is_told() {
    on_each_server("objects replaced under readers", |server| {
        let scene = Scene::new(server, "replaced");
        scene.put("old bytes", PutIf::Always).unwrap();
        let reader = scene.storage.open(&scene.key).unwrap().unwrap();
        let (mut first, mut second) = ([0; 3], [0; 6]);
        reader.read_at(0, &mut first).unwrap();
        scene.meanwhile("new bytes")();
        let error = reader.read_at(3, &mut second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}: {error:?}", server.name());
        assert!(error.message().contains("open it again"), "{error}");
        assert_eq!((&first, &second), (b"old", &[0; 6]), "{}", server.name());
    });
}

#[test]
fn a_server_that_is_busy_for_a_while_is_asked_again() {
    on_each_server("busy servers", |server| {
        let scene = Scene::new(server, "busy");
        for (words, status) in [(&["PUT"], 503), (&["GET"], 500), (&["HEAD"], 429)] {
            scene.proxy.spoil(words, 3, Fault::Refused(status));
        }
        scene.put("text", PutIf::Absent).unwrap();
        assert_eq!(scene.storage.get_text(&scene.key).unwrap().as_deref(), Some("text"));
        assert_eq!(scene.storage.head(&scene.key).unwrap(), Some(4));
        assert!(scene.proxy.is_done(), "{}", server.name());
    });
}
