"""Embeddings in Python: pyarrow, Lance, DuckDB and numpy, and geno-lewm, whose shards Larder reads too."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import duckdb
import lance
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from geno_lewm.encoder.cache import (
    WindowCacheKey,
    WindowCacheRecord,
    read_embedding,
    reindex_cache,
    write_shard,
)

from serve import each, serve

PACKAGES = ["geno-lewm", "pylance", "duckdb", "pyarrow", "numpy"]
HASH = 32
# Of the Parquet file: few, because a row group is what is read.
ROWS_IN_GROUP = 64
PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False}

embeddings = None
# All hashes one after the other, the row of each, and the dtype by its name in a key.
hashes, row_of, dtype = None, None, None
# The embeddings as everybody keeps them; geno-lewm the first few.
kept = None
few = None
readers = {}


def hello(source, hashes, dtype, dim, dir, few):
    flat = np.memmap(source, {"fp16": "<f2", "fp32": "<f4"}[dtype], "r")
    globals().update(embeddings=flat.reshape(-1, dim), hashes=Path(hashes).read_bytes())
    globals().update(dtype=dtype, kept=Path(dir), few=few)
    globals().update(row_of={hash_of(row): row for row in range(len(embeddings))})
    fill()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([*versions, f"CPython {platform.python_version()}"])


def fill():
    all_rows = table(embeddings)
    lance.write_dataset(all_rows, kept / "lance")
    pq.write_table(all_rows, kept / "parquet", row_group_size=ROWS_IN_GROUP, **PLAIN)
    with pa.OSFile(str(kept / "ipc"), "wb") as file, pa.ipc.new_file(file, all_rows.schema) as out:
        out.write_table(all_rows)
    fill_duckdb(kept / "duckdb")
    write_geno(kept / "geno", records(few))


def fill_duckdb(path):
    # It takes no half-precision numbers, so it gets the bytes of each row.
    width = embeddings.dtype.itemsize * embeddings.shape[1]
    blobs = fixed(width, embeddings)
    of_bytes = pa.table({"key": fixed(HASH, hashes), "value": blobs})
    with duckdb.connect(path) as db:
        db.execute("CREATE TABLE embedding (key BLOB PRIMARY KEY, value BLOB)")
        db.register("of_bytes", of_bytes)
        db.execute("INSERT INTO embedding SELECT * FROM of_bytes")


def hash_of(row):
    return hashes[row * HASH : (row + 1) * HASH]


def fixed(width, data):
    """A column of byte strings of one length."""
    data = pa.py_buffer(data)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), data.size // width, [None, data])


def table(rows):
    """A table of the first rows, in their number."""
    numbers = pa.array(rows.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(numbers, rows.shape[1])
    return pa.table({"key": fixed(HASH, hashes[: len(rows) * HASH]), "embedding": column})


def key_fields(row):
    return {
        "window_hash": hash_of(row),
        "encoder_hash": bytes([7]) * HASH,
        "state_layer": 3,
        "pool_type": "global_mean",
        "pool_radius": 0,
        "dtype": dtype,
    }


def records(count):
    return [
        WindowCacheRecord(
            chrom="1",
            start_bp=row,
            end_bp=row + 1,
            embedding=tuple(embeddings[row].tolist()),
            untargeted=False,
            **key_fields(row),
        )
        for row in range(count)
    ]


def write_geno(dir, rows):
    write_shard(dir, encoder_id="encoder", contig="1", stride_block=0, records=rows)


# Of each kind: what gives the embedding of a hash, opened once.


def from_ipc():
    column = pa.ipc.open_file(pa.memory_map(str(kept / "ipc"))).read_all()["embedding"]
    [chunk] = column.chunks
    chunk.flatten().to_numpy().max()
    return lambda key: np.array(chunk[row_of[key]].values.to_numpy())


def from_lance():
    dataset = lance.dataset(kept / "lance")
    return lambda key: taken(dataset, [row_of[key]])


def taken(dataset, rows):
    [chunk] = dataset.take(rows, columns=["embedding"])["embedding"].chunks
    return chunk.flatten().to_numpy()


def from_parquet():
    file = pq.ParquetFile(kept / "parquet")

    def read(key):
        group, row = divmod(row_of[key], ROWS_IN_GROUP)
        found = file.read_row_group(group, columns=["embedding"], use_threads=False)
        return found["embedding"].chunk(0)[row].values.to_numpy()

    return read


def from_duckdb():
    db = duckdb.connect(kept / "duckdb", read_only=True)
    select = "SELECT value FROM embedding WHERE key = ?"
    return lambda key: np.frombuffer(db.execute(select, [key]).fetchone()[0], embeddings.dtype)


def from_geno():
    def read(key):
        return read_embedding(kept / "geno", WindowCacheKey(**key_fields(row_of[key])))

    return read


READERS = {
    "ipc": from_ipc,
    "lance": from_lance,
    "parquet": from_parquet,
    "duckdb": from_duckdb,
    "geno": from_geno,
}


def rows(kind, numbers):
    if kind not in readers:
        readers[kind] = READERS[kind]()
    if kind == "geno":
        numbers = [number % few for number in numbers]
    took, found = each(1, readers[kind], [(hash_of(number),) for number in numbers])
    check(found[0], embeddings[numbers[0]], kind)
    return took


def check(found, expected, kind):
    if kind == "geno":
        # It keeps half precision whatever the dtype.
        expected = expected.astype(np.float16)
    assert np.array_equal(found, expected), f"{kind} has other embeddings"


def many(kind, batches):
    dataset = lance.dataset(kept / "lance")
    gather = embeddings.__getitem__ if kind == "numpy" else lambda rows: taken(dataset, rows)
    took, found = each(1, gather, [(batch,) for batch in batches])
    check(found[0].reshape(-1), embeddings[batches[0]].reshape(-1), kind)
    return took


def write(kind, dir, rows, check):
    os.mkdir(dir)
    path = Path(dir) / "written"
    if kind == "geno":
        batch = records(rows)
        os.sync()
        took, _ = each(1, write_geno, [(path, batch)])
    else:
        batch = table(np.array(embeddings[:rows]))
        os.sync()
        took, _ = each(1, lambda: pq.write_table(batch, path, **PLAIN), [()])
        assert not check or pq.read_table(path).equals(batch), "the table is not what was written"
    shutil.rmtree(dir)
    return took


def reindex():
    took, [report] = each(1, reindex_cache, [(kept / "geno",)])
    assert report.indexed_rows == few, "a row is not in the index"
    return took


serve({"hello": hello, "rows": rows, "many": many, "write": write, "reindex": reindex})
