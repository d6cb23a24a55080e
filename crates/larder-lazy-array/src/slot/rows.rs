use std::{fs::File, ops::Range};

use ndarray::{ArrayD, Slice};

use super::*;
use crate::region;

/// A read finds its file replaced only so often before it gives up.
const ROUNDS: usize = 10;

/// Where a part is read from.
enum Source<A: Element> {
    Memory(ReadGuard<A>),
    Scratch(Arc<Spilled>),
    Published(Access),
}

impl<A: Element> Slot<A> {
    /// A copy of a range of each axis; elements that are not in memory are read from their place in the file.
    pub(crate) fn region(self: &Arc<Self>, ranges: &[Range<usize>]) -> Result<ArrayD<A>> {
        let elements = match self.source()? {
            Source::Memory(guard) => {
                let range = |axis: usize| Slice::from(ranges[axis].clone());
                let part = guard.slice_each_axis(|axis| range(axis.axis.index()));
                // In the order that it has when it comes from the file.
                return Ok(if self.layout.fortran_order {
                    part.reversed_axes().as_standard_layout().into_owned().reversed_axes()
                } else {
                    part.as_standard_layout().into_owned()
                });
            }
            Source::Scratch(spilled) => region::read(&spilled.payload(), &self.layout, ranges)?,
            Source::Published(access) => {
                let elements = self.published_region(ranges, access);
                self.refuse_detached()?;
                elements?
            }
        };
        let shape = ranges.iter().map(Range::len).collect();
        Ok(Layout { shape, fortran_order: self.layout.fortran_order }.array(elements))
    }

    fn published_region(&self, ranges: &[Range<usize>], access: Access) -> Result<Vec<A>> {
        let files = &self.shared.files;
        let mut round = 0;
        loop {
            round += 1;
            let opened = files.reader(&self.key, access)?.ok_or_else(|| self.removed())?;
            self.check_header(&opened.header)?;
            let payload = opened.header.payload(&*opened.file);
            let elements = region::read(&payload, &self.layout, ranges);
            if let Some(file) = opened.file.file() {
                self.leave(file.file(), &opened.header, ranges, access);
            }
            match elements {
                // Replaced since it was opened, on a storage that keeps no version without a name.
                Err(error) if error.kind() == ErrorKind::Conflict && round < ROUNDS => {
                    files.close(&self.key);
                }
                elements => return elements,
            }
        }
    }

    /// Rows that are read once need not stay in the page cache.
    fn leave(&self, file: &File, header: &Header, ranges: &[Range<usize>], access: Access) {
        if let (Some(rows), false) = (ranges.first(), self.layout.fortran_order) {
            let row = self.layout.shape[1..].iter().product::<usize>() * size_of::<A>();
            let start = header.data_start + (rows.start * row) as u64;
            access.leave(file, start, (rows.len() * row) as u64);
        }
    }

    /// The ranges of all axes where the first one is `rows`.
    pub(crate) fn row_ranges(&self, rows: Range<usize>) -> Result<Vec<Range<usize>>> {
        let there = self.layout.shape.first().copied();
        if rows.start <= rows.end && there.is_some_and(|there| rows.end <= there) {
            let others = self.layout.shape[1..].iter().map(|len| 0..*len);
            return Ok([rows].into_iter().chain(others).collect());
        }
        let has = there.map_or("it has no axis".to_owned(), |there| format!("it has {there}"));
        let message = format!("rows {}..{} are asked for, and {has}", rows.start, rows.end);
        Err(Error::new(ErrorKind::Invalid, message).at_key(&self.key))
    }

    fn source(self: &Arc<Self>) -> Result<Source<A>> {
        let mut state = self.lock();
        loop {
            self.refuse_own_writer(&state)?;
            match &state.place {
                Place::Published => return Ok(Source::Published(state.access)),
                Place::Scratch(spilled) => return Ok(Source::Scratch(Arc::clone(spilled))),
                Place::Memory(_) | Place::Lent => {}
            }
            if !state.reader_waits()
                && let Some(guard) = self.pin(&mut state)
            {
                return Ok(Source::Memory(guard));
            }
            state = self.wait(state);
        }
    }
}
