//! Prediction intervals that keep their coverage (split conformal prediction).
//!
//! The width of the model's own intervals is corrected by its errors on the end of the history.

use super::{
    Band, Prediction,
    model::{Model, candidates},
    statistics::mean_absolute_value,
};

/// The number of times the model is fitted again on a shorter history. Each window adds errors and costs one fit.
const MAX_WINDOWS: usize = 5;
/// The number of points that are fitted; older ones add time and little information.
const MAX_HISTORY: usize = 4000;
/// The number of longest seasons that are fitted, where these take more points.
const MAX_LONGEST_SEASON_CYCLES: usize = 4;
/// For short horizons the windows look further ahead, to collect enough errors for a high level.
const MIN_WINDOW_STEPS: usize = 8;
/// The level whose band measures the errors.
const REFERENCE_LEVEL: f64 = 0.95;

/// Predicts `horizon` values of a series with seasons of these lengths, and a band for each level. `values` must
/// not be empty.
pub fn forecast(values: &[f64], seasons: &[usize], horizon: usize, levels: &[f64]) -> Prediction {
    let longest = seasons.iter().copied().max().unwrap_or_default();
    let history = MAX_HISTORY.max(MAX_LONGEST_SEASON_CYCLES * longest);
    let values = &values[values.len().saturating_sub(history)..];
    let models = candidates(values, seasons);
    let fitted = models
        .iter()
        .find_map(|model| Some((model, model.predict(values, horizon, levels)?)));
    let Some((model, mut prediction)) = fitted else {
        // The last candidate fails only where the numbers overflow.
        return Prediction {
            model: "Naive",
            point: vec![values[values.len() - 1]; horizon],
            bands: Vec::new(),
        };
    };
    if !levels.is_empty()
        && let Some(calibrated) = calibrate(model, values, horizon, levels, &prediction)
    {
        prediction.bands = calibrated;
    }
    prediction
}

/// Bands corrected by the model's errors; `None`, for its own bands, where the history is shorter than three horizons.
fn calibrate(
    model: &Model,
    values: &[f64],
    horizon: usize,
    levels: &[f64],
    prediction: &Prediction,
) -> Option<Vec<Band>> {
    let errors = relative_errors(model, values, horizon)?;
    let reference = model
        .predict(values, horizon, &[REFERENCE_LEVEL])?
        .bands
        .pop()?;
    let bands = levels.iter().zip(&prediction.bands).map(|(level, own)| {
        let Some(factor) = quantile(&errors, *level) else {
            return own.clone();
        };
        let widen = |bound: &[f64]| {
            prediction
                .point
                .iter()
                .zip(bound)
                .map(|(point, bound)| point + factor * (bound - point))
                .collect()
        };
        Band {
            level: *level,
            lower: widen(&reference.lower),
            upper: widen(&reference.upper),
        }
    });
    let mut bands: Vec<Band> = bands.collect();
    nest(&mut bands);
    Some(bands)
}

/// Widens each band to contain those of lower levels, which may have been computed in another way.
fn nest(bands: &mut [Band]) {
    let mut order: Vec<usize> = (0..bands.len()).collect();
    order.sort_by(|a, b| bands[*a].level.total_cmp(&bands[*b].level));
    for pair in order.windows(2) {
        let inner = bands[pair[0]].clone();
        let outer = &mut bands[pair[1]];
        for (bound, held) in outer.lower.iter_mut().zip(inner.lower) {
            *bound = bound.min(held);
        }
        for (bound, held) in outer.upper.iter_mut().zip(inner.upper) {
            *bound = bound.max(held);
        }
    }
}

