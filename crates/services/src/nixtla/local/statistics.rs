//! Statistics of the local models.

/// The half-width, in standard deviations, of the interval that contains `level` of a normal distribution (Abramowitz
/// and Stegun 26.2.23, exact to 4.5e-4).
pub(super) fn normal_half_width(level: f64) -> f64 {
    let tail = ((1.0 - level) / 2.0).clamp(1e-12, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}

/// The middle value; reorders `values`, which must not be empty.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

/// The mean of the absolute values, at least the smallest positive number: the scale of a series.
pub(super) fn mean_absolute_value(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    // Divided first: the sum of large values is not finite.
    let mean: f64 = values.iter().map(|value| value.abs() / count).sum();
    mean.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_widths_of_the_usual_levels() {
        for (level, expected) in [(0.8, 1.2816), (0.95, 1.9600), (0.99, 2.5758), (0.0, 0.0)] {
            assert!(
                (normal_half_width(level) - expected).abs() < 1e-3,
                "{level}"
            );
        }
    }

    #[test]
    fn the_median_of_odd_and_even_counts() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }
}
