//! Which intervals overlap a range: a search tree by start that lies in a sorted array, each node with the last end that is
//! below it.

use std::{collections::HashMap, ops::Range};

use super::{Interval, IntervalTrack};

/// The intervals of a track, to be found by their place. It is made in `O(n log n)`, and holds 16 bytes an interval.
#[derive(Clone, Debug)]
pub struct IntervalIndex<'a> {
    chroms: HashMap<&'a str, Vec<Node<'a>>>,
}

/// The root of the tree that a slice of nodes is, is its middle.
#[derive(Clone, Copy, Debug)]
struct Node<'a> {
    interval: &'a Interval,
    /// The last end of the intervals of this tree.
    last_end: u64,
}

impl IntervalTrack {
    /// An index of the intervals, for any number of queries.
    pub fn index(&self) -> IntervalIndex<'_> {
        let mut chroms = HashMap::<_, Vec<_>>::new();
        for interval in self.intervals.iter().filter(|it| it.start < it.end) {
            let node = Node { interval, last_end: interval.end };
            chroms.entry(interval.chrom.as_str()).or_default().push(node);
        }
        for nodes in chroms.values_mut() {
            nodes.sort_by_key(|node| node.interval.start);
            raise_ends(nodes);
        }
        IntervalIndex { chroms }
    }
}

/// Sets the last end of each node; that of the root, or 0 where there is none.
fn raise_ends(nodes: &mut [Node<'_>]) -> u64 {
    let (left, rest) = nodes.split_at_mut(nodes.len() / 2);
    let Some((root, right)) = rest.split_first_mut() else { return 0 };
    root.last_end = root.last_end.max(raise_ends(left)).max(raise_ends(right));
    root.last_end
}

impl<'a> IntervalIndex<'a> {
    /// The intervals that share a base with `range`, in the order of their starts, those of one start as they are in the
    /// track. An empty interval and an empty range share no base with anything. For `k` intervals of `n` it takes
    /// `O((1 + k) log n)` at most, and `O(log n + k)` where they follow each other.
    pub fn overlapping(&self, chrom: &str, range: Range<u64>) -> Overlaps<'_, 'a> {
        let nodes = self.chroms.get(chrom).filter(|_| !range.is_empty());
        Overlaps { range, to_do: nodes.map(|nodes| Step::Look(nodes)).into_iter().collect() }
    }
}

/// The intervals that [`IntervalIndex::overlapping`] finds.
#[derive(Clone, Debug)]
pub struct Overlaps<'i, 'a> {
    range: Range<u64>,
    /// The last one comes first.
    to_do: Vec<Step<'i, 'a>>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'i, 'a> {
    Look(&'i [Node<'a>]),
    Give(&'a Interval),
}

impl<'a> Iterator for Overlaps<'_, 'a> {
    type Item = &'a Interval;

    fn next(&mut self) -> Option<&'a Interval> {
        loop {
            let nodes = match self.to_do.pop()? {
                Step::Give(interval) => return Some(interval),
                Step::Look(nodes) => nodes,
            };
            let (left, rest) = nodes.split_at(nodes.len() / 2);
            let Some((root, right)) = rest.split_first() else { continue };
            if root.last_end <= self.range.start {
                continue;
            }
            if root.interval.start < self.range.end {
                self.to_do.push(Step::Look(right));
                if root.interval.end > self.range.start {
                    self.to_do.push(Step::Give(root.interval));
                }
            }
            self.to_do.push(Step::Look(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn track(places: &[(&str, u64, u64)]) -> IntervalTrack {
        let interval = |&(chrom, start, end): &(&str, u64, u64)| Interval {
            chrom: chrom.to_owned(),
            start,
            end,
            ..Interval::default()
        };
        IntervalTrack { label: "x".into(), intervals: places.iter().map(interval).collect() }
    }

    #[test]
    fn ranges_are_half_open_and_empty_ones_share_no_base() {
        let track = track(&[("a", 5, 10), ("b", 5, 10), ("a", 7, 7), ("a", 0, 6), ("a", 10, 12)]);
        let index = track.index();
        let starts =
            |chrom, range| index.overlapping(chrom, range).map(|it| it.start).collect::<Vec<_>>();
        assert_eq!(starts("a", 0..20), [0, 5, 10]);
        assert_eq!(starts("a", 6..10), [5]);
        assert_eq!(starts("a", 9..11), [5, 10]);
        for (chrom, range) in [("a", 12..u64::MAX), ("a", 7..7), ("b", 0..5), ("c", 0..20)] {
            assert!(starts(chrom, range).is_empty());
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            places in prop::collection::vec((prop::sample::select(vec!["a", "b"]), 0..60_u64, 0..30_u64), 0..80),
            queries in prop::collection::vec((0..90_u64, 0..40_u64), 1..20),
        ) {
            let places: Vec<_> = places.iter().map(|(chrom, start, len)| (*chrom, *start, start + len)).collect();
            let track = track(&places);
            let index = track.index();
            for (start, len) in queries {
                let range = start..start + len;
                let shares = |it: &&Interval| {
                    it.chrom == "a" && it.start.max(range.start) < it.end.min(range.end)
                };
                let mut expected: Vec<_> = track.intervals.iter().filter(shares).collect();
                expected.sort_by_key(|it| it.start);
                let found: Vec<_> = index.overlapping("a", range.clone()).collect();
                prop_assert!(found.len() == expected.len());
                prop_assert!(found.iter().zip(&expected).all(|(a, b)| std::ptr::eq(*a, *b)));
            }
        }
    }
}
