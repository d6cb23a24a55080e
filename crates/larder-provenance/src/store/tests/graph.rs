//! What invalidation, collection and merging do to results that are made from each other.

use std::collections::HashMap;

use super::*;
use crate::{Explanation, GcOptions, State};

fn step(operation: &str, inputs: &[Id]) -> Provenance {
    inputs.iter().fold(made(operation), |made, id| made.input(*id))
}

/// `a` and `b` from outside, `c` from both, `d` from `c`, and `e` from `b`.
struct Family {
    ids: HashMap<&'static str, Id>,
}

impl Family {
    fn made(&self, name: &str) -> Provenance {
        let inputs: &[&str] = match name {
            "c" => &["a", "b"],
            "d" => &["c"],
            "e" => &["b"],
            _ => &[],
        };
        step(name, &inputs.iter().map(|name| self.ids[name]).collect::<Vec<_>>())
    }

    fn of(store: &Bytestore) -> Self {
        let mut family = Self { ids: HashMap::new() };
        for (n, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            let id = store.put(payload(n as u32), Some(family.made(name))).unwrap();
            family.ids.insert(name, id);
        }
        family
    }

    fn states(&self, store: &Bytestore) -> [State; 5] {
        ["a", "b", "c", "d", "e"].map(|name| store.record(self.ids[name]).unwrap().unwrap().state)
    }

    /// Whether the result has to be computed, to be `n`.
    fn computes(&self, store: &Bytestore, name: &str, n: u32) -> bool {
        let outcome = store.get_or_compute(&self.made(name), || Ok(payload(n))).unwrap();
        assert_eq!((outcome.id, &outcome.payload), (self.ids[name], &payload(n)));
        outcome.computed
    }
}

use State::{Collected, Doubtful, Invalid, Live};

#[test]
fn what_is_invalid_and_comes_out_the_same_keeps_what_was_made_from_it() {
    for mut bench in Bench::both() {
        let family = Family::of(&bench.store);
        let would = bench.store.would_invalidate(family.ids["a"]).unwrap();
        assert_eq!(family.states(&bench.store), [Live; 5]);
        assert_eq!(bench.store.invalidate(family.ids["a"]).unwrap(), would);
        assert_eq!(would, ["a", "c", "d"].map(|name| family.ids[name]));
        bench.reopen();
        assert_eq!(family.states(&bench.store), [Invalid, Live, Doubtful, Doubtful, Live]);
        for name in ["a", "c", "d"] {
            assert_eq!(bench.store.get(family.ids[name]).unwrap(), None, "{name}");
            assert_eq!(bench.store.find(&family.made(name)).unwrap(), None, "{name}");
        }
        assert_eq!(bench.payloads(), 4);
        assert!(family.computes(&bench.store, "a", 0));
        // The last one vouches for those between.
        assert_eq!(bench.store.find(&family.made("d")).unwrap(), Some(family.ids["d"]));
        assert_eq!(family.states(&bench.store), [Live; 5]);
        bench.reopen();
        assert_eq!(bench.store.reindex().unwrap().read, if bench.dir.is_some() { 5 } else { 0 });
        assert_eq!(family.states(&bench.store), [Live; 5]);
        assert!(bench.store.verify().unwrap().is_clean());
    }
}

#[test]
fn what_is_invalid_and_comes_out_otherwise_takes_along_what_was_made_from_it() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        bench.store.invalidate(family.ids["b"]).unwrap();
        assert!(family.computes(&bench.store, "b", 11));
        assert_eq!(family.states(&bench.store), [Live, Live, Doubtful, Doubtful, Doubtful]);
        assert_eq!(bench.store.find(&family.made("d")).unwrap(), None);
        // It comes out as before, so what comes after it stays.
        assert!(family.computes(&bench.store, "c", 2));
        assert!(!family.computes(&bench.store, "d", 3));
        assert!(family.computes(&bench.store, "e", 14));
        assert_eq!(family.states(&bench.store), [Live; 5]);
        assert!(bench.store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_lost_payload_that_comes_out_otherwise_takes_along_what_was_made_from_it() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        bench.damage(&payload(2), Damage::Flip);
        assert!(family.computes(&bench.store, "c", 12));
        assert_eq!(family.states(&bench.store), [Live, Live, Live, Doubtful, Live]);
        assert!(family.computes(&bench.store, "d", 13));
    }
}

