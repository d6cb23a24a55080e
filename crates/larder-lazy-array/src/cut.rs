use std::ops::Range;

use larder_storage::{Error, ErrorKind, Result};
use ndarray::{Array, ArrayD, Dimension, IxDyn, SliceInfo, SliceInfoElem};

use crate::Element;

/// A slice of an array: what has to be read of it, and what is then to be taken of that.
pub(crate) struct Cut {
    /// What the slice spans of each axis.
    pub(crate) ranges: Vec<Range<usize>>,
    /// The slice of what was read.
    rest: Vec<SliceInfoElem>,
}

impl Cut {
    pub(crate) fn new(shape: &[usize], slice: &[SliceInfoElem]) -> Result<Self> {
        let axes = slice.iter().filter(|part| !matches!(part, SliceInfoElem::NewAxis)).count();
        if axes != shape.len() {
            let message =
                format!("a slice of {axes} axes is asked for, and it has {}", shape.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut cut = Self { ranges: Vec::new(), rest: Vec::new() };
        for part in slice {
            let axis = cut.ranges.len();
            cut.add(*part, shape.get(axis).copied().unwrap_or(0)).ok_or_else(|| {
                let message = format!("{part} is asked for, and axis {axis} has {}", shape[axis]);
                Error::new(ErrorKind::Invalid, message)
            })?;
        }
        Ok(cut)
    }

    /// `None` where it is not within the axis.
    fn add(&mut self, part: SliceInfoElem, len: usize) -> Option<()> {
        let (range, rest) = match part {
            SliceInfoElem::NewAxis => {
                self.rest.push(part);
                return Some(());
            }
            SliceInfoElem::Index(index) => {
                let index = place(index, len).filter(|index| *index < len)?;
                (index..index + 1, SliceInfoElem::Index(0))
            }
            SliceInfoElem::Slice { start, end, step } => {
                let (start, end) =
                    (place(start, len)?, end.map_or(Some(len), |end| place(end, len))?);
                let all = SliceInfoElem::Slice { start: 0, end: None, step };
                (start..end.max(start), (step != 0).then_some(all)?)
            }
        };
        self.ranges.push(range);
        self.rest.push(rest);
        Some(())
    }

    /// The slice of what was read, which is an array of the lengths of the ranges.
    pub(crate) fn finish<A: Element, D: Dimension>(&self, read: ArrayD<A>) -> Result<Array<A, D>> {
        let odd = |error| {
            Error::new(ErrorKind::Invalid, "the slice has another number of axes than it says")
                .with_source(error)
        };
        let rest = SliceInfo::<_, IxDyn, IxDyn>::try_from(&self.rest[..]).map_err(odd)?;
        read.slice_move(rest).into_dimensionality().map_err(odd)
    }
}

/// An index that may count from the end, at most the length.
fn place(index: isize, len: usize) -> Option<usize> {
    let place =
        if index < 0 { len.checked_sub(index.unsigned_abs())? } else { index.unsigned_abs() };
    (place <= len).then_some(place)
}
