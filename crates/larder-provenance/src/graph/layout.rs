//! Where the boxes and lines of a layered drawing lie: inputs on the left, results on the right.
//!
//! After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981): nodes
//! are put into layers by the longest path, an edge that passes layers gets a bend in each, and the layers are ordered
//! by the barycentre of their neighbours. Bends are shared by all edges of one source, so that they part late.

mod grid;
mod layer;
#[cfg(test)]
mod tests;

use grid::Grid;

/// The room between two layers, beside what [`Size::lead`] asks for: more where edges are steep.
const AISLE: f64 = 64.0;
const MAX_AISLE: f64 = 200.0;
const STEEPNESS: f64 = 5.0;
/// The least room between edges that reach one node; where there is less they meet in one point.
const MIN_STEP: f64 = 6.0;
/// How often the layers are ordered from left to right and back.
const SWEEPS: usize = 8;
/// How often, after that, they are moved to make the edges straight.
const SETTLING: usize = 4;

/// The room that a node takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// How long its edges run straight before they reach it.
    pub(super) lead: f64,
}

/// A place: `x` from the left, `y` from the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The box of a node. Those of one layer are equally wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) corner: Point,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A level stretch of an edge; from one to the next the edge curves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: Point,
    /// Where it ends, as high as it begins.
    pub(super) to_x: f64,
}

/// A drawing.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) boxes: Vec<Rect>,
    /// The stretches of each edge, from its source to its end.
    pub(super) routes: Vec<Vec<Stretch>>,
}

/// Lays out nodes of these sizes, with edges between their places.
pub(super) fn lay_out(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let mut grid = Grid::new(sizes, edges);
    for sweep in 0..SWEEPS {
        grid.sweep(sweep % 2 == 0, false);
    }
    for sweep in 0..SETTLING {
        grid.sweep(sweep % 2 == 0, true);
    }
    draw(&grid, sizes, edges)
}

/// The room from left to right that a layer takes.
struct Column {
    left: f64,
    width: f64,
    /// The most that a node of it asks for.
    lead: f64,
}

fn draw(grid: &Grid, sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let columns = columns(grid, sizes);
    let extent = |place: usize| {
        let (middle, half) = (grid.middles[place], grid.heights[place] / 2.0);
        (middle - half, middle + half)
    };
    let extents = || (0..grid.middles.len()).map(extent);
    let top = extents().map(|extent| extent.0).fold(f64::INFINITY, f64::min);
    let bottom = extents().map(|extent| extent.1).fold(top, f64::max);
    let rect = |node: usize| {
        let Column { left, width, .. } = columns[grid.layer_of[node]];
        let (upper, lower) = extent(node);
        Rect { corner: Point { x: left, y: upper - top }, width, height: lower - upper }
    };
    let boxes: Vec<Rect> = (0..sizes.len()).map(rect).collect();
    let routes = Router { grid, columns: &columns, boxes: &boxes, top }.routes(edges);
    let width = columns.last().map_or(0.0, |last| last.left + last.width);
    Layout { width, height: (bottom - top).max(0.0), boxes, routes }
}

fn columns(grid: &Grid, sizes: &[Size]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(grid.layers.len());
    for layer in &grid.layers {
        let most = |of: fn(&Size) -> f64| {
            layer.iter().filter_map(|&place| sizes.get(place)).map(of).fold(0.0, f64::max)
        };
        let (lead, width) = (most(|size| size.lead), most(|size| size.width));
        let aisle = (grid.steepest(layer) / STEEPNESS).clamp(AISLE, MAX_AISLE);
        let left = columns.last().map_or(0.0, |last| last.left + last.width + aisle + lead);
        columns.push(Column { left, width, lead });
    }
    columns
}

struct Router<'a> {
    grid: &'a Grid,
    columns: &'a [Column],
    boxes: &'a [Rect],
    /// The height at which the drawing begins.
    top: f64,
}

impl Router<'_> {
    /// The stretches of all edges. They leave a box in the middle of its right side, and reach one in points of its left
    /// side that are ordered as they come.
    fn routes(&self, edges: &[(usize, usize)]) -> Vec<Vec<Stretch>> {
        let mut routes: Vec<_> = edges.iter().map(|&edge| self.way(edge)).collect();
        let mut arriving = vec![Vec::new(); self.boxes.len()];
        for (index, &(_, to)) in edges.iter().enumerate() {
            arriving[to].push(index);
        }
        for (node, mut arriving) in arriving.into_iter().enumerate() {
            let Rect { corner, height, .. } = self.boxes[node];
            let from = |index: &usize| routes[*index].last().map_or(0.0, |last| last.from.y);
            arriving.sort_by(|a, b| from(a).total_cmp(&from(b)));
            let middle = (arriving.len() as f64 - 1.0) / 2.0;
            let step = Some(height / (middle + 1.0) / 2.0).filter(|step| *step >= MIN_STEP);
            let x = corner.x - self.columns[self.grid.layer_of[node]].lead;
            for (place, index) in arriving.into_iter().enumerate() {
                let from_middle = (place as f64 - middle) * step.unwrap_or(0.0);
                let y = corner.y + height / 2.0 + from_middle;
                push(&mut routes[index], Stretch { from: Point { x, y }, to_x: corner.x });
            }
        }
        routes
    }

    /// The stretches of an edge up to its last bend.
    fn way(&self, edge: (usize, usize)) -> Vec<Stretch> {
        let start = self.boxes[edge.0];
        let x = start.corner.x + start.width;
        let y = start.corner.y + start.height / 2.0;
        let mut route = vec![Stretch { from: Point { x, y }, to_x: x }];
        for (layer, bend) in (self.grid.layer_of[edge.0] + 1..).zip(self.grid.bends(edge)) {
            let Column { left, width, .. } = self.columns[layer];
            let from = Point { x: left, y: self.grid.middles[bend] - self.top };
            push(&mut route, Stretch { from, to_x: left + width });
        }
        route
    }
}

/// Adds a stretch, or makes the last one longer.
fn push(route: &mut Vec<Stretch>, stretch: Stretch) {
    match route.last_mut() {
        Some(last) if (last.from.y - stretch.from.y).abs() < 0.05 && last.to_x < stretch.from.x => {
            last.to_x = stretch.to_x;
        }
        _ => route.push(stretch),
    }
}
