//! The database: with every amount of memory, compressed or not, saved at once or later, and under each cap.

use std::{
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
}
