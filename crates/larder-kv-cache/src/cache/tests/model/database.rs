//! The database: with every amount of memory, compressed or not, saved at once or later, and under each cap.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::*;
use crate::{Clock, Policy};

/// A clock in seconds that goes when it is told to.
fn clock(seconds: &Arc<AtomicU64>) -> Clock {
    let seconds = Arc::clone(seconds);
    Clock::new(move || {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))
    })
}

fn options() -> impl Strategy<Value = Options> {
    let memory = prop::sample::select(vec![0, 600, 16 << 20]);
    let compress_from = prop::sample::select(vec![1, 4096]);
    (memory, compress_from).prop_map(|(memory, compress_from)| {
        let options = Options::default().durability(Durability::Scratch);
        options.memory(memory).compress_from(compress_from)
    })
}

fn run(options: Options, mut model: Model, autosave: bool, steps: Vec<Step>) {
    let (dir, seconds) = (tempdir().unwrap(), Arc::<AtomicU64>::default());
    let options = options.clock(clock(&seconds)).autosave(autosave);
    let open = |options: &Options| KvCache::open(dir.path(), "model", options.clone()).unwrap();
    // The second one writes at once, so that the first has to see it.
    let both = || [open(&options), open(&options.clone().autosave(true))];
    let mut caches = both();
    for step in steps {
        match &step {
            Step::Do(by, op) => {
                if *by == 1 {
                    caches[0].save().unwrap();
                }
                let answer = perform(&caches[*by], op).map_err(|error| error.kind());
                assert_eq!(answer, model.predict(*by, op), "{step:?}");
            }
            Step::Pass(time) => {
                // Whether an unsaved value keeps its place is known when it is saved.
                caches[0].save().unwrap();
                seconds.fetch_add(*time, Ordering::Relaxed);
                model.now += time;
            }
            Step::Save => caches[0].save().unwrap(),
            Step::Reopen => {
                drop(caches);
                caches = both();
                model.reopen();
            }
        }
        agree(&caches[0], &model);
        if model.cap.is_some() {
            agree_on_export(&caches[1], &model);
        } else {
            agree_on_values(&caches[0], &model);
        }
        if autosave {
            agree(&caches[1], &model);
        }
    }
    caches.iter().for_each(|cache| assert!(cache.verify().unwrap().is_clean()));
}

/// Makes every change of the rows of a key fail.
fn break_key(path: &Path, key: Key) {
    let trigger = |when: &str, row: &str| {
        let quoted = key.replace('\'', "''").replace('\0', "'||char(0)||'");
        format!(
            "CREATE TRIGGER broken_{when} BEFORE {when} ON entry WHEN {row}.key = ''||'{quoted}'
             BEGIN SELECT RAISE(ABORT, 'broken'); END;"
        )
    };
    let row = |when| if when == "INSERT" { "new" } else { "old" };
    sql(path, &["INSERT", "UPDATE", "DELETE"].map(|when| trigger(when, row(when))).concat());
}

fn mend(path: &Path) {
    sql(
        path,
        &["INSERT", "UPDATE", "DELETE"].map(|when| format!("DROP TRIGGER broken_{when};")).concat(),
    );
}

fn run_with_faults(options: Options, mut model: Model, steps: Vec<(Op, Option<Key>)>) {
    let (dir, seconds) = (tempdir().unwrap(), Arc::<AtomicU64>::default());
    let cache = KvCache::open(dir.path(), "model", options.clock(clock(&seconds))).unwrap();
    for (op, broken) in steps {
        seconds.fetch_add(1, Ordering::Relaxed);
        model.now += 1;
        broken.iter().for_each(|key| break_key(cache.path(), key));
        let mut next = model.clone();
        let predicted = next.predict(0, &op);
        match perform(&cache, &op) {
            // All of it failed, but that an update has read.
            Err(error) if broken.is_some() && error.kind() == ErrorKind::Backend => {
                if let Op::Update(key) = &op {
                    model.read(0, key);
                }
            }
            answer => {
                assert_eq!(answer.map_err(|error| error.kind()), predicted, "{op:?}");
                model = next;
            }
        }
        broken.iter().for_each(|_| mend(cache.path()));
        agree(&cache, &model);
        if model.cap.is_none() {
            agree_on_values(&cache, &model);
        }
    }
    agree_on_export(&cache, &model);
    assert!(cache.verify().unwrap().is_clean());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_database_is_a_list_with_times_and_tags(
        steps in steps(), options in options(), autosave: bool, seconds in prop::option::of(1..9_u64),
    ) {
        let options = match seconds {
            Some(seconds) => options.time_to_live(Duration::from_secs(seconds)),
            None => options,
        };
        run(options, Model { time_to_live: seconds, ..Model::default() }, autosave, steps);
    }

    #[test]
    fn a_database_under_a_cap_is_a_list_that_forgets_its_least(
        steps in steps(), options in options(), bytes in 50..200_u64,
        policy in prop::sample::select(
            vec![Policy::LeastRecentlyUsed, Policy::LeastFrequentlyUsed, Policy::Oldest],
        ),
    ) {
        // What is compressed counts for less.
        let options = options.compress_from(usize::MAX).capacity(bytes, policy);
        run(options, Model { cap: Some((bytes, policy)), ..Model::default() }, true, steps);
    }

    #[test]
    fn after_a_fault_a_database_is_as_it_was(
        steps in prop::collection::vec((op(), prop::option::of(key())), 0..30),
        options in options(), cap in prop::option::of(50..200_u64),
        policy in prop::sample::select(vec![Policy::LeastRecentlyUsed, Policy::LeastFrequentlyUsed]),
    ) {
        let is_tried = |(op, _): &(Op, Option<Key>)| super::faults::is_one_write(op);
        let options = options.compress_from(usize::MAX);
        let options = cap.into_iter().fold(options, |it, bytes| it.capacity(bytes, policy));
        let cap = cap.map(|bytes| (bytes, policy));
        let model = Model { cap, ..Model::default() };
        run_with_faults(options, model, steps.into_iter().filter(is_tried).collect());
    }
}
