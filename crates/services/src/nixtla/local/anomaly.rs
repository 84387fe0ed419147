//! Anomaly detection: points far from the values that their neighbours and season predict.

use augurs::{
    forecaster::{
        Transformer,
        transforms::{BoxCox, YeoJohnson},
    },
    mstl::stlrs,
};

use super::{
    model::positive,
    statistics::{mean_absolute_value, median, normal_half_width},
};

/// The number of nearest other points whose line predicts a point.
const NEIGHBOURS: usize = 10;
/// The fewest other points that a prediction needs.
const MIN_NEIGHBOURS: usize = 4;
/// The factor from the median of absolute deviations to the standard deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// The expected value of a point, and its distance from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredPoint {
    /// The expected value.
    pub expected: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// The distance from the expected value in half-widths of the interval; above 1 is an anomaly.
    pub score: f64,
}

impl ScoredPoint {
    /// The score of a point with this `value` by an interval; `smallest` is the lower bound of the half-width.
    pub fn new(value: f64, expected: f64, lower: f64, upper: f64, smallest: f64) -> Self {
        let half_width = if value > expected {
            upper - expected
        } else {
            expected - lower
        };
        Self {
            expected,
            lower,
            upper,
            score: (value - expected).abs() / half_width.max(smallest),
        }
    }

    /// The same point with its values multiplied by `unit`, clamped to finite numbers.
    fn scale_by(self, unit: f64) -> Self {
        let scaled = |value: f64| (value * unit).clamp(f64::MIN, f64::MAX);
        Self {
            expected: scaled(self.expected),
            lower: scaled(self.lower),
            upper: scaled(self.upper),
            score: self.score,
        }
    }
}

/// Scores each point of a series with seasons of these lengths; `None` when it is too short.
pub fn score_anomalies(values: &[f64], seasons: &[usize], level: f64) -> Option<Vec<ScoredPoint>> {
    if values.len() <= MIN_NEIGHBOURS {
        return None;
    }
    // Scaled by a power of two, which loses no bit, so that no step overflows.
    let unit = mean_absolute_value(values).log2().floor().exp2();
    let scaled: Vec<f64> = values.iter().map(|value| value / unit).collect();
    let values = &scaled[..];
    let plain = predict_range(values, seasons, level);
    // A transform that stabilises the variance bends straight lines, so it is used only where it predicts better.
    let range = match predict_range_transformed(values, seasons, level) {
        Some(transformed) if median_error(values, &transformed) < median_error(values, &plain) => {
            transformed
        }
        _ => plain,
    };
    let smallest = 1e-9 * mean_absolute_value(values);
    let score_point = |k: usize| {
        let (expected, lower, upper) = (range.expected[k], range.lower[k], range.upper[k]);
        ScoredPoint::new(values[k], expected, lower, upper, smallest).scale_by(unit)
    };
    Some((0..values.len()).map(score_point).collect())
}

fn median_error(values: &[f64], range: &ExpectedRange) -> f64 {
    let errors = values.iter().zip(&range.expected);
    median(&mut errors.map(|(v, e)| (v - e).abs()).collect::<Vec<_>>())
}

/// The range after a variance-stabilising transform; `None` where there is none for these values.
fn predict_range_transformed(
    values: &[f64],
    seasons: &[usize],
    level: f64,
) -> Option<ExpectedRange> {
    let mut scaled = values.to_vec();
    let mut transformer = if positive(values) {
        BoxCox::new().boxed()
    } else {
        YeoJohnson::new().boxed()
    };
    transformer.fit(&winsorize(&scaled)).ok()?;
    transformer.transform(&mut scaled).ok()?;
    let mut range = predict_range(&scaled, seasons, level);
    for side in [&mut range.expected, &mut range.lower, &mut range.upper] {
        transformer.inverse_transform(side).ok()?;
        side.iter().all(|value| value.is_finite()).then_some(())?;
    }
    Some(range)
}