/// The errors of the model on the ends of shorter and shorter histories, in half-widths of the reference band at
/// their step; sorted.
fn relative_errors(model: &Model, values: &[f64], horizon: usize) -> Option<Vec<f64>> {
    let steps = if values.len() >= 6 * MIN_WINDOW_STEPS {
        horizon.max(MIN_WINDOW_STEPS)
    } else {
        horizon
    };
    if values.len() < 3 * steps {
        return None;
    }
    // Half of the history stays for fitting.
    let windows = (values.len() / 2 / steps).clamp(1, MAX_WINDOWS);
    let smallest = 1e-9 * mean_absolute_value(values);
    let mut errors = Vec::with_capacity(windows * steps);
    for window in 1..=windows {
        let (known, held_back) = values.split_at(values.len() - window * steps);
        let predicted = model.predict(known, steps, &[REFERENCE_LEVEL])?;
        let band = predicted.bands.first()?;
        for (step, actual) in held_back.iter().take(steps).enumerate() {
            let point = predicted.point[step];
            let half_width = if *actual > point {
                band.upper[step] - point
            } else {
                point - band.lower[step]
            };
            errors.push((actual - point).abs() / half_width.max(smallest));
        }
    }
    errors.sort_unstable_by(f64::total_cmp);
    Some(errors)
}

/// The error that `level` of all errors do not exceed; `None` where there are too few.
fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let rank = ((sorted.len() + 1) as f64 * level).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise around a line, the same for the same seed.
    fn noisy_line(seed: u64, count: usize) -> Vec<f64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count)
            .map(|k| {
                let noise: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                50.0 + 0.2 * k as f64 + noise
            })
            .collect()
    }

    #[test]
    fn a_band_of_ninety_percent_holds_about_ninety_percent() {
        let (mut held, mut all) = (0, 0);
        for seed in 0..20 {
            let values = noisy_line(seed, 112);
            let (known, future) = values.split_at(100);
            let prediction = forecast(known, &[], 12, &[0.9]);
            let band = &prediction.bands[0];
            for (step, actual) in future.iter().enumerate() {
                all += 1;
                held += u32::from((band.lower[step]..=band.upper[step]).contains(actual));
            }
        }
        let coverage = f64::from(held) / f64::from(all);
        assert!((0.84..=0.97).contains(&coverage), "{coverage}");
    }

    #[test]
    fn a_long_history_is_forecast_by_its_end() {
        let recent = noisy_line(3, MAX_HISTORY);
        let long = [vec![1e6; 500], recent.clone()].concat();
        assert_eq!(
            forecast(&long, &[7], 2, &[]),
            forecast(&recent, &[7], 2, &[])
        );
    }

    #[test]
    fn a_higher_level_is_a_wider_band() {
        let prediction = forecast(&noisy_line(7, 120), &[], 6, &[0.5, 0.8, 0.9]);
        for step in 0..6 {
            let widths: Vec<f64> = prediction
                .bands
                .iter()
                .map(|band| band.upper[step] - band.lower[step])
                .collect();
            assert!(widths.is_sorted(), "{widths:?}");
        }
    }

    #[test]
    fn a_band_contains_those_of_lower_levels() {
        for seed in 0..20 {
            let levels = [0.999, 0.5, 0.95, 0.99];
            let prediction = forecast(&noisy_line(seed, 60), &[], 4, &levels);
            let mut bands = prediction.bands;
            bands.sort_by(|a, b| a.level.total_cmp(&b.level));
            for pair in bands.windows(2) {
                for step in 0..4 {
                    let (inner, outer) = (&pair[0], &pair[1]);
                    assert!(outer.lower[step] <= inner.lower[step], "{seed}: {pair:?}");
                    assert!(outer.upper[step] >= inner.upper[step], "{seed}: {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_level_with_too_few_errors_keeps_the_models_own_band() {
        assert_eq!(quantile(&[1.0; 19], 0.95), Some(1.0));
        assert_eq!(quantile(&[1.0; 18], 0.95), None);
        assert_eq!(
            forecast(&noisy_line(1, 40), &[], 3, &[0.999]).bands.len(),
            1
        );
    }

    #[test]
    fn numbers_at_the_edge_of_the_range_are_forecast() {
        for values in [&[-f64::MAX, f64::MAX][..], &[f64::MAX, -f64::MAX, f64::MAX]] {
            let prediction = forecast(values, &[], 2, &[0.9]);
            assert_eq!(prediction.point.len(), 2);
            assert!(prediction.point.iter().all(|point| point.is_finite()));
        }
    }
}
