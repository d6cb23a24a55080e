use larder_storage::{Digest, ErrorKind};
use proptest::prelude::*;

use super::*;
use crate::{Encoded, Id, Options, Payload, Provenance};

fn chroms() -> Chroms {
    Chroms::from([("chr1".to_owned(), 100), ("chr2".to_owned(), 10)])
}

fn interval(chrom: &str, start: u64, end: u64) -> Interval {
    Interval { chrom: chrom.to_owned(), start, end, ..Interval::default() }
}

fn intervals(intervals: Vec<Interval>) -> Track {
    IntervalTrack { label: "genes".into(), intervals }.into()
}

fn signal(step: u64, signals: &[(&str, &[f32])]) -> Track {
    let signal = |(chrom, values): &(&str, &[f32])| Signal {
        chrom: (*chrom).to_owned(),
        values: values.to_vec(),
    };
    let signals = signals.iter().map(signal).collect();
    SignalTrack { label: "gc".into(), signals: Signals::Steps { step, window: 4, signals } }.into()
}

/// The start, the end and the value of a run.
type Values = (u64, u64, f64);

fn run_track(chroms: &[(&str, &[Values])]) -> Track {
    let run = |&(start, end, value): &Values| Run { start, end, value };
    let runs = chroms.iter().map(|(chrom, runs)| Runs {
        chrom: (*chrom).to_owned(),
        runs: runs.iter().map(run).collect(),
    });
    SignalTrack { label: "gc".into(), signals: Signals::Runs(runs.collect()) }.into()
}

fn both() -> [(TrackStore, Option<tempfile::TempDir>); 2] {
    let dir = tempfile::tempdir().unwrap();
    let durable = TrackStore::open(dir.path(), Options::default()).unwrap();
    [(TrackStore::in_memory(), None), (durable, Some(dir))]
}

#[test]
fn the_life_of_a_track() {
    for (store, _dir) in both() {
        let made = Provenance::new("gc").input(Digest::of(b"g"));
        let gc = signal(2, &[("chr1", &[0.5, f32::NAN, -0.0]), ("chr2", &[])]);
        let id = store.put(gc.clone(), chroms(), Some(made.clone())).unwrap();
        assert_eq!(store.put(gc.clone(), chroms(), Some(made.clone())).unwrap(), id);
        let other = store.put(intervals(vec![interval("chr2", 0, 10)]), chroms(), None).unwrap();
        let stored = store.get(id).unwrap().unwrap();
        assert_eq!(
            (stored.id, stored.track_type.as_str(), &stored.chroms),
            (id, "signal", &chroms())
        );
        assert_eq!(stored.provenance.as_ref(), Some(&made));
        let listed: Vec<_> = store.list_all().map(|record| record.unwrap()).collect();
        assert_eq!([listed[0].id, listed[1].id], [id, other]);
        assert_eq!(
            (listed[1].label.as_str(), listed[1].track_type),
            ("genes", TrackType::Interval)
        );
        assert_eq!(listed[0].chroms, chroms());
        assert_eq!(store.find(&made).unwrap(), Some(id));
        assert!(store.delete(id).unwrap());
        assert!(!store.delete(id).unwrap());
        assert!(store.get(id).unwrap().is_none());
        assert_ne!(store.put(gc, chroms(), Some(made)).unwrap(), id);
    }
}

#[test]
fn a_handle_lives_as_long_as_its_track() {
    for (store, _dir) in both() {
        let handle = std::sync::Arc::new(7_u8);
        let made = Provenance::new("op");
        let put = |handle| {
            store
                .put_with_handle(intervals(vec![]), Chroms::new(), Some(made.clone()), handle)
                .unwrap()
        };
        let id = put(handle.clone());
        assert_eq!(put(std::sync::Arc::new(8_u8)), id);
        let kept = store.get(id).unwrap().unwrap().handle.unwrap();
        assert_eq!(kept.downcast_ref::<u8>(), Some(&7));
        drop(kept);
        assert_eq!(std::sync::Arc::strong_count(&handle), 2);
        store.delete(id).unwrap();
        assert_eq!(std::sync::Arc::strong_count(&handle), 1);
    }
}

