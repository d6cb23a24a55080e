//! Random histories beside a model that is obviously right.

use super::*;

/// One call on a cache of a few small shards.
#[derive(Clone, Debug)]
enum Step {
    Write { block: u64, start: u32, count: u32, shift: bool },
    Remove(u64),
    Reopen,
    Reindex,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..3_u64, 0..6_u32, 1..4_u32, any::<bool>());
    let step = prop_oneof![
        6 => write.prop_map(|(block, start, count, shift)| Step::Write { block, start, count, shift }),
        1 => (0..3_u64).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
        1 => Just(Step::Reindex),
    ];
    proptest::collection::vec(step, 1..12)
}

/// What a cache has to hold: for each block its rows, by window.
type Model = HashMap<u64, HashMap<u32, Embedding>>;

fn write_model(model: &mut Model, block: u64, rows: &[(u32, Embedding)]) -> bool {
    if let Some(there) = model.get(&block) {
        return rows.iter().all(|(window, embedding)| there.get(window) == Some(embedding));
    }
    if model.values().any(|shard| rows.iter().any(|(window, _)| shard.contains_key(window))) {
        return false;
    }
    model.insert(block, rows.iter().cloned().collect());
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn behaves_as_its_model(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(MemoryStorage::new());
        let open = || EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
        let (mut cache, mut model) = (open(), Model::new());
        for step in steps {
            match step {
                Step::Write { block, start, count, shift } => {
                    let mut batch = records(start..start + count);
                    if shift {
                        batch[0].embedding = Embedding::Fp32(vec![-1.0; 4]);
                    }
                    let rows: Vec<_> = (start..).zip(batch.iter().map(|row| row.embedding.clone())).collect();
                    let outcome = cache.write_shard("enc", "1", block, &batch);
                    let expected = write_model(&mut model, block, &rows);
                    prop_assert_eq!(outcome.map(|_| true).or_else(|e| if e.kind() == ErrorKind::Conflict { Ok(false) } else { Err(e) }).unwrap(), expected);
                }
                Step::Remove(block) => {
                    let path = shard_path_for(&ShardId::of("enc", "1", block, &key(0))).unwrap();
                    prop_assert_eq!(storage.remove(&path).unwrap(), model.remove(&block).is_some());
                    cache = open();
                }
                Step::Reopen => cache = open(),
                Step::Reindex => prop_assert_eq!(cache.reindex().unwrap().problems, vec![]),
            }
            for window in 0..10 {
                let expected = model.values().find_map(|shard| shard.get(&window)).cloned();
                prop_assert_eq!(cache.read(&key(window)).unwrap(), expected);
            }
        }
        prop_assert_eq!(cache.verify().unwrap().problems, vec![]);
    }
}
