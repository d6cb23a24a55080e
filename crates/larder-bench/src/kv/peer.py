"""Caches in Python."""

import json
import os
import platform
import threading
from pathlib import Path

import diskcache

from serve import each, serve

LETTERS = 256
bases = ""


def key(number):
    return f"homo_sapiens:GENE{number:06}:canonical"


def record(number, version):
    start = (number * 31 + version * 17) % (len(bases) - LETTERS)
    sequence = {
        "sequence": bases[start : start + LETTERS],
        "source": "ensembl",
        "accession": f"ENST{number:011}.{version}",
        "is_canonical": True,
    }
    return {"gene_symbol": f"GENE{number:06}", "sequences": [sequence], "errors": []}


class DiskCache:
    """diskcache as it is by default, but for the cap of 1 GB, beyond which it would drop entries."""

    def __init__(self, directory, policy="least-recently-stored"):
        self.cache = diskcache.Cache(directory, size_limit=2**40, eviction_policy=policy)
        self.get = self.cache.get
        self.set = self.cache.set
        self.remove = self.cache.delete
        self.close = self.cache.close

    def set_many(self, items):
        with self.cache.transact():
            for name, value in items.items():
                self.cache.set(name, value)

    def hits_and_misses(self, keys):
        hits, misses = [], []
        for name in keys:
            (hits if name in self.cache else misses).append(name)
        return hits, misses


def least_recently_used(directory):
    """diskcache with a cap that it never reaches, which makes each read a write."""
    return DiskCache(directory, "least-recently-used")


class Rewritten:
    """A dictionary under a lock, of which every change rewrites the whole JSON file."""

    def __init__(self, directory):
        self.path = Path(directory) / "genes.json"
        self.lock = threading.Lock()
        self.entries = {}

    def get(self, name):
        with self.lock:
            return self.entries.get(name)

    def set(self, name, value):
        with self.lock:
            self.entries[name] = value
            self.write()

    def set_many(self, items):
        with self.lock:
            self.entries.update(items)
            self.write()

    def hits_and_misses(self, keys):
        hits, misses = [], []
        with self.lock:
            for name in keys:
                (hits if name in self.entries else misses).append(name)
        return hits, misses

    def write(self):
        stage = self.path.with_suffix(".tmp")
        with open(stage, "w", encoding="utf-8") as file:
            json.dump(self.entries, file, indent=2)
        os.replace(stage, self.path)

    def close(self):
        self.entries = {}


KINDS = {"diskcache": DiskCache, "diskcache_lru": least_recently_used, "rewritten": Rewritten}
stores = []


def hello(bases, sample):
    globals()["bases"] = bases
    assert json.loads(sample) == record(7, 3), "the two sides make different records"
    return f"diskcache {diskcache.__version__}, CPython {platform.python_version()}"


def open_store(kind, dir):
    stores.append(KINDS[kind](dir))
    return len(stores) - 1


def close(store):
    stores[store].close()
    stores[store] = None


def run(store, call, numbers, version, group):
    store = stores[store]
    keys = [key(number) for number in numbers]
    match call:
        case "set":
            entries = [(key(number), record(number, version)) for number in numbers]
            took, _ = each(group, store.set, entries)
        case "get":
            took, found = each(group, store.get, zip(keys))
            assert None not in found, "an entry is gone"
        case "get_all":
            took, [found] = each(1, lambda: [store.get(name) for name in keys], [()])
            assert None not in found, "an entry is gone"
        case "remove":
            took, _ = each(group, store.remove, zip(keys))
        case "set_many":
            entries = {key(number): record(number, version) for number in numbers}
            took, _ = each(1, store.set_many, [(entries,)])
        case "hits_and_misses":
            took, [(hits, misses)] = each(1, store.hits_and_misses, [(keys,)])
            assert len(hits) == len(misses), "not half of the keys are there"
    return took


serve({"hello": hello, "open": open_store, "run": run, "close": close})
