"""Directories as cache entries in Python: vcti-file-cache, and a cache in the manner of osbuild's."""

import fcntl
import importlib.metadata
import os
import platform
import tempfile
from contextlib import contextmanager
from pathlib import Path

from vcti.filecache import CacheManager, CacheManagerConfig, FileCache, LocalStorage

from serve import each, serve

# More than all entries take.
ABOVE = 2**40

files, content = None, None


class FileCacheOfVcti:
    """vcti-file-cache without its thread, which would scan the root meanwhile."""

    def __init__(self, root):
        self.cache = FileCache(root=root, config=CacheManagerConfig(evict_above=ABOVE))

    @contextmanager
    def access(self, key):
        with self.cache.model(key) as model:
            yield Path(model.path)

    def build(self, key):
        with self.cache.model(key) as model:
            fill(Path(model.path))


class LockAndRename:
    """An object is a directory with a lock file in it: staged, renamed, and held by a shared lock. A file has the sum
    of all sizes."""

    def __init__(self, root):
        self.root = Path(root)
        self.stage = self.root / "stage"
        self.stage.mkdir(exist_ok=True)

    @contextmanager
    def access(self, key):
        path = self.root / key
        with open(path / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            # Whoever removes an object holds its lock exclusively: the path may be gone since it was opened.
            assert os.path.samestat(os.fstat(lock.fileno()), os.stat(path / "lock"))
            os.utime(lock.fileno())
            yield path / "data"

    def build(self, key):
        stage = Path(tempfile.mkdtemp(dir=self.stage))
        with open(stage / "lock", "x") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            data = stage / "data"
            data.mkdir()
            fill(data)
            self.count(sum(entry.stat().st_blocks * 512 for entry in os.scandir(data)))
            stage.rename(self.root / key)

    def count(self, size):
        with open(self.root / "size", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            total = int(file.read() or 0) + size
            file.truncate(0)
            file.write(str(total))


def fill(dir):
    for name in files:
        (dir / name).write_bytes(content)


def is_whole(dir):
    return all((dir / name).read_bytes() == content for name in files)


KINDS = {"vcti": FileCacheOfVcti, "lock": LockAndRename}


def hello(names, source):
    globals().update(files=names, content=Path(source).read_bytes())
    version = importlib.metadata.version("vcti-file-cache")
    return f"vcti-file-cache {version}, CPython {platform.python_version()}"


def access(kind, root, keys):
    cache = KINDS[kind](root)
    with cache.access(keys[0]) as path:
        assert is_whole(path), f"{kind} has other files"

    def hold(key):
        with cache.access(key):
            pass

    took, _ = each(1, hold, zip(keys))
    return took


def build(kind, root, keys):
    cache = KINDS[kind](root)
    took, _ = each(1, cache.build, zip(keys))
    with cache.access(keys[-1]) as path:
        assert is_whole(path), f"{kind} has other files"
    return took


def cycle(root, entries):
    manager = CacheManager(LocalStorage(root), CacheManagerConfig(evict_above=ABOVE, observer=Seen()))
    took, _ = each(1, manager.run_once, [()])
    assert manager._config.observer.entries == entries, "the cycle has not seen all entries"
    return took


class Seen:
    """What a cycle told."""

    def on_cycle_complete(self, total_size, entry_count):
        self.entries = entry_count

    def on_size_update(self, path, size):
        pass


def walk(root, keys, size):
    storage = LocalStorage(root)
    took, [total] = each(1, lambda: sum(map(storage.compute_dir_size, keys)), [()])
    assert total == size, "the walk has counted something else"
    return took


serve({"hello": hello, "access": access, "build": build, "cycle": cycle, "walk": walk})
