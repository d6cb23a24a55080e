//! Scans of random rows beside a filter over all of them.

use super::*;

/// What is asked for.
#[derive(Clone, Debug)]
struct Asked {
    encoder: Option<u8>,
    dtype: Option<Dtype>,
    layer: Option<i8>,
    pool: Option<(PoolType, u32)>,
    source: Option<&'static str>,
    positions: Option<Range<i64>>,
    created: Option<Range<i64>>,
    batch_rows: usize,
}

impl Asked {
    fn scan(&self) -> Scan {
        let mut scan = Scan::default().batch_rows(self.batch_rows);
        if let Some(encoder) = self.encoder {
            scan = scan.encoder_hash([encoder; 32]);
        }
        if let Some(dtype) = self.dtype {
            scan = scan.dtype(dtype);
        }
        if let Some(layer) = self.layer {
            scan = scan.state_layer(layer);
        }
        if let Some((pool, radius)) = self.pool {
            scan = scan.pool(pool, radius);
        }
        if let Some(source) = self.source {
            scan = scan.source(source);
        }
        if let Some(positions) = self.positions.clone() {
            scan = scan.positions(positions);
        }
        match self.created.clone() {
            Some(created) => scan.created(created),
            None => scan,
        }
    }

    fn wants(&self, row: &WindowRecord) -> bool {
        let overlaps =
            |asked: &Range<i64>| asked.clone().any(|at| (row.start_bp..row.end_bp).contains(&at));
        self.encoder.is_none_or(|encoder| row.key.encoder_hash == [encoder; 32])
            && self.dtype.is_none_or(|dtype| row.key.dtype == dtype)
            && self.layer.is_none_or(|layer| row.key.state_layer == layer)
            && self.pool.is_none_or(|pool| (row.key.pool_type, row.key.pool_radius) == pool)
            && self.source.is_none_or(|source| row.chrom == source)
            && self.positions.as_ref().is_none_or(overlaps)
            && self.created.as_ref().is_none_or(|created| created.contains(&row.created_at))
    }
}

const SOURCES: [&str; 3] = ["1", "a/b", "é"];

fn dtypes() -> impl Strategy<Value = Dtype> {
    // Both are stored in single precision, so they may come in one scan.
    prop_oneof![Just(Dtype::Bf16), Just(Dtype::Fp32)]
}

fn pools() -> impl Strategy<Value = (PoolType, u32)> {
    prop_oneof![
        Just((PoolType::CenteredMean, 1)),
        Just((PoolType::CenteredMean, 2)),
        Just((PoolType::Attention, 1))
    ]
}

fn sources() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&SOURCES[..])
}

fn ranges() -> impl Strategy<Value = Range<i64>> {
    (-5..60_i64, -3..40_i64).prop_map(|(start, length)| start..start + length)
}

prop_compose! {
    fn asked()(
        encoder in proptest::option::weighted(0.3, 0..2_u8), dtype in proptest::option::weighted(0.3, dtypes()),
        layer in proptest::option::weighted(0.3, -1..2_i8), pool in proptest::option::weighted(0.3, pools()),
        source in proptest::option::weighted(0.5, sources()), positions in proptest::option::of(ranges()),
        created in proptest::option::weighted(0.4, ranges()), batch_rows in 1..9_usize,
    ) -> Asked {
        Asked { encoder, dtype, layer, pool, source, positions, created, batch_rows }
    }
}

prop_compose! {
    /// Rows of one shard; what they share as in shards that Larder writes.
    fn rows()(
        encoder in 0..2_u8, dtype in dtypes(), state_layer in -1..2_i8, (pool_type, pool_radius) in pools(),
        source in sources(), places in proptest::collection::vec((0..50_i64, 1..9_i64, 1..50_i64), 1..20),
    ) -> Vec<WindowRecord> {
        let row = |(window, (start, length, created_at)): (usize, (i64, i64, i64))| {
            let key = WindowKey {
                window_hash: [window as u8; 32], encoder_hash: [encoder; 32], state_layer, pool_type, pool_radius, dtype,
            };
            let embedding = Embedding::from_f32(dtype, &[window as f32, start as f32]).unwrap();
            let row = WindowRecord::new(source, start, start + length, key, embedding).unwrap();
            WindowRecord { created_at, ..row }
        };
        places.into_iter().enumerate().map(row).collect()
    }
}

/// A row as the batches have it: its number in the shard, where it lies, when it was made, and its numbers.
type Seen = (u8, String, i64, i64, i64, Vec<f32>);

fn seen(batch: &RecordBatch) -> Vec<Seen> {
    let number = |name: &str, i| batch[name].as_primitive::<Int64Type>().value(i);
    let row = |i| {
        let embedding = batch["embedding"].as_fixed_size_list().value(i);
        let values = embedding.as_primitive::<Float32Type>().values().to_vec();
        let window = batch["window_hash"].as_fixed_size_binary().value(i)[0];
        let source = batch["chrom"].as_string::<i32>().value(i).to_owned();
        (
            window,
            source,
            number("start_bp", i),
            number("end_bp", i),
            number("created_at", i),
            values,
        )
    };
    (0..batch.num_rows()).map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_scan_finds_what_a_filter_over_all_rows_finds(
        mut shards in proptest::collection::vec((rows(), 1..5_usize), 0..6),
        asked in proptest::collection::vec(asked(), 6),
    ) {
        let watched = Watched::new();
        for (number, (rows, page_rows)) in shards.iter_mut().enumerate() {
            // No two shards hold one key.
            rows.iter_mut().for_each(|row| row.key.window_hash[1] = number as u8);
            watched.put_cut(&shard(&number.to_string()), rows, *page_rows);
        }
        watched.index();
        for asked in asked {
            let (batches, _) = watched.scan(asked.scan());
            prop_assert!(batches.iter().all(|batch| batch.num_rows() <= asked.batch_rows));
            let found: Vec<Seen> = batches.iter().flat_map(seen).collect();
            let wanted = shards.iter().flat_map(|(rows, _)| rows).filter(|row| asked.wants(row));
            let expected: Vec<Seen> = wanted
                .map(|row| (
                    row.key.window_hash[0], row.chrom.clone(), row.start_bp, row.end_bp, row.created_at, row.embedding.to_f32(),
                ))
                .collect();
            prop_assert_eq!(found, expected, "{:?}", asked);
        }
    }
}