#[test]
fn what_was_computed_while_an_input_changed_is_doubtful() {
    for bench in Bench::both() {
        let store = &bench.store;
        let a = store.put(payload(1), Some(made("a"))).unwrap();
        let outcome = store.get_or_compute(&step("b", &[a]), || {
            store.invalidate(a)?;
            store.put(payload(2), Some(made("a")))?;
            Ok(payload(3))
        });
        let b = outcome.unwrap().id;
        assert_eq!(store.record(b).unwrap().unwrap().state, Doubtful);
        assert_eq!(store.find(&step("b", &[a])).unwrap(), None);
        assert!(store.get_or_compute(&step("b", &[a]), || Ok(payload(4))).unwrap().computed);
        assert_eq!(store.find(&step("b", &[a])).unwrap(), Some(b));
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn records_in_a_circle_do_not_vouch_for_each_other() {
    let bench = Bench::in_memory();
    let a = bench.store.put(payload(1), Some(made("a"))).unwrap();
    let own = Digest::of(&payload(1));
    // As no store makes it.
    bench
        .store
        .backend
        .edit(a, |row| {
            row.provenance = Some(step("a", &[a]).to_json());
            (row.state, row.content.seen) = (Doubtful, vec![Some(own)]);
        })
        .unwrap();
    assert_eq!(bench.store.get(a).unwrap(), None);
}

#[test]
fn an_input_that_is_missing_or_invalid_is_refused() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        bench.store.invalidate(family.ids["a"]).unwrap();
        for (input, what) in [(Id::next(), "no record"), (family.ids["a"], "invalidated")] {
            let made = step("x", &[input]);
            let error = bench.store.put(payload(9), Some(made.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(&input.to_string()), "{error}");
            assert!(error.to_string().contains(what), "{error}");
            let computed =
                bench.store.get_or_compute(&made, || unreachable!("an input is missing"));
            assert_eq!(computed.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(bench.store.invalidate(Id::next()).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn lineages_are_walked_both_ways() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        let (store, ids) = (&bench.store, &family.ids);
        let names = |ids: Vec<Id>| {
            let name = |id| family.ids.iter().find(|(_, it)| **it == id).unwrap().0;
            ids.into_iter().map(name).map(|name| name.to_string()).collect::<String>()
        };
        let above = store.ancestors(ids["d"]).map(|it| it.unwrap());
        let above: Vec<_> = above.map(|it| (names(vec![it.id]), it.distance)).collect();
        assert_eq!(above, [("c".into(), 1), ("a".into(), 2), ("b".into(), 2)]);
        let below = store.descendants(ids["b"]).map(|it| it.unwrap().id);
        assert_eq!(names(below.collect()), "ced");
        assert_eq!(names(store.path(ids["b"], ids["d"]).unwrap().unwrap()), "bcd");
        assert_eq!(names(store.path(ids["d"], ids["d"]).unwrap().unwrap()), "d");
        assert_eq!(store.path(ids["d"], ids["b"]).unwrap(), None);
        let lineage = store.lineage(ids["c"]).unwrap();
        assert_eq!((lineage.records.len(), lineage.edges.len()), (4, 3));
        let lineage = store.lineage(ids["a"]).unwrap();
        let drawn = lineage.records.iter().map(|it| it.record.id).collect();
        assert_eq!((names(drawn), lineage.edges.len()), ("acdb".into(), 3), "b went into c, too");
        // A deleted one is still named by what was made from it.
        assert!(store.delete(ids["c"]).unwrap());
        assert_eq!(names(store.ancestors(ids["d"]).map(|it| it.unwrap().id).collect()), "c");
    }
}

#[test]
fn what_is_collected_keeps_its_lineage_and_comes_back() {
    for mut bench in Bench::both() {
        let family = Family::of(&bench.store);
        let store = &bench.store;
        let bare = store.put(payload(7), None).unwrap();
        store.pin(family.ids["a"], true).unwrap();
        let all = GcOptions::default().max_bytes(0);
        let dry = store.gc(&all.clone().dry_run(true)).unwrap();
        assert_eq!(family.states(store), [Live; 5]);
        let report = store.gc(&all).unwrap();
        assert_eq!(report, dry);
        assert_eq!(report.collected, ["b", "c", "d", "e"].map(|name| family.ids[name]));
        assert_eq!((report.bytes, bench.payloads()), (36, 2));
        bench.reopen();
        let store = &bench.store;
        assert_eq!(family.states(store), [Live, Collected, Collected, Collected, Collected]);
        assert_eq!(store.get(bare).unwrap().unwrap().payload, payload(7));
        assert_eq!((store.len().unwrap(), store.status().unwrap().without_payload), (2, 4));
        assert_eq!(store.ancestors(family.ids["d"]).count(), 3);
        assert_eq!(
            store.explain_miss(&family.made("d")).unwrap(),
            Explanation::Collected(family.ids["d"])
        );
        // One that is in between need not be there.
        assert!(family.computes(store, "d", 3));
        assert!(family.computes(store, "c", 2));
        assert_eq!(family.states(store), [Live, Collected, Live, Live, Collected]);
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn the_oldest_go_until_there_is_room() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        let report = bench.store.gc(&GcOptions::default().max_bytes(30)).unwrap();
        assert_eq!(report.collected, ["a", "b"].map(|name| family.ids[name]));
        let none = GcOptions::default().max_bytes(30).max_age(Duration::from_secs(3600));
        assert!(bench.store.gc(&none).unwrap().collected.is_empty());
        let report = bench.store.gc(&GcOptions::default().max_age(Duration::ZERO)).unwrap();
        assert_eq!(report.collected.len(), 3);
        // A doubtful one may have been wrong.
        let family = Family::of(&bench.store);
        bench.store.invalidate(family.ids["a"]).unwrap();
        bench.store.gc(&GcOptions::default().max_age(Duration::ZERO)).unwrap();
        assert_eq!(family.states(&bench.store), [Invalid, Collected, Invalid, Invalid, Collected]);
    }
}

#[test]
fn what_is_doubtful_goes_first() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        bench.store.invalidate(family.ids["c"]).unwrap();
        let report = bench.store.gc(&GcOptions::default().max_bytes(27)).unwrap();
        assert_eq!(report.collected, [family.ids["d"]]);
    }
}

#[test]
fn old_payloads_without_a_record_are_swept() {
    let bench = Bench::durable();
    bench.store.put(payload(1), None).unwrap();
    let stray = |content: &[u8], age| {
        let key = Blobs::key(&Digest::of(content)).unwrap();
        bench.storage.put(&key, content.to_vec().into(), PutIf::Always).unwrap();
        let path = bench.dir.as_ref().unwrap().path().join(key.as_str());
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    stray(b"young", 1800);
    stray(b"old", 7200);
    stray(&payload(1), 7200);
    let (gc, dry) = (GcOptions::default(), GcOptions::default().dry_run(true));
    let report = bench.store.gc(&dry).unwrap();
    assert_eq!((report.swept, report.bytes, bench.payloads()), (1, 3, 3));
    // Nobody knows what a record that cannot be read has.
    let id = bench.store.put(payload(2), Some(made("op"))).unwrap();
    let place = bench.store.backend.index.read(|view| view.place(id)).unwrap().unwrap();
    bench.damage_object(&place, Damage::Flip);
    assert_eq!(bench.store.gc(&gc).unwrap().swept, 0);
    assert!(bench.store.delete(id).unwrap());
    assert_eq!(bench.store.gc(&gc).unwrap(), report);
    assert_eq!(bench.payloads(), 2);
    assert_eq!(bench.store.gc(&gc).unwrap().swept, 0);
}

#[test]
fn a_miss_is_explained_by_what_differs() {
    for bench in Bench::both() {
        let family = Family::of(&bench.store);
        let explain = |made: &Provenance| bench.store.explain_miss(made).unwrap();
        assert_eq!(explain(&family.made("c")), Explanation::Hit(family.ids["c"]));
        let Explanation::Differs { nearest, differences } =
            explain(&family.made("c").param("window", 500.0))
        else {
            panic!()
        };
        assert_eq!((nearest, differences.len()), (family.ids["c"], 1));
        let text = explain(&step("other", &[family.ids["c"]])).to_string();
        assert!(
            text.contains(&family.ids["d"].to_string()) && text.contains("operation"),
            "{text}"
        );
        assert_eq!(explain(&made("stranger")), Explanation::Unknown);
        bench.damage(&payload(4), Damage::Cut);
        assert_eq!(explain(&family.made("e")), Explanation::Lost(family.ids["e"]));
        bench.store.invalidate(family.ids["c"]).unwrap();
        assert_eq!(explain(&family.made("c")), Explanation::Invalid(family.ids["c"]));
        let doubtful = Explanation::Doubtful { id: family.ids["d"], inputs: vec![family.ids["c"]] };
        assert_eq!(explain(&family.made("d")), doubtful);
    }
}

#[test]
fn tags_and_notes_are_kept_and_found() {
    for mut bench in Bench::both() {
        let family = Family::of(&bench.store);
        for name in ["a", "d"] {
            bench.store.tag(family.ids[name], "release 1").unwrap();
        }
        bench.store.note(family.ids["a"], Some("from the reef")).unwrap();
        bench.store.untag(family.ids["d"], "release 1").unwrap();
        bench.reopen();
        bench.store.reindex().unwrap();
        assert_eq!(bench.store.tagged("release 1").unwrap(), [family.ids["a"]]);
        let record = bench.store.record(family.ids["a"]).unwrap().unwrap();
        assert_eq!(record.note.as_deref(), Some("from the reef"));
        bench.store.note(family.ids["a"], None).unwrap();
        assert_eq!(bench.store.record(family.ids["a"]).unwrap().unwrap().note, None);
        assert_eq!(bench.store.tag(Id::next(), "x").unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn stores_are_merged_under_the_ids_that_are_there() {
    for (bench, other) in Bench::both().into_iter().zip(Bench::both()) {
        let ours = Family::of(&bench.store);
        let theirs = Family::of(&other.store);
        let more = other.store.put(payload(20), Some(step("f", &[theirs.ids["d"]]))).unwrap();
        let bare = other.store.put(payload(21), None).unwrap();
        other.store.tag(theirs.ids["a"], "t").unwrap();
        let merged = bench.store.merge(&other.store).unwrap();
        assert_eq!((merged.added, merged.found, merged.problems.len()), (2, 5, 0));
        assert!(merged.conflicts.is_empty());
        assert_eq!(bench.store.find(&step("f", &[ours.ids["d"]])).unwrap(), Some(more));
        assert_eq!(bench.store.get(bare).unwrap().unwrap().payload, payload(21));
        assert_eq!(bench.store.tagged("t").unwrap(), [ours.ids["a"]]);
        assert!(bench.store.verify().unwrap().is_clean());
        let again = bench.store.merge(&other.store).unwrap();
        assert_eq!((again.added, again.found), (0, 7));
    }
}

#[test]
fn what_conflicts_in_a_merge_stays_and_casts_doubt() {
    for (bench, other) in Bench::both().into_iter().zip(Bench::both()) {
        let ours = bench.store.put(payload(1), Some(made("a"))).unwrap();
        let theirs = other.store.put(payload(2), Some(made("a"))).unwrap();
        let from = other.store.put(payload(3), Some(step("b", &[theirs]))).unwrap();
        let merged = bench.store.merge(&other.store).unwrap();
        assert_eq!((merged.conflicts, merged.added), (vec![theirs], 1));
        assert_eq!(bench.store.get(ours).unwrap().unwrap().payload, payload(1));
        assert_eq!(bench.store.record(from).unwrap().unwrap().state, Doubtful);
        assert_eq!(bench.store.find(&step("b", &[ours])).unwrap(), None);
        assert!(bench.store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_circle_is_refused_before_anything_is_merged() {
    let bench = Bench::in_memory();
    let family = Family::of(&bench.store);
    // As no store makes them.
    let d = bench.store.backend.index.read(|view| view.by_id(family.ids["d"])).unwrap().unwrap();
    bench
        .store
        .backend
        .edit(family.ids["b"], |row| row.provenance = Some(step("b", &[d.id]).to_json()))
        .unwrap();
    assert_eq!(bench.store.ancestors(family.ids["d"]).count(), 3);
    let into = Bench::in_memory();
    let error = into.store.merge(&bench.store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("made from itself"), "{error}");
    assert!(into.store.is_empty().unwrap());
    assert!(!bench.store.verify().unwrap().is_clean());
}
