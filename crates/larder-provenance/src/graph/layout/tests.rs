use super::*;
use crate::graph::{
    Graph,
    tests::{cyclic, random},
};

const SIZE: Size = Size { width: 100.0, height: 40.0, lead: 20.0 };

fn drawings() -> impl Iterator<Item = (Layout, Vec<(usize, usize)>)> {
    let lineages = [random(60, 12), random(60, 50), random(300, 40), random(2, 1), cyclic()];
    lineages.into_iter().map(|lineage| {
        let graph = Graph::new(&lineage);
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        // Of many heights.
        let size = |node: usize| Size { height: 20.0 + (node % 7) as f64 * 10.0, ..SIZE };
        let sizes: Vec<Size> = (0..graph.nodes.len()).map(size).collect();
        (lay_out(&sizes, &edges), edges)
    })
}

#[test]
fn boxes_are_inside_and_apart() {
    for (layout, _) in drawings() {
        for (index, a) in layout.boxes.iter().enumerate() {
            let (x, y) = (a.corner.x, a.corner.y);
            assert!(x >= 0.0 && x + a.width <= layout.width + 0.01);
            assert!(y >= -0.01 && y + a.height <= layout.height + 0.01);
            for b in &layout.boxes[..index] {
                let is_apart = (a.corner.x - b.corner.x).abs() >= 100.0
                    || a.corner.y >= b.corner.y + b.height
                    || b.corner.y >= a.corner.y + a.height;
                assert!(is_apart, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn edges_begin_and_end_at_their_boxes() {
    for (layout, edges) in drawings() {
        for (route, (from, to)) in layout.routes.iter().zip(edges) {
            let (start, end) = (layout.boxes[from], layout.boxes[to]);
            let (first, last) = (route[0], route[route.len() - 1]);
            assert_eq!(first.from.x, start.corner.x + start.width);
            assert_eq!(last.to_x, end.corner.x);
            assert!((first.from.y - start.corner.y - start.height / 2.0).abs() < 0.01);
            assert!(last.from.y > end.corner.y && last.from.y < end.corner.y + end.height);
        }
    }
}

#[test]
fn level_stretches_pass_no_box() {
    for (layout, _) in drawings() {
        for stretch in layout.routes.iter().flatten() {
            let passes = |rect: &Rect| {
                rect.corner.y < stretch.from.y
                    && stretch.from.y < rect.corner.y + rect.height
                    && rect.corner.x < stretch.to_x
                    && stretch.from.x < rect.corner.x + rect.width
            };
            assert!(!layout.boxes.iter().any(passes), "{stretch:?}");
        }
    }
}

#[test]
fn edges_of_a_tree_do_not_cross() {
    // Each node of a layer has one input in the layer before, given in an order that crosses.
    let edges = [(0, 5), (1, 4), (2, 3), (5, 6), (4, 7), (3, 8)];
    let layout = lay_out(&[SIZE; 9], &edges);
    let heights = |nodes: [usize; 3]| nodes.map(|node| layout.boxes[node].corner.y);
    assert_eq!(heights([0, 1, 2]), heights([5, 4, 3]));
    assert_eq!(heights([0, 1, 2]), heights([6, 7, 8]));
}

#[test]
fn edges_part_after_what_they_share() {
    // From 0 to the ends of a chain: both edges go through the same bends.
    let edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (0, 4)];
    let layout = lay_out(&[SIZE; 5], &edges);
    let [short, long] = [&layout.routes[4], &layout.routes[5]];
    assert_eq!(short[..2], long[..2]);
}
