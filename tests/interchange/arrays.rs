//! GSEGUtils 0.6.0: its `DiskBackedStore` and our `ArrayStore` on one directory.

use std::path::Path;

use larder::lazy_array::{
    ArrayStore, DType, Element, MemoryBudget, Options,
    half::{bf16, f16},
    ndarray::{ArrayD, IxDyn, ShapeBuilder, arr0},
    num_complex::Complex,
};
use serde_json::{Map, Value, json};

use super::{hex, run};

/// Defines `seen`, what the package's own store sees in the directory that is the first argument: every key with
/// its shape, its type in our byte order, whether it lies in Fortran order alone, and its elements.
const COMMON: &str = r#"
import json, pathlib, sys
import numpy
from GSEGUtils.lazy_disk_cache import DiskBackedNDArray, DiskBackedStore, LazyDiskCacheConfig

root = pathlib.Path(sys.argv[1])

def store():
    config = LazyDiskCacheConfig(enable_caching=True, cache_path=root, purge_disk_on_gc=False)
    return DiskBackedStore(config=config, factory=DiskBackedNDArray)

def little(array):
    return array.astype(array.dtype.newbyteorder("<"))

def describe(array):
    dtype = "<V2" if array.dtype.kind == "V" else little(array).dtype.str
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    bytes = little(array).tobytes().hex()
    return {"shape": list(array.shape), "dtype": dtype, "fortran": fortran, "bytes": bytes}

def seen():
    arrays = store()
    return {key: describe(arrays[key].data) for key in arrays}
"#;

/// Fills a store with every type, order and kind of shape, and prints what was put in.
const FILL: &str = r#"
put = {}
arrays = store()
numbers = numpy.arange(1, 13).reshape(3, 4)
for dtype in "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 >i2 >i4 >i8 >u2 >u4 >u8 >f2 >f4 >f8 c8 c16 >c8 >c16 V2".split():
    def cast(array):
        return array.astype("<u2").view("V2") if dtype == "V2" else array.astype(dtype)
    name = dtype.replace(">", "big ").replace("?", "bool")
    for kind, array in {
        "c": cast(numbers), "f": numpy.asfortranarray(cast(numbers)), "scalar": cast(numpy.array([7]))[0:1].reshape(()),
        "empty": cast(numpy.zeros((0, 3))), "deep": cast(numbers.reshape(2, 1, 3, 1, 2)),
    }.items():
        key = f"{name}.{kind}"
        put[key] = describe(array)
        # Its memory maps know neither Fortran order nor a shape without axes; its files do.
        arrays._store_entry(key, DiskBackedNDArray(array))
for key in ["caf\u00e9", "\u4e2d.\u6587", "with a space", "(x),y", "z1e-05", ".hidden", "a.npy"]:
    array = numpy.linspace(-1, 1, 5)
    put[key] = describe(array)
    arrays.add_data_to_store(key, array)
    arrays.offload(key, pickle_container=True)
print(json.dumps(put))
"#;

const SEE: &str = "print(json.dumps(seen()))";

/// Purges the keys that are the other arguments.
const PURGE: &str = r#"
arrays = store()
for key in sys.argv[2:]:
    arrays.purge(key)
print(json.dumps(seen()))
"#;

fn python(program: &str, args: &[&Path]) -> Option<Value> {
    run("arrays of GSEGUtils", &format!("{COMMON}{program}"), args)
}

fn open(dir: &Path) -> ArrayStore {
    ArrayStore::open(dir, Options::default().budget(MemoryBudget::bytes(1 << 20))).unwrap()
}

/// A type of element with some values, and their bytes in a file.
trait Sample: Element {
    fn of(i: usize) -> Self;
    fn bytes(self) -> Vec<u8>;
}

