//! The shape of an array and the order of its elements.

use larder_storage::{Error, ErrorKind, Result};
use ndarray::{Array, ArrayD, Dimension, IxDyn, ShapeBuilder};

use crate::Element;

/// The most axes that every released numpy can hold.
const MAX_AXES: usize = 32;

/// A shape, and whether the first axis (Fortran order) or the last one (C order) varies fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shape: Vec<usize>,
    pub(crate) fortran_order: bool,
}

impl Layout {
    /// `None` where an array of this shape could not be addressed.
    pub(crate) fn new(shape: Vec<usize>, fortran_order: bool, element_size: usize) -> Option<Self> {
        // An axis of length 0 empties the array, yet its other axes have to be addressable as well.
        let filled = shape.iter().filter(|axis| **axis != 0);
        let bytes = filled.copied().try_fold(element_size, usize::checked_mul)?;
        isize::try_from(bytes).is_ok().then_some(Self { shape, fortran_order })
    }

    /// C order where both orders are the same.
    pub(crate) fn canonical(mut self) -> Self {
        let axes = self.shape.iter().filter(|axis| **axis > 1).count();
        self.fortran_order &= axes > 1 && self.len() > 0;
        self
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The size of the elements in bytes.
    pub(crate) fn bytes<A: Element>(&self) -> u64 {
        (self.len() * size_of::<A>()) as u64
    }

    /// The array of this layout that has `elements` in memory order.
    pub(crate) fn array<A: Element>(&self, elements: Vec<A>) -> ArrayD<A> {
        let shape = IxDyn(&self.shape).set_f(self.fortran_order);
        Array::from_shape_vec(shape, elements).expect("as many elements as the shape has")
    }
}

/// The layout of an array that is written row by row.
pub(crate) fn of_rows<A: Element>(shape: &[usize]) -> Result<Layout> {
    let refused = |why: String| Error::new(ErrorKind::Invalid, why);
    if shape.is_empty() {
        return Err(refused("has no axis along which rows could be appended".to_owned()));
    }
    sound::<A>(shape, false)
}

/// The layout of an array that numpy can hold as well.
pub(crate) fn sound<A: Element>(shape: &[usize], fortran_order: bool) -> Result<Layout> {
    check_axes(shape.len())?;
    Layout::new(shape.to_vec(), fortran_order, size_of::<A>()).ok_or_else(|| {
        let message = format!("has the shape {shape:?}, which overflows the address space");
        Error::new(ErrorKind::Invalid, message)
    })
}

fn check_axes(axes: usize) -> Result<()> {
    if axes <= MAX_AXES {
        return Ok(());
    }
    let message = format!("has {axes} axes: at most {MAX_AXES} can be kept");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// The elements of an array in Fortran order if it is laid out so already, and else in C order.
pub(crate) fn compact<A: Element, D: Dimension>(array: Array<A, D>) -> Result<(Vec<A>, Layout)> {
    let fortran_order = !array.is_standard_layout() && array.t().is_standard_layout();
    let layout = sound::<A>(array.shape(), fortran_order)?;
    let elements = if fortran_order || array.is_standard_layout() {
        in_memory_order(array, layout.len())
    } else {
        array.iter().copied().collect()
    };
    Ok((elements, layout))
}

/// The elements of a contiguous array, without a copy unless it is a part of a larger vector.
fn in_memory_order<A: Element, D: Dimension>(array: Array<A, D>, len: usize) -> Vec<A> {
    let (mut elements, offset) = array.into_raw_vec_and_offset();
    let start = offset.unwrap_or(0);
    if start != 0 || elements.len() != len {
        elements = elements[start..start + len].to_vec();
    }
    elements
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr0, array, s};

    use super::*;

    fn check<D: Dimension>(array: Array<i32, D>, fortran_order: bool, expected: &[i32]) {
        let (elements, layout) = compact(array.clone()).unwrap();
        assert_eq!((layout.fortran_order, &elements[..]), (fortran_order, expected));
        assert_eq!(layout.array(elements), array.into_dyn());
    }

    #[test]
    fn keeps_both_orders_and_straightens_the_rest() {
        let a = array![[1, 2, 3], [4, 5, 6]];
        check(a.clone(), false, &[1, 2, 3, 4, 5, 6]);
        check(a.clone().reversed_axes(), true, &[1, 2, 3, 4, 5, 6]);
        check(a.clone().slice_move(s![.., ..2]), false, &[1, 2, 4, 5]);
        check(a.clone().slice_move(s![1.., ..]), false, &[4, 5, 6]);
        check(a.clone().slice_move(s![..;-1, ..]), false, &[4, 5, 6, 1, 2, 3]);
        let tall = array![[1, 2], [3, 4], [5, 6]].reversed_axes();
        check(tall.clone().slice_move(s![.., 1..]), true, &[3, 4, 5, 6]);
        check(tall.slice_move(s![.., 2..]), false, &[5, 6]);
        check(arr0(7), false, &[7]);
        check(Array2::zeros((0, 3)), false, &[]);
        check(Array2::zeros((1, 4)), false, &[0; 4]);
    }

    #[test]
    fn refuses_what_cannot_be_addressed() {
        assert!(Layout::new(vec![usize::MAX, 2], false, 1).is_none());
        assert!(Layout::new(vec![1 << 62], false, 8).is_none());
        assert!(Layout::new(vec![0, usize::MAX, 2], false, 1).is_none());
        assert!(Layout::new(vec![0, 1 << 40], false, 8).is_some());
        let deep = ArrayD::<u8>::zeros(IxDyn(&[1; 33]));
        assert_eq!(compact(deep).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
