//! Alternating rounds and what is told of them.

use std::time::Instant;

use crate::Outcome;

/// One way to do the work. The argument is the number of the call, from 0 on.
pub(crate) type Work<'a> = Box<dyn FnMut(usize) -> Outcome + 'a>;

/// What one contender took.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The median time of a call in seconds.
    pub(crate) seconds: f64,
    /// The median of its ratios to the floor, round by round.
    pub(crate) of_floor: f64,
}

/// The contenders at one piece of work; the first is the floor.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

/// Times `calls` calls of each contender in each of `rounds` rounds. The one that begins changes from round to round,
/// so that none always follows the same other.
pub(crate) fn compare(
    title: &str,
    rounds: usize,
    calls: usize,
    mut contenders: Vec<(&str, Work<'_>)>,
) -> Outcome<Table> {
    eprintln!("{title}");
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let now = (round + turn) % contenders.len();
            let work = &mut contenders[now].1;
            let start = Instant::now();
            for call in 0..calls {
                work(round * calls + call)?;
            }
            // The first round warms up.
            if round > 0 {
                times[now].push(start.elapsed().as_secs_f64() / calls as f64);
            }
        }
    }
    let row = |(name, own): (&str, &Vec<f64>)| {
        let ratios = own.iter().zip(&times[0]).map(|(own, floor)| own / floor).collect();
        Row { name: name.into(), seconds: median(own.clone()), of_floor: median(ratios) }
    };
    let rows = contenders.iter().map(|(name, _)| *name).zip(&times).map(row).collect();
    Ok(Table { title: title.into(), rounds, rows })
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

    #[test]
    fn every_contender_does_every_call_once() {
        fn into(calls: &mut Vec<usize>) -> Work<'_> {
            Box::new(|call| {
                calls.push(call);
                Ok(())
            })
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let contenders = vec![("one", into(&mut one)), ("other", into(&mut other))];
        let table = compare("work", 2, 3, contenders).unwrap();
        assert_eq!(table.rows.iter().map(|row| &*row.name).collect::<Vec<_>>(), ["one", "other"]);
        assert_eq!(table.rows[0].of_floor, 1.0);
        assert_eq!(one, (0..9).collect::<Vec<_>>());
        assert_eq!(other, one);
    }
}
