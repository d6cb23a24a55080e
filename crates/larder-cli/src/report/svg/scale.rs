//! Axes: from values to pixels, and where the ticks go.

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
        let slack = 1e-9;
        let first = (low / step - slack).ceil() as i64;
        let last = (high / step + slack).floor() as i64;
        let decimals = (-(step.log10() + slack).floor()).max(0.0) as usize;
        ((first..=last).map(|i| i as f64 * step).collect(), decimals)
    }
}

/// The least of 1, 2, 5 and 10 times a power of ten that is no less than `step`.
pub(super) fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
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
}
