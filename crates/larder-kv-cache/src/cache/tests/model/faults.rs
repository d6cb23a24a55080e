//! The document on a storage whose nth operation goes wrong.

use std::sync::Arc;

use larder_storage::{
    MemoryStorage, Storage,
    testing::{Fault, FaultStorage},
};

use super::*;

/// Whether it is one write, so that it happens whole or not at all; a computation has leases besides.
pub(super) fn is_one_write(op: &Op) -> bool {
    !matches!(op, Op::Compute(_) | Op::RoundTrip)
}

fn run(fault: Fault, nth: u64, steps: Vec<Step>) {
    let storage = Arc::new(FaultStorage::new(MemoryStorage::default(), nth, fault));
    let open = || {
        let storage = Arc::clone(&storage) as Arc<dyn Storage>;
        KvCache::open_document(storage, "model", Options::default())
    };
    // What may be there: one state or, since nobody knows, two.
    let mut model = Model { is_document: true, ..Model::default() };
    let mut other = None;
    if let Ok(cache) = open() {
        for step in &steps {
            let Step::Do(_, op) = step else { continue };
            let mut next = model.clone();
            let predicted = next.predict(0, op);
            match perform(&cache, op) {
                Err(error) if error.kind() == ErrorKind::Io => {
                    if cache.reload().is_err() {
                        other = Some(next);
                        break;
                    }
                    model = if same(&cache, &model) { model } else { next };
                }
                answer => {
                    assert_eq!(answer.map_err(|error| error.kind()), predicted, "{op:?}");
                    model = next;
                }
            }
            agree(&cache, &model);
            agree_on_values(&cache, &model);
        }
    }
    let left: Arc<dyn Storage> = Arc::new(Arc::into_inner(storage).unwrap().into_inner());
    let left = document_of(left);
    let model = other.filter(|_| !same(&left, &model)).unwrap_or(model);
    agree(&left, &model);
    agree_on_export(&left, &model);
    assert!(left.verify().unwrap().is_clean());
}

fn document_of(storage: Arc<dyn Storage>) -> KvCache {
    KvCache::open_document(storage, "model", Options::default()).unwrap()
}

/// Whether the keys and values are those of the model.
fn same(cache: &KvCache, model: &Model) -> bool {
    let keys = cache.keys().unwrap();
    let values = cache.get_many::<Value>(&keys).unwrap().into_iter().map(|found| found.hit());
    let live = model.live().map(|(key, value)| (key, Some(value.clone())));
    keys.iter().map(String::as_str).zip(values).eq(live)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn after_a_fault_the_state_is_the_old_or_the_new_one(
        steps in steps(), nth in 1..60_u64, fault in prop::sample::select(&Fault::ALL[..]),
    ) {
        let is_tried = |step: &Step| matches!(step, Step::Do(_, op) if is_one_write(op));
        run(fault, nth, steps.into_iter().filter(is_tried).collect());
    }
}
