//! Which layer each node is in.

use std::collections::VecDeque;

/// The layer of each node: the one after the last of its inputs; for what has none, the one before its first use.
///
/// Damaged data may hold cycles: one is cut before its first node.
pub(super) fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut outgoing = vec![Vec::new(); count];
    let mut waiting = vec![0; count];
    for &(from, to) in edges {
        outgoing[from].push(to);
        waiting[to] += 1;
    }
    let roots: Vec<usize> = (0..count).filter(|&node| waiting[node] == 0).collect();
    let mut layers = vec![0; count];
    let mut is_placed = vec![false; count];
    let mut ready = VecDeque::from(roots.clone());
    let mut cuts = 0..count;
    while let Some(node) = ready.pop_front().or_else(|| cuts.find(|&node| !is_placed[node])) {
        is_placed[node] = true;
        for &child in outgoing[node].iter().filter(|&&child| !is_placed[child]) {
            layers[child] = layers[child].max(layers[node] + 1);
            waiting[child] -= 1;
            if waiting[child] == 0 {
                ready.push_back(child);
            }
        }
    }
    for root in roots {
        let first = outgoing[root].iter().map(|&child| layers[child]).min();
        layers[root] = first.map_or(0, |first: usize| first.saturating_sub(1));
    }
    layers
}