#[test]
fn what_lies_on_no_chromosome_is_refused_with_its_place() {
    let scored = |score| Interval { score: Some(score), ..interval("chr1", 0, 1) };
    let bad = [
        (intervals(vec![interval("chr1", 0, 100), interval("chr1", 99, 101)]), "interval 1 "),
        (intervals(vec![interval("chr3", 0, 1)]), "interval 0 "),
        (intervals(vec![interval("chr1", 2, 1)]), "interval 0 "),
        (intervals(vec![scored(f64::NAN)]), "interval 0 "),
        (intervals(vec![scored(f64::INFINITY)]), "interval 0 "),
        (signal(5, &[("chr2", &[1.0, 2.0, 3.0])]), "\"chr2\""),
        (signal(5, &[("chr3", &[])]), "\"chr3\""),
        (signal(5, &[("chr1", &[]), ("chr1", &[])]), "\"chr1\""),
        (signal(0, &[]), "at least 1"),
        (
            run_track(&[("chr1", &[(0, 100, 0.0), (100, 101, 0.0)])]),
            "run 1 (\"chr1\":100-101) ends",
        ),
        (run_track(&[("chr3", &[(0, 1, 0.0)])]), "run 0 "),
        (run_track(&[("chr1", &[(2, 1, 0.0)])]), "run 0 "),
        (run_track(&[("chr1", &[(0, 0, 0.0)])]), "covers no base"),
        (run_track(&[("chr1", &[(0, 5, 0.0), (4, 9, 0.0)])]), "run 1 "),
        (run_track(&[("chr1", &[]), ("chr1", &[])]), "\"chr1\""),
    ];
    let store = TrackStore::in_memory();
    for (track, place) in bad {
        let error = store.put(track, chroms(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(place), "{error}");
    }
    assert!(store.store().is_empty().unwrap());
    let good = [
        (intervals(vec![interval("chr1", 100, 100), scored(-1.5)]), chroms()),
        (intervals(vec![interval("anything", 0, u64::MAX)]), Chroms::new()),
        (signal(5, &[("chr2", &[1.0, 2.0])]), chroms()),
        (signal(u64::MAX, &[("anything", &[1.0, 2.0, 3.0])]), Chroms::new()),
    ];
    for (track, chroms) in good {
        assert!(store.put(track, chroms, None).is_ok());
    }
}

#[test]
fn the_formats_never_change() {
    let gene = Interval {
        name: Some("a".to_owned()),
        score: Some(1.5),
        strand: Strand::Reverse,
        ..interval("chr1", 3, 9)
    };
    let track = intervals(vec![gene, interval("chr2", 0, 1)]);
    let encoded = PlacedTrack { track, chroms: chroms() }.encode().unwrap();
    let json = concat!(
        r#"{"chrom":["chr1","chr2"],"start":[3,0],"end":[9,1],"name":["a",null],"score":[1.5,null],"#,
        r#""strand":["-","."]}"#
    );
    assert_eq!(encoded.bytes, json);
    assert_eq!(
        encoded.summary,
        r#"{"label":"genes","chroms":[["chr1",100],["chr2",10]],"type":"interval","intervals":2}"#
    );

    let track = signal(2, &[("chr2", &[1.0]), ("chr1", &[-2.0, 0.5])]);
    let encoded = PlacedTrack { track, chroms: chroms() }.encode().unwrap();
    let summary = concat!(
        r#"{"label":"gc","chroms":[["chr1",100],["chr2",10]],"type":"signal","step":2,"window":4,"#,
        r#""signals":[["chr2",1],["chr1",2]]}"#
    );
    assert_eq!(encoded.summary, summary);
    let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    npy.extend(format!("{dict:117}\n").bytes());
    npy.extend([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f]);
    assert_eq!(encoded.bytes, npy);

    let track = run_track(&[("chr2", &[(1, 3, -2.0)]), ("chr1", &[])]);
    let encoded = PlacedTrack { track, chroms: chroms() }.encode().unwrap();
    let summary = concat!(
        r#"{"label":"gc","chroms":[["chr1",100],["chr2",10]],"type":"runs","#,
        r#""runs":[["chr2",1],["chr1",0]]}"#
    );
    assert_eq!(encoded.summary, summary);
    let dict = "{'descr': [('start', '<u8'), ('end', '<u8'), ('value', '<f8')], 'fortran_order': False, 'shape': (1,), }";
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    npy.extend(format!("{dict:117}\n").bytes());
    npy.extend([1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0]);
    assert_eq!(encoded.bytes, npy);
}

#[test]
fn what_is_not_as_its_summary_says_is_refused() {
    let track = signal(2, &[("chr1", &[1.0, 2.0])]);
    let signal = PlacedTrack { track, chroms: chroms() }.encode().unwrap();
    let track = intervals(vec![interval("chr1", 0, 1)]);
    let genes = PlacedTrack { track, chroms: chroms() }.encode().unwrap();
    let with = |encoded: &Encoded, from: &str, to: &str| Encoded {
        bytes: encoded.bytes.clone(),
        summary: encoded.summary.replace(from, to),
    };
    let bad = [
        with(&signal, "[\"chr1\",2]", "[\"chr1\",3]"),
        with(&signal, "[\"chr1\",2]", "[\"chr1\",18446744073709551615],[\"chr2\",3]"),
        with(&signal, "signal\"", "interval\""),
        with(&genes, "\"intervals\":1", "\"intervals\":2"),
        with(&genes, "{", "["),
        Encoded { bytes: signal.bytes.clone(), ..genes.clone() },
        Encoded { bytes: genes.bytes.clone(), ..signal.clone() },
        Encoded { bytes: signal.bytes.slice(..signal.bytes.len() - 4), ..signal.clone() },
    ];
    for encoded in bad {
        let error = PlacedTrack::decode(encoded.clone(), 1).expect_err(&encoded.summary);
        assert_eq!(error.kind(), ErrorKind::Format, "{encoded:?}");
    }
}

/// Runs in order, of values of any bits.
fn runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec((0..9_u64, 1..9_u64, any::<u64>()), 0..8).prop_map(|parts| {
        let mut at = 0;
        let run = |(gap, len, bits)| {
            let start = at + gap;
            at = start + len;
            Run { start, end: at, value: f64::from_bits(bits) }
        };
        parts.into_iter().map(run).collect()
    })
}

