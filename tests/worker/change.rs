//! One change at `Power`, told as done once it is acknowledged; and work without a free file descriptor.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use larder_storage::{Durability, ErrorKind, Key, LocalStorage, PutIf, Storage, StorageExt};

type Outcome = Result<(), Box<dyn Error>>;

/// Makes the change `what` below `root`, and then writes `done` to standard output by one call.
pub(crate) fn change(root: &Path, what: &str) -> Outcome {
    let storage = LocalStorage::open(root, Durability::Power)?;
    let put = |key: &str, len| storage.put(&Key::new(key)?, vec![b'n'; len].into(), PutIf::Always);
    match what {
        "open" => {}
        "put" => put("fresh", 20_000)?,
        "replace" => put("old/a", 20_000)?,
        "deep" => put("x/y/z", 10)?,
        "remove" => assert!(storage.remove(&Key::new("old/deep/b")?)?),
        "upload" => {
            let mut upload = storage.create(&Key::new("old/large")?)?;
            upload.write_all(&[b'n'; 100_000])?;
            upload.commit(PutIf::Always)?;
        }
        "publish" => publish(&storage)?,
        "discard" => assert!(storage.stage().discard(&storage.root().join("trees/old"))?),
        _ => return Err(format!("unknown change: {what}").into()),
    }
    Ok(io::stdout().write_all(b"done\n")?)
}

fn publish(storage: &LocalStorage) -> Outcome {
    let staged = storage.stage().dir()?;
    fs::create_dir_all(staged.path().join("deep/er"))?;
    for name in ["one", "deep/two", "deep/er/three"] {
        File::create(staged.path().join(name))?.write_all(&[b'n'; 5000])?;
    }
    Ok(staged.publish(&storage.root().join("trees/a/new"))?)
}

/// Takes every file descriptor there is, and checks that each operation then says so and harms nothing.
pub(crate) fn exhaust(root: &Path) -> Outcome {
    let storage = LocalStorage::open(root, Durability::Process)?;
    let old = Key::new("old/a")?;
    storage.put(&Key::new("warm")?, "up".into(), PutIf::Always)?;
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/").ok()).collect();
    let failures = [
        storage.get(&old).err(),
        storage.open(&old).err(),
        storage.put(&old, "new".into(), PutIf::Always).err(),
        storage.create(&old).err(),
        storage.remove(&old).err(),
        storage.list(None).err(),
    ];
    drop(taken);
    for (number, failure) in failures.into_iter().enumerate() {
        match failure {
            Some(error) if error.kind() == ErrorKind::Io => {}
            other => {
                return Err(format!("operation {number} without descriptors: {other:?}").into());
            }
        }
    }
    storage.put(&Key::new("after")?, "free".into(), PutIf::Always)?;
    assert_eq!(storage.head(&old)?, Some(9000));
    Ok(())
}
