use std::{collections::BTreeMap, ops::Range};

/// Bytes of the scratch file.
pub(super) type Extent = Range<u64>;

/// Extents begin and end at multiples of this, so that whole blocks are given back.
const BLOCK: u64 = 4096;

/// Which bytes of the scratch file are taken.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Where everything ends that is taken.
    end: u64,
    /// What is free before that, the end of each extent by its start. No two touch each other or the end.
    free: BTreeMap<u64, u64>,
}

impl Space {
    /// Takes the first free extent that holds `len` bytes.
    pub(super) fn take(&mut self, len: u64) -> Extent {
        let len = len.next_multiple_of(BLOCK);
        let fits = |(start, end): (&u64, &u64)| (end - start >= len).then_some((*start, *end));
        let Some((start, end)) = self.free.iter().find_map(fits) else {
            let start = self.end;
            self.end += len;
            return start..self.end;
        };
        self.free.remove(&start);
        let taken = start..start + len;
        if taken.end < end {
            self.free.insert(taken.end, end);
        }
        taken
    }

    pub(super) fn give_back(&mut self, extent: Extent) {
        let Extent { mut start, mut end } = extent;
        if start == end {
            return;
        }
        if let Some((&before, &touches)) = self.free.range(..start).next_back()
            && touches == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after) = self.free.remove(&end) {
            end = after;
        }
        if end == self.end {
            self.end = start;
        } else {
            self.free.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn extents_never_overlap_and_all_comes_back(steps in prop::collection::vec((0_u64..40_000, 0_usize..8), 1..200)) {
            let mut space = Space::default();
            let mut taken: Vec<Extent> = Vec::new();
            for (len, drop) in steps {
                let extent = space.take(len);
                prop_assert!(extent.end - extent.start >= len && extent.start % BLOCK == 0);
                prop_assert!(extent.end <= space.end);
                for other in &taken {
                    prop_assert!(extent.end <= other.start || other.end <= extent.start || extent.is_empty() || other.is_empty());
                }
                taken.push(extent);
                if drop < taken.len() {
                    space.give_back(taken.swap_remove(drop));
                }
            }
            taken.into_iter().for_each(|extent| space.give_back(extent));
            prop_assert_eq!((space.end, space.free.len()), (0, 0));
        }
    }
}
