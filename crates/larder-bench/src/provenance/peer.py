"""What remembers results in Python."""

import platform
import struct
import uuid

import diskcache
import joblib
import numpy as np

from serve import each, serve

memos = {}


def hello():
    versions = f"joblib {joblib.__version__}, diskcache {diskcache.__version__}"
    return f"{versions}, CPython {platform.python_version()}"


def result(number):
    return struct.pack("<Q", number) * 128


def smooth(signal, window, rate, kernel, strict, label):
    return result(window)


def mean(array):
    return result(0)


def arguments(number):
    return (f"signal {number}", number, 0.25, "gaussian", True, f"track {number}")


class Seqchain:
    """Results by id, and ids by what made them, as seqchain's stores have them."""

    def __init__(self):
        self.by_key = {}
        self.by_id = {}

    def __call__(self, *values):
        names = ("kernel", "label", "rate", "strict", "window")
        signal, window, rate, kernel, strict, label = values
        params = tuple(sorted(zip(names, (kernel, label, rate, strict, window))))
        key = ("transform.smooth", tuple(sorted((signal,))), params)
        if key not in self.by_key:
            self.by_key[key] = str(uuid.uuid4())
            self.by_id[self.by_key[key]] = smooth(*values)
        return self.by_id[self.by_key[key]]


def open_memo(kind, dir, results):
    if kind == "seqchain":
        memo = Seqchain()
    elif kind == "diskcache":
        memo = diskcache.Cache(dir, size_limit=2**40).memoize()(smooth)
    else:
        memo = joblib.Memory(dir, verbose=0).cache(mean if kind == "array" else smooth)
    if kind == "array":
        inputs = [(np.arange(12_500_000, dtype=np.float64),)]
    else:
        inputs = [arguments(number) for number in range(results)]
    for one in inputs:
        memo(*one)
    memos[kind] = memo, inputs


def hit(kind, group, numbers):
    memo, inputs = memos[kind]
    took, found = each(group, memo, [inputs[number] for number in numbers])
    assert found == [result(number) for number in numbers]
    return took


def hash_20(calls):
    params = {}
    for number in range(5):
        params[f"text {number}"] = f"value {number}"
        params[f"number {number}"] = number
        params[f"float {number}"] = 0.1 * number
        params[f"flag {number}"] = number % 2 == 0
    return each(10, joblib.hash, [(params,)] * calls)[0]


serve({"hello": hello, "open": open_memo, "hit": hit, "hash": hash_20})
