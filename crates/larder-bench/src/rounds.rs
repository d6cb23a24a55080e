//! Alternating rounds and what is told of them.

use std::time::Instant;

use crate::Outcome;

/// One way to do the work. The argument is the number of the call, from 0 on.
pub(crate) type Work<'a> = Box<dyn FnMut(usize) -> Outcome + 'a>;

/// One round of the work, by its number: tells what each call took in seconds.
pub(crate) type Turn<'a> = Box<dyn FnMut(usize) -> Outcome<Vec<f64>> + 'a>;

/// What one contender took.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Of times, the median of the calls.
    pub(crate) value: f64,
    /// Of times, the median, over the rounds, of the ratio to the floor in the same round.
    pub(crate) of_floor: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    /// Of something whole, from 0 to 1.
    Share,
}

/// The contenders at one piece of work; the first is the floor.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) rounds: usize,
    /// How many things one call is about. Where there are several, their number in a second is told too.
    pub(crate) things: usize,
    pub(crate) rows: Vec<Row>,
}

/// Times `calls` calls of each contender as one, in each of `rounds` rounds.
pub(crate) fn compare(
    title: &str,
    rounds: usize,
    calls: usize,
    contenders: Vec<(&str, Work<'_>)>,
) -> Outcome<Table> {
    let turn = |(name, work)| (name, as_one(calls, work));
    compare_turns(title, rounds, contenders.into_iter().map(turn).collect())
}

/// A turn of `calls` calls, of which it tells what one took on average.
fn as_one(calls: usize, mut work: Work<'_>) -> Turn<'_> {
    Box::new(move |round| {
        let took = once(|| (0..calls).try_for_each(|call| work(round * calls + call)))?;
        Ok(took.into_iter().map(|seconds| seconds / calls as f64).collect())
    })
}

/// Gives each contender its turn in each of `rounds` rounds. The one that begins changes from round to round, so that
/// none always follows the same other.
pub(crate) fn compare_turns(
    title: &str,
    rounds: usize,
    mut contenders: Vec<(&str, Turn<'_>)>,
) -> Outcome<Table> {
    eprintln!("{title}");
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let now = (round + turn) % contenders.len();
            let took = contenders[now].1(round)?;
            // The first round warms up.
            if round > 0 {
                times[now].push(took);
            }
        }
    }
    let medians = |own: &[Vec<f64>]| own.iter().cloned().map(median).collect::<Vec<_>>();
    let floor = medians(&times[0]);
    let row = |(name, own): (&str, &Vec<Vec<f64>>)| {
        let ratios = medians(own).iter().zip(&floor).map(|(own, floor)| own / floor).collect();
        Row { name: name.into(), value: median(own.concat()), of_floor: median(ratios) }
    };
    let rows = contenders.iter().map(|(name, _)| *name).zip(&times).map(row).collect();
    Ok(Table { title: title.into(), unit: Unit::Seconds, rounds, things: 1, rows })
}

/// What each call took in seconds, on average over groups of `group` that follow each other.
pub(crate) fn each<T>(
    group: usize,
    items: &[T],
    mut work: impl FnMut(&T) -> Outcome,
) -> Outcome<Vec<f64>> {
    let mut took = Vec::with_capacity(items.len().div_ceil(group));
    for items in items.chunks(group) {
        let start = Instant::now();
        items.iter().try_for_each(&mut work)?;
        took.push(start.elapsed().as_secs_f64() / items.len() as f64);
    }
    Ok(took)
}

/// What a single call took in seconds.
pub(crate) fn once(mut work: impl FnMut() -> Outcome) -> Outcome<Vec<f64>> {
    each(1, &[()], |()| work())
}

/// What a call took in seconds, and its result, which is not dropped in that time.
pub(crate) fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(f64, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed().as_secs_f64(), result))
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

    #[test]
    fn medians_are_over_all_calls_and_ratios_over_rounds() {
        let floor: Turn<'_> = Box::new(|round| Ok(vec![round as f64; 3]));
        let other: Turn<'_> = Box::new(|round| Ok(vec![2.0 * round as f64; round]));
        let table = compare_turns("work", 3, vec![("floor", floor), ("other", other)]).unwrap();
        // 2, 4, 4, 6, 6, 6: the warm-up is not counted.
        assert_eq!(table.rows[1].value, 5.0);
        assert_eq!(table.rows[1].of_floor, 2.0);
    }

    #[test]
    fn a_group_is_timed_as_one() {
        let mut done = Vec::new();
        let work = |item: &i32| {
            done.push(*item);
            Ok(())
        };
        assert_eq!(each(2, &[1, 2, 3, 4, 5], work).unwrap().len(), 3);
        assert_eq!(done, [1, 2, 3, 4, 5]);
    }
}
