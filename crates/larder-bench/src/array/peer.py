"""Arrays in Python: numpy, zarr, and gsegutils, whose arrays in a file are what Larder does as well."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import numpy as np
import zarr
from GSEGUtils.lazy_disk_cache import DiskBackedNDArray, DiskBackedStore, LazyDiskCacheConfig

from serve import each, serve

NAME = "array"
ROWS_IN_CHUNK = 32
PACKAGES = ["numpy", "zarr", "gsegutils"]

array = None
source = None
# The array as zarr and gsegutils keep it.
kept = None
# An array of gsegutils in its own file.
own = None
readers = {}


def hello(source, dir):
    globals().update(source=source, array=np.load(source), kept=Path(dir))
    globals().update(own=in_file(kept / "own", caching=True))
    to_zarr(kept / "zarr")
    to_pair(kept / "pair").offload(NAME, pickle_container=True)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([*versions, f"CPython {platform.python_version()}"])


def to_zarr(path):
    chunks = (ROWS_IN_CHUNK, array.shape[1])
    zarr.create_array(store=path, data=array, chunks=chunks, compressors=None)


def from_zarr(path):
    return zarr.open_array(path, mode="r")


def in_file(path, caching, **settings):
    """An array of gsegutils: in memory, or, with caching, in its own file, which is mapped."""
    return DiskBackedNDArray(
        array, enable_caching=caching, cache_path=path, purge_disk_on_gc=False, **settings
    )


def open_store(path):
    config = LazyDiskCacheConfig(enable_caching=True, cache_path=path, purge_disk_on_gc=False)
    return DiskBackedStore(config=config, factory=DiskBackedNDArray)


def to_pair(path):
    """A store of gsegutils whose entry makes a pair of files once it is offloaded."""
    store = open_store(path)
    store.add_data_to_store(NAME, array)
    return store


# Of each kind: what is timed, and what reads the array back, in a directory of its own.


def numpy_save(dir):
    path = dir / "array.npy"
    return lambda: np.save(path, array), lambda: np.load(path)


def numpy_save_flushed(dir):
    path = dir / "array.npy"

    def save():
        with open(path, "wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())

    return save, lambda: np.load(path)


def zarr_save(dir):
    return lambda: to_zarr(dir / NAME), lambda: from_zarr(dir / NAME)[:]


def own_save(dir):
    entry = in_file(dir / NAME, caching=False)

    def offload():
        entry.enable_caching()
        entry.offload()

    return offload, lambda: entry.data


def mapped_save(dir):
    entry = in_file(dir / NAME, caching=True)
    entry.data[...] = array
    return entry.offload, lambda: entry.data


def pair_save(dir):
    store = to_pair(dir)
    store[NAME].data[...] = array
    return lambda: store.offload(NAME, pickle_container=True), lambda: store[NAME].data


SAVES = {
    "numpy": numpy_save,
    "numpy_flushed": numpy_save_flushed,
    "zarr": zarr_save,
    "own": own_save,
    "mapped": mapped_save,
    "pair": pair_save,
}


def save(kind, dir, check):
    os.mkdir(dir)
    os.sync()
    timed, read = SAVES[kind](Path(dir))
    took, _ = each(1, timed, [()])
    assert not check or np.array_equal(read(), array), "the array is not what was saved"
    shutil.rmtree(dir)
    return took


# Of each kind: what is done first, untimed, and what gives the array of what that gave.


def offloaded():
    own.offload()
    return own


LOADS = {
    "memmap": (lambda: None, lambda _: np.load(source, mmap_mode="r")),
    "numpy": (lambda: None, lambda _: np.load(source)),
    "zarr": (lambda: None, lambda _: from_zarr(kept / "zarr")),
    "own": (offloaded, lambda entry: entry.data),
    "pair": (lambda: open_store(kept / "pair"), lambda store: store[NAME].data),
}


def load(kind, calls):
    prepare, get = LOADS[kind]
    took = []
    for _ in range(calls):
        prepared = prepare()

        def first_element():
            found = get(prepared)
            return found, found[0, 0]

        one, [(found, _)] = each(1, first_element, [()])
        took += one
    assert np.array_equal(found[-1], array[-1]), "what was loaded is another array"
    return took


def reader(kind):
    """What rows and sums are asked of, open from its first use on, when all of it is looked at."""
    if kind not in readers:
        match kind:
            case "array":
                readers[kind] = array
            case "memmap":
                readers[kind] = np.load(source, mmap_mode="r")
                readers[kind].sum()
            case "zarr":
                readers[kind] = from_zarr(kept / "zarr")
            case "own":
                own.data.sum()
                readers[kind] = own
            case "offloaded":
                readers[kind] = in_file(kept / kind, caching=True, automatic_offloading=True)
    return readers[kind]


def close():
    readers.clear()
    own.offload()


def rows(kind, work, numbers):
    opened = reader(kind)
    assert np.array_equal(opened[numbers[0]], array[numbers[0]]), "the row is another one"
    call = opened.__getitem__ if work == "view" else lambda row: np.array(opened[row])
    took, _ = each(len(numbers), call, zip(numbers))
    return took


def sum_all(kind):
    took, [found] = each(1, reader(kind).sum, [()])
    assert found == array.sum(), "the sum is another one"
    return took


def cold(numbers):
    """Bytes that are read from a disk for each of the rows."""
    mapped = np.load(source, mmap_mode="r")
    before = read_bytes()
    for number in numbers:
        np.array(mapped[number])
    return (read_bytes() - before) / len(numbers)


def read_bytes():
    figures = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(figures["read_bytes"])


def open_keys(dir, count):
    took, [keys] = each(1, lambda: open_store(Path(dir)).keys(), [()])
    assert len(keys) == count, "an array is not there"
    return took


serve(
    {
        "hello": hello,
        "save": save,
        "load": load,
        "rows": rows,
        "close": close,
        "sum": sum_all,
        "cold": cold,
        "open": open_keys,
    }
)
