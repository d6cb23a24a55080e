//! Axes: from values to pixels, and where the ticks go.

/// What rounding may have added to a multiple.
const SLACK: f64 = 1e-9;

/// A linear map from values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
}

impl Scale {
    /// Maps the two values of `domain`, which must differ, to the two pixels of `range`.
    pub(super) fn new(domain: (f64, f64), range: (f64, f64)) -> Self {
        Self { domain, range }
    }

    /// The pixel of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.domain.0) / (self.domain.1 - self.domain.0);
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// The multiples of 1, 2 or 5 times a power of ten in the domain, about `count` of them, with as
    /// many decimals as they need.
    pub(super) fn ticks(&self, count: usize) -> (Vec<f64>, usize) {
        let (low, high) = self.domain;
        let step = nice_step((high - low) / count as f64);
        let first = (low / step - SLACK).ceil() as i64;
        let last = (high / step + SLACK).floor() as i64;
        let decimals = (-(step.log10() + SLACK).floor()).max(0.0) as usize;
        ((first..=last).map(|i| i as f64 * step).collect(), decimals)
    }
}

/// A round number that no value exceeds in size, at least `least`.
pub(super) fn round_reach(values: impl Iterator<Item = f64>, least: f64) -> f64 {
    let largest = values.map(f64::abs).fold(least, f64::max);
    let step = nice_step(largest / 5.0);
    (largest / step - SLACK).ceil() * step
}

/// Two round numbers that all values lie between, at least `margin` on each side of `middle`.
pub(super) fn round_bounds(
    values: impl Iterator<Item = f64>,
    middle: f64,
    margin: f64,
) -> (f64, f64) {
    let (low, high) = values.fold((middle - margin, middle + margin), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let step = nice_step((high - low) / 4.0);
    ((low / step + SLACK).floor() * step, (high / step - SLACK).ceil() * step)
}

/// The least of 1, 2, 5 and 10 times a power of ten that is no less than `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - SLACK));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_both_ways_round() {
        let scale = Scale::new((-1.0, 1.0), (200.0, 100.0));
        assert_eq!([-1.0, 0.0, 1.0].map(|value| scale.at(value)), [200.0, 150.0, 100.0]);
    }

    #[test]
    fn ticks_are_round_numbers_within_the_domain() {
        let ticks = |low, high, count| Scale::new((low, high), (0.0, 1.0)).ticks(count);
        assert_eq!(
            ticks(0.0, 48.5, 10),
            (vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0], 0)
        );
        assert_eq!(ticks(-0.5, 0.5, 4), (vec![-0.5, 0.0, 0.5], 1));
        assert_eq!(ticks(0.03, 0.09, 3).1, 2);
        assert_eq!(ticks(0.0, 1.0, 10).0.len(), 11);
    }

    #[test]
    fn steps_are_1_2_5() {
        let steps = [0.7, 1.0, 1.1, 2.5, 5.5, 10.0].map(nice_step);
        assert_eq!(steps, [1.0, 1.0, 2.0, 5.0, 10.0, 10.0]);
    }

    #[test]
    fn bounds_are_round_and_hold_every_value() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(round_reach([0.1, -0.27].into_iter(), 0.1), 0.3));
        assert!(near(round_reach([].into_iter(), 10.0), 10.0));
        let (low, high) = round_bounds([0.36, 0.63].into_iter(), 0.5, 0.05);
        assert!(near(low, 0.3) && near(high, 0.7));
        let (low, high) = round_bounds([].into_iter(), 0.5, 0.05);
        assert!(near(low, 0.45) && near(high, 0.55), "{low} {high}");
    }
}
