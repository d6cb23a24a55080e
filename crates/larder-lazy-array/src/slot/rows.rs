use std::ops::Range;

use ndarray::{Axis, Slice};

use super::*;
use crate::scratch;

/// Where rows are read from.
enum Source<A: Element> {
    Memory(ReadGuard<A>),
    Scratch(Arc<Scratch>),
    Published,
}

impl<A: Element> Slot<A> {
    /// A copy of some rows; elements that are not in memory are read from their place in the file.
    pub(crate) fn rows(self: &Arc<Self>, rows: Range<usize>) -> Result<ArrayD<A>> {
        self.check_rows(&rows)?;
        let elements = match self.source()? {
            Source::Memory(guard) => {
                return Ok(guard.slice_axis(Axis(0), Slice::from(rows)).to_owned());
            }
            Source::Scratch(scratch) => {
                scratch::payload(&scratch.open()?).rows(&self.layout, &rows)?
            }
            Source::Published => {
                let elements = self.published_rows(&rows);
                self.refuse_detached()?;
                elements?
            }
        };
        let mut layout = self.layout.clone();
        layout.shape[0] = rows.len();
        Ok(layout.array(elements))
    }

    fn published_rows(&self, rows: &Range<usize>) -> Result<Vec<A>> {
        let found = self.shared.files.open(&self.key)?;
        let (header, file) = found.ok_or_else(|| self.removed())?;
        self.check_header(&header)?;
        header.payload(&*file).rows(&self.layout, rows)
    }

    fn check_rows(&self, rows: &Range<usize>) -> Result<()> {
        let there = self.layout.shape.first().copied();
        if rows.start <= rows.end && there.is_some_and(|there| rows.end <= there) {
            return Ok(());
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
                Place::Published => return Ok(Source::Published),
                Place::Scratch(scratch) => return Ok(Source::Scratch(Arc::clone(scratch))),
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