macro_rules! samples {
    ($($number:ty),*) => {$(
        impl Sample for $number {
            // Any bits, NaNs among them.
            fn of(i: usize) -> Self {
                Self::from_le_bytes(std::array::from_fn(|byte| (i * 59 + byte * 31 + 0x70) as u8))
            }

            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )*};
}

samples!(i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64);

macro_rules! pairs {
    ($($part:ty),*) => {$(
        impl Sample for Complex<$part> {
            fn of(i: usize) -> Self {
                Self::new(Sample::of(2 * i), Sample::of(2 * i + 1))
            }

            fn bytes(self) -> Vec<u8> {
                [self.re.bytes(), self.im.bytes()].concat()
            }
        }
    )*};
}

pairs!(f32, f64);

impl Sample for bool {
    fn of(i: usize) -> Self {
        i.is_multiple_of(2)
    }

    fn bytes(self) -> Vec<u8> {
        vec![self.into()]
    }
}

/// Calls a function for the element type of a `DType`.
macro_rules! for_type {
    ($dtype:expr, $function:ident($($argument:expr),*)) => {
        match $dtype {
            DType::Bool => $function::<bool>($($argument),*),
            DType::I8 => $function::<i8>($($argument),*),
            DType::I16 => $function::<i16>($($argument),*),
            DType::I32 => $function::<i32>($($argument),*),
            DType::I64 => $function::<i64>($($argument),*),
            DType::U8 => $function::<u8>($($argument),*),
            DType::U16 => $function::<u16>($($argument),*),
            DType::U32 => $function::<u32>($($argument),*),
            DType::U64 => $function::<u64>($($argument),*),
            DType::F16 => $function::<f16>($($argument),*),
            DType::Bf16 => $function::<bf16>($($argument),*),
            DType::F32 => $function::<f32>($($argument),*),
            DType::F64 => $function::<f64>($($argument),*),
            DType::Complex32 => $function::<Complex<f32>>($($argument),*),
            DType::Complex64 => $function::<Complex<f64>>($($argument),*),
            other => panic!("{other}"),
        }
    };
}

fn bytes<A: Sample>(store: &ArrayStore, key: &str) -> String {
    let array = store.get::<A>(key).unwrap().unwrap().read().unwrap();
    hex(array.iter().flat_map(|value| value.bytes()))
}

/// What we see in a directory, as the program's `seen`.
fn seen(store: &ArrayStore) -> Value {
    let described = store.keys().unwrap().into_iter().map(|key| {
        let key = key.to_string();
        let info = store.info(&key).unwrap().unwrap();
        let bytes = for_type!(info.dtype, bytes(store, &key));
        let described = json!({
            "shape": info.shape, "dtype": info.dtype, "fortran": info.fortran_order, "bytes": bytes,
        });
        (key, described)
    });
    Value::Object(described.collect::<Map<_, _>>())
}

fn fill<A: Sample>(store: &ArrayStore) {
    let name = A::DTYPE.to_string().replace(['<', '|'], "");
    let insert = |kind: &str, array: ArrayD<A>| {
        store.insert(&format!("{name}.{kind}"), array).unwrap();
    };
    let elements = || (0..12).map(A::of).collect();
    insert("c", ArrayD::from_shape_vec(IxDyn(&[3, 4]), elements()).unwrap());
    insert("f", ArrayD::from_shape_vec(IxDyn(&[3, 4]).f(), elements()).unwrap());
    insert("deep", ArrayD::from_shape_vec(IxDyn(&[2, 1, 3, 1, 2]), elements()).unwrap());
    insert("scalar", arr0(A::of(3)).into_dyn());
    insert("empty", ArrayD::from_shape_vec(IxDyn(&[0, 3]), Vec::new()).unwrap());
}

const TYPES: [DType; 15] = [
    DType::Bool,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F16,
    DType::Bf16,
    DType::F32,
    DType::F64,
    DType::Complex32,
    DType::Complex64,
];

#[test]
fn what_the_package_wrote_is_read_here() {
    let dir = tempfile::tempdir().unwrap();
    let Some(put) = python(FILL, &[dir.path()]) else { return };
    let store = open(dir.path());
    assert_eq!(put.as_object().unwrap().len(), 26 * 5 + 7);
    assert_eq!(seen(&store), put);
    let report = store.verify().unwrap();
    assert!(report.is_clean() && report.incomplete.is_empty(), "{report:?}");
}

#[test]
fn what_is_written_here_is_read_by_the_package() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for dtype in TYPES {
        for_type!(dtype, fill(&store));
    }
    for key in ["café", "中.文", "with a space", "(x),y", "z1e-05", ".hidden", "a.npy"] {
        store.insert(key, ArrayD::from_elem(IxDyn(&[5]), 0.1_f64)).unwrap();
    }
    let Some(theirs) = python(SEE, &[dir.path()]) else { return };
    assert_eq!(theirs.as_object().unwrap().len(), TYPES.len() * 5 + 7);
    assert_eq!(theirs, seen(&store));
}

#[test]
fn each_sees_what_the_other_edited_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_) = python(FILL, &[dir.path()]) else { return };
    let store = open(dir.path());
    let array = store.get::<f32>("big f4.f").unwrap().unwrap();
    array.write().unwrap()[[1, 2]] = -0.5;
    array.flush().unwrap();
    assert!(store.remove("f4.c").unwrap());
    store.insert("here", ArrayD::from_elem(IxDyn(&[2, 2]), 9_u16)).unwrap();
    let theirs = python(SEE, &[dir.path()]).unwrap();
    assert_eq!(theirs, seen(&store));
    assert!(theirs.get("f4.c").is_none() && theirs["big f4.f"]["fortran"] == true);

    let theirs = python(PURGE, &[dir.path(), Path::new("here"), Path::new("i8.f")]).unwrap();
    assert!(theirs.get("here").is_none() && theirs.get("i8.f").is_none());
    assert!(store.get::<u16>("here").unwrap().is_none());
    assert_eq!(seen(&open(dir.path())), theirs);
}
