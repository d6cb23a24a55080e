//! Plain `.npy` files.

use super::*;

#[test]
fn a_file_goes_in_and_comes_out() {
    let (dir, store) = fresh(0);
    let array = Array2::from_shape_fn((700, 500), |(row, column)| (row * 500 + column) as f64);
    for (key, array) in [("c", array.clone()), ("f", array.clone().reversed_axes())] {
        store.insert(key, array.clone()).unwrap();
        let out = dir.path().join("out.npy");
        let info = store.export_npy(key, &out).unwrap().unwrap();
        assert_eq!(
            fs::read(&out).unwrap(),
            fs::read(dir.path().join(format!("{key}.npy"))).unwrap()
        );
        let copy = format!("copy of {key}");
        assert_eq!(store.import_npy(&copy, &out).unwrap(), info);
        let found = store.get::<f64>(&copy).unwrap().unwrap();
        assert_eq!(*found.read().unwrap(), array.into_dyn());
        assert_eq!(store.info(&copy).unwrap(), Some(info));
    }
    assert_eq!(store.export_npy("none", dir.path().join("none.npy")).unwrap(), None);
    assert!(!dir.path().join("none.npy").exists());
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn the_other_byte_order_is_turned_round() {
    let (dir, store) = fresh(0);
    let file = dir.path().join("big.npy");
    let text = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n";
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    write(&file, &[b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), &[1, 2, 3, 4]].concat());
    store.import_npy("a", &file).unwrap();
    let found = store.get::<i16>("a").unwrap().unwrap();
    assert_eq!(*found.read().unwrap(), arr1(&[0x0102, 0x0304]).into_dyn());
}

#[test]
fn what_cannot_be_imported_or_exported_is_named_and_leaves_nothing() {
    let (dir, store) = fresh(0);
    store.insert("a", arr1(&[1_u8])).unwrap();
    let file = dir.path().join("in.txt");
    let kind = |key: &str, file: &Path| {
        let error = store.import_npy(key, file).unwrap_err();
        assert!(error.to_string().contains("in.txt") || error.key().is_some(), "{error}");
        error.kind()
    };
    assert_eq!(kind("b", &file), ErrorKind::NotFound);
    write(&file, b"hello");
    assert_eq!(kind("b", &file), ErrorKind::Format);
    assert_eq!(kind("a", &file), ErrorKind::Conflict);
    write(&file, &fs::read(dir.path().join("a.npy")).unwrap()[..100]);
    assert_eq!(kind("b", &file), ErrorKind::Corrupt);
    assert_eq!(store.keys().unwrap().len(), 1);

    let mut damaged = fs::read(dir.path().join("a.npy")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    write(&dir.path().join("a.npy"), &damaged);
    let out = dir.path().join("out.npy");
    assert_eq!(store.export_npy("a", &out).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!out.exists() && staged(dir.path()).is_empty());
    let error = store.export_npy("a", dir.path().join("none/out.npy")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
