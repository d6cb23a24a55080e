//! The document, on a local storage, where every look is at what is there, and on another.

use std::sync::Arc;

use larder_storage::{LocalStorage, MemoryStorage, Storage};

use super::*;

fn run(storage: &Arc<dyn Storage>, autosave: bool, steps: Vec<Step>) {
    let open = |autosave| {
        let options = Options::default().autosave(autosave);
        KvCache::open_document(Arc::clone(storage), "model", options).unwrap()
    };
    let both = || [open(autosave), open(true)];
    let mut caches = both();
    let mut model = Model { is_document: true, ..Model::default() };
    for step in steps {
        match &step {
            Step::Do(by, op) => {
                if *by == 1 {
                    caches[0].save().unwrap();
                }
                see_all(storage, &caches);
                let answer = perform(&caches[*by], op).map_err(|error| error.kind());
                assert_eq!(answer, model.predict(*by, op), "{step:?}");
            }
            Step::Pass(_) | Step::Save => caches[0].save().unwrap(),
            Step::Reopen => {
                drop(caches);
                caches = both();
            }
        }
        see_all(storage, &caches);
        for cache in &caches[..if autosave { 2 } else { 1 }] {
            agree(cache, &model);
            agree_on_values(cache, &model);
        }
    }
    caches.iter().for_each(|cache| assert!(cache.verify().unwrap().is_clean()));
}

/// Lets both see what the other one wrote, where that has to be asked for.
fn see_all(storage: &Arc<dyn Storage>, caches: &[KvCache]) {
    if storage.local_root().is_none() {
        caches.iter().for_each(|cache| cache.reload().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_document_is_a_list(steps in steps(), autosave: bool, is_local: bool) {
        let dir = tempdir().unwrap();
        let storage: Arc<dyn Storage> = if is_local {
            Arc::new(LocalStorage::open(dir.path(), Durability::Scratch).unwrap())
        } else {
            Arc::new(MemoryStorage::default())
        };
        run(&storage, autosave, steps);
    }
}
