//! Parts of an array, read from their place in a file.
//!
//! A region is a range of each axis. Its elements are read by few large reads where they lie close together and by one
//! read for each run where they lie far apart, and never the whole array for a part of it.

use std::ops::Range;

use larder_storage::Result;

use crate::{
    Element,
    layout::Layout,
    payload::{self, Payload},
};

/// A range of one axis, in the order in which axes vary in the file: the slowest first.
struct Axis {
    len: usize,
    range: Range<usize>,
    /// How many elements lie between two neighbours along this axis.
    stride: usize,
}

impl Axis {
    fn is_whole(&self) -> bool {
        self.range.len() == self.len
    }
}

/// The elements in `ranges`, of which there is one for each axis, in the order of the file.
pub(crate) fn read<A: Element>(
    payload: &Payload<'_>,
    layout: &Layout,
    ranges: &[Range<usize>],
) -> Result<Vec<A>> {
    let mut raw = payload::zeroed::<A>(ranges.iter().map(Range::len).product())?;
    if raw.is_empty() {
        return Ok(A::from_raw(raw));
    }
    match first_row(layout, ranges) {
        Some(start) => payload.fill::<A>(start, &mut raw)?,
        None => Gather::<A> { payload, left: &mut raw }.axes(&axes(layout, ranges), 0)?,
    }
    Ok(A::from_raw(raw))
}

/// Where the elements begin, where they are whole rows in C order: the usual case, which is spared the search for runs.
fn first_row(layout: &Layout, ranges: &[Range<usize>]) -> Option<usize> {
    let (rows, inner) = ranges.split_first()?;
    let whole = inner.iter().zip(&layout.shape[1..]).all(|(range, len)| range.len() == *len);
    (whole && !layout.fortran_order)
        .then(|| rows.start * layout.shape[1..].iter().product::<usize>())
}

fn axes(layout: &Layout, ranges: &[Range<usize>]) -> Vec<Axis> {
    let pairs = layout.shape.iter().zip(ranges);
    let in_order: Vec<_> =
        if layout.fortran_order { pairs.rev().collect() } else { pairs.collect() };
    let mut stride = 1;
    let mut axes: Vec<_> = in_order
        .into_iter()
        .rev()
        .map(|(&len, range)| {
            let axis = Axis { len, range: range.clone(), stride };
            stride *= len;
            axis
        })
        .collect();
    axes.reverse();
    axes
}

/// Fills what is left of the result from the front.
struct Gather<'a, A: Element> {
    payload: &'a Payload<'a>,
    left: &'a mut [A::Raw],
}

impl<A: Element> Gather<'_, A> {
    /// Reads the part along `axes` of what begins at element `start`.
    fn axes(&mut self, axes: &[Axis], start: usize) -> Result<()> {
        let payload = self.payload;
        let [axis, inner @ ..] = axes else { return payload.fill::<A>(start, self.take(1)) };
        let at = |index: usize| start + index * axis.stride;
        let Range { start: first, end } = axis.range;
        if inner.iter().all(Axis::is_whole) {
            return payload.fill::<A>(at(first), self.take(axis.range.len() * axis.stride));
        }
        let at_once = payload.part::<A>() / axis.stride;
        if at_once == 0 {
            return axis.range.clone().try_for_each(|index| self.axes(inner, at(index)));
        }
        let mut buffer = payload::zeroed::<A>(axis.range.len().min(at_once) * axis.stride)?;
        for index in axis.range.clone().step_by(at_once) {
            let several = &mut buffer[..(end - index).min(at_once) * axis.stride];
            payload.fill::<A>(at(index), several)?;
            several.chunks(axis.stride).for_each(|one| self.pick(inner, one));
        }
        Ok(())
    }

    /// Copies the part along `axes` of what was read.
    fn pick(&mut self, axes: &[Axis], from: &[A::Raw]) {
        let [axis, inner @ ..] = axes else { return self.take(1).copy_from_slice(&from[..1]) };
        let part = &from[axis.range.start * axis.stride..axis.range.end * axis.stride];
        if inner.iter().all(Axis::is_whole) {
            self.take(part.len()).copy_from_slice(part);
        } else {
            part.chunks(axis.stride).for_each(|one| self.pick(inner, one));
        }
    }

    fn take(&mut self, len: usize) -> &mut [A::Raw] {
        self.left.split_off_mut(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use larder_storage::{Bytes, Key, MemoryStorage, PutIf, Storage};
    use ndarray::{ArrayD, IxDyn, ShapeBuilder, Slice};
    use proptest::prelude::*;

    use super::*;
    use crate::element::Endian;

    fn region(len: usize) -> impl Strategy<Value = (usize, Range<usize>)> {
        (0..=len, 0..=len).prop_map(move |(a, b)| (len, a.min(b)..a.max(b)))
    }

    proptest! {
        #[test]
        fn any_region_is_that_of_the_array_in_memory(
            axes in prop::collection::vec((1_usize..7).prop_flat_map(region), 0..5),
            fortran in any::<bool>(),
        ) {
            let (shape, ranges): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
            let layout = Layout { shape, fortran_order: fortran };
            let elements: Vec<u32> = (0..layout.len() as u32).collect();
            let array: ArrayD<u32> = layout.array(elements.clone());
            let storage = MemoryStorage::new();
            let key = Key::new("a").unwrap();
            let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
            storage.put(&key, Bytes::from(bytes), PutIf::Always).unwrap();
            let file = storage.open(&key).unwrap().unwrap();
            let payload = Payload { file: &*file, start: 0, endian: Endian::Little, part: 64 };
            let found = read::<u32>(&payload, &layout, &ranges).unwrap();
            let part = array.slice_each_axis(|axis| Slice::from(ranges[axis.axis.index()].clone()));
            let shape = IxDyn(part.shape()).set_f(fortran);
            prop_assert_eq!(ArrayD::from_shape_vec(shape, found).unwrap(), part);
        }
    }
}
