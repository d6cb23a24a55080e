//! Alternating rounds and what is told of them.

use std::{error::Error, time::Instant};

/// One way to do the work. The argument is the number of the call, from 0 on.
pub(crate) type Work<'a> = Box<dyn FnMut(usize) -> Result<(), Box<dyn Error>> + 'a>;

/// Times `calls` calls of each contender in each of `rounds` rounds, in turn, and prints a row for each: the median
/// time of a call, and the median of its ratios to the first contender, the floor, in the same round.
pub(crate) fn compare(
    title: &str,
    rounds: usize,
    calls: usize,
    mut contenders: Vec<(&str, Work<'_>)>,
) -> Result<(), Box<dyn Error>> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for ((_, work), times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for call in 0..calls {
                work(round * calls + call)?;
            }
            // The first round warms up.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() / calls as f64);
            }
        }
    }
    println!("| {title} | median, us | of the floor |\n|---|---:|---:|");
    for ((name, _), own) in contenders.iter().zip(&times) {
        let ratios = own.iter().zip(&times[0]).map(|(own, floor)| own / floor).collect();
        println!("| {name} | {:.2} | {:.2} |", median(own.clone()) * 1e6, median(ratios));
    }
    println!();
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