/// The values with the outermost fortieth on each side clamped, so that an anomaly does not decide the transform.
fn winsorize(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = sorted.len().div_ceil(40);
    let (low, high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    values.iter().map(|value| value.clamp(low, high)).collect()
}

struct ExpectedRange {
    expected: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

fn predict_range(values: &[f64], seasons: &[usize], level: f64) -> ExpectedRange {
    let seasonal = seasonal_part(values, seasons);
    let rest: Vec<f64> = values.iter().zip(&seasonal).map(|(v, s)| v - s).collect();
    let lines: Vec<(f64, f64)> = (0..rest.len())
        .map(|at| predict_from_neighbours(&rest, at))
        .collect();
    // In deviations of the noise, so that points at the ends count like the others.
    let mut errors: Vec<f64> = rest
        .iter()
        .zip(&lines)
        .map(|(value, (expected, spread))| (value - expected).abs() / spread)
        .collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let deviation = match median(&mut errors) * MAD_TO_DEVIATION {
        // Most points are exactly where they are expected; √(π/2) makes the mean an estimate too.
        0.0 => mean * 1.2533,
        deviation => deviation,
    };
    let reach = normal_half_width(level) * deviation;
    let bound = |side: f64| {
        lines
            .iter()
            .zip(&seasonal)
            .map(|((expected, spread), season)| expected + season + side * reach * spread)
            .collect()
    };
    ExpectedRange {
        expected: bound(0.0),
        lower: bound(-1.0),
        upper: bound(1.0),
    }
}

/// The sum of the seasons, by a decomposition that single points do not bend; zeros where there is none.
fn seasonal_part(values: &[f64], seasons: &[usize]) -> Vec<f64> {
    let seasons: Vec<usize> = seasons
        .iter()
        .copied()
        .filter(|season| 2 * season <= values.len())
        .collect();
    let mut sum = vec![0.0; values.len()];
    if seasons.is_empty() {
        return sum;
    }
    let mut stl = stlrs::params();
    stl.robust(true);
    if let Ok(fit) = stlrs::MstlParams::new()
        .stl_params(stl)
        .fit(values, &seasons)
    {
        for component in fit.seasonal() {
            for (sum, part) in sum.iter_mut().zip(component) {
                *sum += part;
            }
        }
    }
    sum
}

/// The position of a point by its nearest others (the Theil–Sen line through them), and how much wider than the noise
/// the error of that is.
fn predict_from_neighbours(values: &[f64], at: usize) -> (f64, f64) {
    let count = NEIGHBOURS.min(values.len() - 1);
    let first = at.saturating_sub(count / 2).min(values.len() - 1 - count);
    let others: Vec<(f64, f64)> = (first..=first + count)
        .filter(|k| *k != at)
        .map(|k| (k as f64 - at as f64, values[k]))
        .collect();
    let mut slopes: Vec<f64> = others
        .iter()
        .enumerate()
        .flat_map(|(k, (x, y))| others[..k].iter().map(move |(u, v)| (y - v) / (x - u)))
        .collect();
    let slope = median(&mut slopes);
    let mut intercepts: Vec<f64> = others.iter().map(|(x, y)| y - slope * x).collect();
    let count = others.len() as f64;
    let mean = others.iter().map(|(x, _)| x).sum::<f64>() / count;
    let squares: f64 = others.iter().map(|(x, _)| (x - mean).powi(2)).sum();
    (
        median(&mut intercepts),
        (1.0 + 1.0 / count + mean.powi(2) / squares).sqrt(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anomalies(values: &[f64], seasons: &[usize]) -> Vec<usize> {
        score_anomalies(values, seasons, 0.99)
            .unwrap()
            .iter()
            .enumerate()
            .filter(|(_, point)| point.score > 1.0)
            .map(|(k, _)| k)
            .collect()
    }

    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count)
            .map(|_| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0)
            .collect()
    }

    #[test]
    fn a_spike_is_found_without_its_neighbours() {
        let mut values: Vec<f64> = noise(3, 60).iter().map(|n| 100.0 + n).collect();
        values[30] += 15.0;
        values[0] -= 20.0;
        let found = anomalies(&values, &[]);
        assert!(found.contains(&30) && found.contains(&0), "{found:?}");
        assert!(found.len() <= 4, "{found:?}");
    }

    #[test]
    fn a_value_that_is_usual_at_another_time_of_day_is_found() {
        let mut values: Vec<f64> = noise(5, 24 * 8)
            .iter()
            .enumerate()
            .map(|(k, n)| 100.0 + 40.0 * (k as f64 * std::f64::consts::TAU / 24.0).sin() + n)
            .collect();
        values[24 * 5 + 6] = 60.0; // what it is twelve hours later
        let found = anomalies(&values, &[24, 168]);
        assert!(found.contains(&(24 * 5 + 6)), "{found:?}");
        assert!(found.len() <= 8, "{found:?}");
    }

    #[test]
    fn about_one_in_a_hundred_normal_points_is_an_anomaly() {
        let values: Vec<f64> = noise(11, 2000).iter().map(|n| 50.0 + n).collect();
        let share = anomalies(&values, &[]).len() as f64 / 2000.0;
        assert!(share < 0.03, "{share}");
    }

    #[test]
    fn a_line_and_a_constant_have_no_anomalies() {
        let line: Vec<f64> = (0..50).map(|k| 3.0 * f64::from(k) - 20.0).collect();
        assert_eq!(anomalies(&line, &[7]), Vec::<usize>::new());
        assert_eq!(anomalies(&[4.0; 20], &[7]), Vec::<usize>::new());
    }

    #[test]
    fn a_jump_out_of_a_constant_scores_high_and_stays_finite() {
        let mut values = vec![4.0; 30];
        values[12] = 9.0;
        let scored = score_anomalies(&values, &[], 0.99).unwrap();
        assert!(scored[12].score > 1.0 && scored[12].score.is_finite());
        assert_eq!(anomalies(&values, &[]), [12]);
    }

    #[test]
    fn numbers_at_the_edges_of_the_range_are_scored() {
        for size in [f64::MAX, 1e308, 9e307, 1e-300, f64::MIN_POSITIVE] {
            let mut values: Vec<f64> = (0..40)
                .map(|k| size * (0.8 + 0.01 * f64::from(k % 5)))
                .collect();
            values[17] = -values[17];
            for seasons in [&[][..], &[7]] {
                let scored = score_anomalies(&values, seasons, 0.99).unwrap();
                assert!(scored[17].score > 1.0, "{size}: {:?}", scored[17]);
                for point in scored {
                    let numbers = [point.expected, point.lower, point.upper, point.score];
                    assert!(numbers.iter().all(|n| n.is_finite()), "{size}: {point:?}");
                }
            }
        }
    }

    #[test]
    fn too_few_points_are_not_scored() {
        assert_eq!(score_anomalies(&[1.0, 2.0, 30.0, 4.0], &[], 0.99), None);
    }
}
