//! Which layer each node is in.

use std::collections::VecDeque;

/// The layer of each node: the one after the last of its inputs, or just before its first use where that makes the edges
/// shorter in all.
///
/// Damaged data may hold cycles: one is cut before its first node.
pub(super) fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut uses = vec![Vec::new(); count];
    let mut inputs = vec![0_usize; count];
    for &(from, to) in edges {
        uses[from].push(to);
        inputs[to] += 1;
    }
    let (order, mut layers) = longest_paths(&uses, inputs.clone());
    for node in order.into_iter().rev().filter(|&node| uses[node].len() >= inputs[node]) {
        let later = uses[node].iter().map(|&user| layers[user]).filter(|user| *user > layers[node]);
        if let Some(first) = later.min() {
            layers[node] = first - 1;
        }
    }
    layers
}

/// The nodes in an order in which each comes after its inputs, and their layers; `waiting` counts the inputs of each.
fn longest_paths(uses: &[Vec<usize>], mut waiting: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let count = uses.len();
    let mut layers = vec![0; count];
    let mut order = Vec::with_capacity(count);
    let mut is_placed = vec![false; count];
    let mut ready: VecDeque<usize> = (0..count).filter(|&node| waiting[node] == 0).collect();
    let mut cuts = 0..count;
    while let Some(node) = ready.pop_front().or_else(|| cuts.find(|&node| !is_placed[node])) {
        is_placed[node] = true;
        order.push(node);
        for &user in uses[node].iter().filter(|&&user| !is_placed[user]) {
            layers[user] = layers[user].max(layers[node] + 1);
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.push_back(user);
            }
        }
    }
    (order, layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_the_longest_path() {
        let diamond = [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)];
        assert_eq!(layers(4, &diamond), [0, 1, 1, 2]);
    }

    #[test]
    fn what_is_used_late_is_late() {
        assert_eq!(layers(5, &[(0, 1), (1, 2), (3, 2), (4, 3)]), [0, 1, 2, 1, 0]);
        assert_eq!(layers(4, &[(0, 1), (1, 2), (3, 2)]), [0, 1, 2, 1]);
    }

    #[test]
    fn cycles_are_cut() {
        assert_eq!(layers(1, &[(0, 0)]), [0]);
        assert_eq!(layers(3, &[(0, 1), (1, 2), (2, 0)]), [0, 1, 2]);
        assert_eq!(layers(4, &[(3, 0), (0, 1), (1, 0), (1, 2)]), [1, 2, 3, 0]);
    }
}
