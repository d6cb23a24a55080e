"""Traces of requests out of the source package of libcachesim, and its own caches on them."""

import importlib.metadata
import math
import random
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import libcachesim as lcs

from serve import serve

VERSION = importlib.metadata.version("libcachesim")
SOURCE = f"libcachesim-{VERSION}"
DATA = "src/libCacheSim/data"
FILES = {"twitter": "twitter_cluster52.csv", "cloudphysics": "cloudPhysicsIO.oracleGeneral.bin"}
POLICIES = {"LRU": lcs.LRU, "LFU": lcs.LFU, "GDSF": lcs.GDSF}


def hello():
    return f"libcachesim {VERSION}"


def fetch(dir):
    """Whether the traces lie in the directory, from where they are not fetched again."""
    dir = Path(dir)
    if all((dir / name).exists() for name in FILES.values()):
        return True
    options = ["--quiet", "--no-deps", "--no-binary", "libcachesim", "--dest", str(dir)]
    command = [sys.executable, "-m", "pip", "download", *options, f"libcachesim=={VERSION}"]
    # The answers to requests go to standard output.
    if subprocess.run(command, stdout=sys.stderr).returncode:
        return False
    archive = dir / f"{SOURCE}.tar.gz"
    with tarfile.open(archive) as tar:
        for name in FILES.values():
            with tar.extractfile(f"{SOURCE}/{DATA}/{name}") as member:
                stage = dir / "stage"
                stage.write_bytes(member.read())
                stage.rename(dir / name)
    archive.unlink()
    return True


def reader(dir, trace):
    path = str(Path(dir) / FILES[trace])
    if not path.endswith(".csv"):
        return lcs.TraceReader(path, lcs.TraceType.ORACLE_GENERAL_TRACE)
    params = lcs.ReaderInitParam(has_header=True, has_header_set=True, obj_id_is_num_set=True)
    params.time_field, params.obj_id_field, params.obj_size_field = 1, 2, 3
    return lcs.TraceReader(path, lcs.TraceType.CSV_TRACE, params)


def write(dir, trace, to):
    """Writes object, size and cost of each request, as numbers of 8 bytes."""
    costs = {}
    with open(to, "wb") as file:
        for request in reader(dir, trace):
            name = request.obj_id
            if name not in costs:
                costs[name] = math.exp(random.Random(name).gauss(0, 2))
            file.write(struct.pack("<QQd", name, request.obj_size, costs[name]))


def simulate(dir, trace, policy, capacity):
    """The shares of requests and bytes that are missed."""
    return POLICIES[policy](cache_size=capacity).process_trace(reader(dir, trace))


serve({"hello": hello, "fetch": fetch, "write": write, "simulate": simulate})