fn tracks() -> impl Strategy<Value = Track> {
    let strand =
        prop_oneof![Just(Strand::Forward), Just(Strand::Reverse), Just(Strand::Unstranded)];
    let score = prop::option::of(any::<f64>().prop_filter("finite", |score| score.is_finite()));
    let interval =
        (".{0,5}", any::<u64>(), any::<u64>(), prop::option::of(".{0,5}"), score, strand).prop_map(
            |(chrom, a, b, name, score, strand)| Interval {
                chrom,
                start: a.min(b),
                end: a.max(b),
                name,
                score,
                strand,
            },
        );
    let intervals = (".{0,5}", prop::collection::vec(interval, 0..8))
        .prop_map(|(label, intervals)| IntervalTrack { label: label.into(), intervals }.into());
    let values = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..8);
    let signals = prop::collection::btree_map(".{0,5}", values, 0..4);
    let signal =
        (".{0,5}", 1..u64::MAX, 1..u64::MAX, signals).prop_map(|(label, step, window, signals)| {
            let signals =
                signals.into_iter().map(|(chrom, values)| Signal { chrom, values }).collect();
            let signals = Signals::Steps { step, window, signals };
            SignalTrack { label: label.into(), signals }.into()
        });
    let runs = (".{0,5}", prop::collection::btree_map(".{0,5}", runs(), 0..4));
    let runs = runs.prop_map(|(label, runs)| {
        let runs = runs.into_iter().map(|(chrom, runs)| Runs { chrom, runs }).collect();
        SignalTrack { label: label.into(), signals: Signals::Runs(runs) }.into()
    });
    prop_oneof![intervals, signal, runs]
}

/// The track with each value as its bits, since a NaN is not equal to itself.
fn exact(track: &Track) -> String {
    match track {
        Track::Interval(_) => format!("{track:?}"),
        Track::Signal(SignalTrack { label, signals: Signals::Steps { step, window, signals } }) => {
            let bits = |signal: &Signal| {
                signal.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            let signals: Vec<_> = signals.iter().map(|it| (&it.chrom, bits(it))).collect();
            format!("{label:?} {step} {window} {signals:?}")
        }
        Track::Signal(SignalTrack { label, signals: Signals::Runs(runs) }) => {
            let bits = |run: &Run| (run.start, run.end, run.value.to_bits());
            let runs: Vec<_> = runs
                .iter()
                .map(|it| (&it.chrom, it.runs.iter().map(bits).collect::<Vec<_>>()))
                .collect();
            format!("{label:?} {runs:?}")
        }
    }
}

proptest! {
    #[test]
    fn any_track_comes_back_to_the_bit(track in tracks()) {
        let store = TrackStore::in_memory();
        let id: Id = store.put(track.clone(), Chroms::new(), None).unwrap();
        let stored = store.get(id).unwrap().unwrap();
        prop_assert_eq!(exact(&stored.track), exact(&track));
        prop_assert_eq!(stored.track_type, track.track_type());
    }
}
