//! The order within each layer, and how high everything lies.

use std::{iter, ops::Range};

use super::{Size, layer::layers};

/// The room between boxes of one layer, and between bends.
const GAP: f64 = 14.0;
/// How much more a bend is worth than a node where both want one place.
const BEND_WEIGHT: f64 = 3.0;

/// The nodes and the bends, each in its layer. Bends come after the nodes.
pub(super) struct Grid {
    /// The layer of each node.
    pub(super) layer_of: Vec<usize>,
    /// The nodes and bends of each layer, from top to bottom.
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) heights: Vec<f64>,
    /// The middle of each from the top.
    pub(super) middles: Vec<f64>,
    /// The neighbours of each in the layer before, and in the one after.
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    /// The first of the bends that the edges of each node share.
    first_bend: Vec<usize>,
}

impl Grid {
    pub(super) fn new(sizes: &[Size], edges: &[(usize, usize)]) -> Self {
        let layer_of = layers(sizes.len(), edges);
        let mut grid = Self {
            layers: vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)],
            heights: sizes.iter().map(|size| size.height).collect(),
            middles: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            first_bend: vec![0; sizes.len()],
            layer_of,
        };
        for (node, &layer) in grid.layer_of.iter().enumerate() {
            grid.layers[layer].push(node);
        }
        grid.add_bends(edges);
        grid.link(edges);
        grid.middles = vec![0.0; grid.heights.len()];
        for layer in 0..grid.layers.len() {
            grid.settle(layer);
        }
        grid
    }

    fn add_bends(&mut self, edges: &[(usize, usize)]) {
        let mut reach = self.layer_of.clone();
        for &(from, to) in edges {
            reach[from] = reach[from].max(self.layer_of[to]);
        }
        for (node, last) in reach.into_iter().enumerate() {
            self.first_bend[node] = self.heights.len();
            for layer in self.layer_of[node] + 1..last {
                self.layers[layer].push(self.heights.len());
                self.heights.push(0.0);
            }
        }
    }

    /// The bends that the edge goes through.
    pub(super) fn bends(&self, (from, to): (usize, usize)) -> Range<usize> {
        let count = self.layer_of[to].saturating_sub(self.layer_of[from] + 1);
        self.first_bend[from]..self.first_bend[from] + count
    }

    fn link(&mut self, edges: &[(usize, usize)]) {
        self.before = vec![Vec::new(); self.heights.len()];
        self.after = self.before.clone();
        for &(from, to) in edges {
            if self.layer_of[from] >= self.layer_of[to] {
                // It closes a cycle, and moves nothing.
                continue;
            }
            let mut last = from;
            for place in self.bends((from, to)).chain([to]) {
                // Or else another edge of the same source came this way.
                if !self.is_bend(place) || self.before[place].is_empty() {
                    self.after[last].push(place);
                    self.before[place].push(last);
                }
                last = place;
            }
        }
    }

    /// How far up or down the steepest of the edges goes that reach these.
    pub(super) fn steepest(&self, places: &[usize]) -> f64 {
        let rise = |&place: &usize| {
            let before = self.before[place].iter().map(|&from| self.middles[from]);
            before.map(|from| (from - self.middles[place]).abs()).fold(0.0, f64::max)
        };
        places.iter().map(rise).fold(0.0, f64::max)
    }

    fn is_bend(&self, place: usize) -> bool {
        place >= self.layer_of.len()
    }

    /// Goes through the layers, and moves what is in each to its neighbours: those in the layer that was passed, and
    /// then the order may change, or those on both sides, and then it stays.
    pub(super) fn sweep(&mut self, is_forward: bool, keeps_order: bool) {
        for step in 0..self.layers.len() {
            let layer = if is_forward { step } else { self.layers.len() - 1 - step };
            let wanted: Vec<(usize, f64)> = self.layers[layer]
                .iter()
                .map(|&place| {
                    let before = self.before[place].iter().filter(|_| is_forward || keeps_order);
                    let after = self.after[place].iter().filter(|_| !is_forward || keeps_order);
                    (place, self.mean(before.chain(after)).unwrap_or(self.middles[place]))
                })
                .collect();
            for (place, middle) in wanted {
                self.middles[place] = middle;
            }
            if !keeps_order {
                let middles = &self.middles;
                self.layers[layer].sort_by(|a, b| middles[*a].total_cmp(&middles[*b]));
            }
            self.settle(layer);
        }
    }

    fn mean<'a>(&self, places: impl Iterator<Item = &'a usize>) -> Option<f64> {
        let (sum, count) = places
            .fold((0.0, 0.0), |(sum, count), place| (sum + self.middles[*place], count + 1.0));
        (count > 0.0).then(|| sum / count)
    }

    /// Moves what is in the layer apart, in its order, and as little as possible: the sum of the squares of the ways is
    /// the least there is.
    fn settle(&mut self, layer: usize) {
        let mut offset = 0.0;
        let mut last_height = 0.0;
        let mut offsets = Vec::with_capacity(self.layers[layer].len());
        // Neighbours that would overlap become one block: the middle that it wants, less the offset, its weight and size.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        for &place in &self.layers[layer] {
            let height = self.heights[place];
            if !offsets.is_empty() {
                offset += f64::midpoint(last_height, height) + GAP;
            }
            last_height = height;
            offsets.push(offset);
            let weight = if self.is_bend(place) { BEND_WEIGHT } else { 1.0 };
            let mut block = (self.middles[place] - offset, weight, 1);
            while let Some(above) = blocks.pop_if(|above| above.0 > block.0) {
                let weight = above.1 + block.1;
                let middle = (above.0 * above.1 + block.0 * block.1) / weight;
                block = (middle, weight, above.2 + block.2);
            }
            blocks.push(block);
        }
        let middles = blocks.iter().flat_map(|&(middle, _, size)| iter::repeat_n(middle, size));
        for ((&place, middle), offset) in self.layers[layer].iter().zip(middles).zip(offsets) {
            self.middles[place] = middle + offset;
        }
    }
}
