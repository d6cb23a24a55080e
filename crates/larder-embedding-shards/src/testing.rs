//! Keys and rows for tests.

use std::{ops::Range, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, types::Float16Type,
};
use half::f16;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use crate::{Dtype, Embedding, PoolType, WindowKey, WindowRecord};

mod storage;

pub(crate) use storage::WatchedStorage;

pub(crate) fn key(window: u32) -> WindowKey {
    let mut window_hash = [0xab; 32];
    window_hash[..4].copy_from_slice(&window.to_be_bytes());
    WindowKey {
        window_hash,
        encoder_hash: [5; 32],
        state_layer: 3,
        pool_type: PoolType::CenteredMean,
        pool_radius: 128,
        dtype: Dtype::Fp32,
    }
}

pub(crate) fn values(count: u16) -> Embedding {
    Embedding::Fp32((0..count).map(f32::from).collect())
}

pub(crate) fn record(window: u32) -> WindowRecord {
    let embedding = Embedding::Fp32((0..4).map(|i| window as f32 + i as f32 / 4.0).collect());
    let start = i64::from(window) * 100;
    WindowRecord::new("1", start, start + 512, key(window), embedding).unwrap()
}

pub(crate) fn records(windows: Range<u32>) -> Vec<WindowRecord> {
    windows.map(record).collect()
}

/// A shard as the Python package writes it: nullable columns, `list<float16>` whatever the dtype, all of it zstd-9,
/// no offset index, and nothing of Larder's. Each row's numbers are its `embedding`, rounded.
pub(crate) fn python_shard(records: &[WindowRecord]) -> Vec<u8> {
    python_shard_with(records, |_| {})
}

/// The same with some columns changed.
pub(crate) fn python_shard_with(
    records: &[WindowRecord],
    change: impl FnOnce(&mut Vec<(&'static str, ArrayRef)>),
) -> Vec<u8> {
    let text = |of: fn(&WindowRecord) -> String| {
        Arc::new(StringArray::from_iter_values(records.iter().map(of))) as ArrayRef
    };
    let long = |of: fn(&WindowRecord) -> i64| {
        Arc::new(Int64Array::from_iter_values(records.iter().map(of))) as ArrayRef
    };
    let hash = |of: fn(&WindowRecord) -> [u8; 32]| {
        Arc::new(FixedSizeBinaryArray::try_from_iter(records.iter().map(of)).unwrap()) as ArrayRef
    };
    let lists = records.iter().map(|r| {
        Some(r.embedding.to_f32().into_iter().map(|v| Some(f16::from_f32(v))).collect::<Vec<_>>())
    });
    let mut columns: Vec<(&'static str, ArrayRef)> = vec![
        ("chrom", text(|r| r.chrom.clone())),
        ("start_bp", long(|r| r.start_bp)),
        ("end_bp", long(|r| r.end_bp)),
        ("window_hash", hash(|r| r.key.window_hash)),
        ("encoder_hash", hash(|r| r.key.encoder_hash)),
        (
            "state_layer",
            Arc::new(Int8Array::from_iter_values(records.iter().map(|r| r.key.state_layer))),
        ),
        ("pool_type", text(|r| r.key.pool_type.to_string())),
        (
            "pool_radius",
            Arc::new(Int32Array::from_iter_values(
                records.iter().map(|r| r.key.pool_radius as i32),
            )),
        ),
        ("dtype", text(|r| r.key.dtype.to_string())),
        ("embedding", Arc::new(ListArray::from_iter_primitive::<Float16Type, _, _>(lists))),
        (
            "untargeted",
            Arc::new(BooleanArray::from_iter(records.iter().map(|r| Some(r.untargeted)))),
        ),
        ("created_at", long(|r| r.created_at)),
        ("schema_version", text(|r| r.schema_version.to_owned())),
    ];
    change(&mut columns);
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9).unwrap()))
        .set_offset_index_disabled(true)
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}
