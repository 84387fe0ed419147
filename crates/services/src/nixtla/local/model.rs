//! The models, from the best to the one that always works.

use std::panic::{AssertUnwindSafe, catch_unwind};

use augurs::{
    Fit, Forecast, Predict,
    ets::{AutoETS, trend::AutoETSTrendModel},
    forecaster::{
        Forecaster, Transformer,
        transforms::{BoxCox, StandardScaler, YeoJohnson},
    },
    mstl::MSTLModel,
};

use super::{
    Band, Prediction,
    statistics::{mean_absolute_value, normal_half_width},
};

/// Fewer points say nothing about a trend that exponential smoothing could use.
const MIN_SMOOTHED: usize = 6;
/// A forecast this many times the range of the history away from it has run away.
const RUNAWAY: f64 = 10.0;

/// A method of forecasting a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    kind: Kind,
    even: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// MSTL with these seasons, AutoETS for what is left.
    Seasonal(Vec<usize>),
    /// AutoETS without seasons.
    Smoothed,
    /// The straight line from the first point to the last.
    Drift,
}

/// The models worth trying for a series, best first. The last one always gives an answer.
pub(super) fn candidates(values: &[f64], seasons: &[usize]) -> Vec<Model> {
    let seasons: Vec<usize> = seasons
        .iter()
        .copied()
        .filter(|season| 2 * season <= values.len())
        .collect();
    let constant = values
        .iter()
        .all(|value| value.to_bits() == values[0].to_bits());
    let mut kinds = Vec::new();
    if !constant && values.len() >= MIN_SMOOTHED {
        if !seasons.is_empty() {
            kinds.push(Kind::Seasonal(seasons));
        }
        kinds.push(Kind::Smoothed);
    }
    let mut models: Vec<Model> = kinds
        .into_iter()
        .flat_map(|kind| {
            [true, false].map(|even| Model {
                kind: kind.clone(),
                even,
            })
        })
        .collect();
    models.push(Model {
        kind: Kind::Drift,
        even: false,
    });
    models
}

impl Model {
    /// The name that is shown with its answers.
    pub(super) fn name(&self, values: &[f64]) -> &'static str {
        match (&self.kind, self.even.then(|| positive(values))) {
            (Kind::Seasonal(_), Some(true)) => "MSTL+AutoETS(BoxCox)",
            (Kind::Seasonal(_), Some(false)) => "MSTL+AutoETS(YeoJohnson)",
            (Kind::Seasonal(_), None) => "MSTL+AutoETS",
            (Kind::Smoothed, Some(true)) => "AutoETS(BoxCox)",
            (Kind::Smoothed, Some(false)) => "AutoETS(YeoJohnson)",
            (Kind::Smoothed, None) => "AutoETS",
            (Kind::Drift, _) => "Drift",
        }
    }

    /// Fits the model and predicts `horizon` values with a band for each level. `None` when the model cannot be
    /// fitted, its answer is not finite, or it panics.
    pub(super) fn predict(
        &self,
        values: &[f64],
        horizon: usize,
        levels: &[f64],
    ) -> Option<Prediction> {
        let predicted = match &self.kind {
            Kind::Drift => Some(drift(values, horizon, levels)),
            Kind::Smoothed => self.fit(AutoETS::non_seasonal, values, horizon, levels),
            Kind::Seasonal(seasons) => {
                let model = || {
                    let trend = AutoETSTrendModel::from(AutoETS::non_seasonal());
                    MSTLModel::new(seasons.clone(), trend)
                };
                self.fit(model, values, horizon, levels)
            }
        };
        predicted.filter(|prediction| is_sane(prediction, values))
    }

    fn fit<M>(
        &self,
        model: impl FnOnce() -> M,
        values: &[f64],
        horizon: usize,
        levels: &[f64],
    ) -> Option<Prediction>
    where
        M: Fit,
        M::Fitted: Predict,
    {
        let unit = mean_absolute_value(values);
        let scaled: Vec<f64> = values.iter().map(|value| value / unit).collect();
        let transformers = transformers(self.even.then(|| positive(values)));
        let back = |values: Vec<f64>| -> Vec<f64> { values.iter().map(|v| v * unit).collect() };
        // A model that panics is a model that does not fit; the next one is tried.
        let fitted = catch_unwind(AssertUnwindSafe(|| {
            let mut forecaster = Forecaster::new(model()).with_transformers(transformers);
            forecaster.fit(&scaled[..]).ok()?;
            let point = forecaster.predict(horizon, None).ok()?.point;
            let bands = levels
                .iter()
                .map(|level| forecaster.predict(horizon, *level).ok())
                .collect::<Option<Vec<Forecast>>>()?;
            Some((point, bands))
        }));
        let (point, forecasts) = fitted.ok().flatten()?;
        let bands = levels.iter().zip(forecasts).map(|(level, forecast)| {
            let intervals = forecast.intervals?;
            Some(Band {
                level: *level,
                lower: back(intervals.lower),
                upper: back(intervals.upper),
            })
        });
        Some(Prediction {
            model: self.name(values),
            point: back(point),
            bands: bands.collect::<Option<_>>()?,
        })
    }
}

pub(super) fn positive(values: &[f64]) -> bool {
    values.iter().all(|value| *value > 0.0)
}

/// `Some(positive)` evens out the variance; either way the numbers become small, because MSTL counts in 32 bits.
fn transformers(even: Option<bool>) -> Vec<Box<dyn Transformer>> {
    let power = match even {
        Some(true) => Some(BoxCox::new().boxed()),
        Some(false) => Some(YeoJohnson::new().boxed()),
        None => None,
    };
    power
        .into_iter()
        .chain([StandardScaler::new().boxed()])
        .collect()
}

fn is_sane(prediction: &Prediction, history: &[f64]) -> bool {
    let (low, high) = history
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let slack = RUNAWAY * (high - low);
    let near = |value: &f64| (low - slack..=high + slack).contains(value);
    let bounds = |band: &Band| band.lower.iter().chain(&band.upper).all(|b| b.is_finite());
    let finite = prediction.point.iter().all(|point| point.is_finite());
    // A straight line is allowed to go where it goes.
    let within = prediction.model == "Drift" || prediction.point.iter().all(near);
    finite && within && prediction.bands.iter().all(bounds)
}

/// The drift method: the mean change goes on. Its bands are those of a random walk with drift, where the history
/// is long enough to estimate its variance.
fn drift(values: &[f64], horizon: usize, levels: &[f64]) -> Prediction {
    let (first, last) = (values[0], values[values.len() - 1]);
    let changes = (values.len() - 1) as f64;
    let slope = if changes > 0.0 {
        (last - first) / changes
    } else {
        0.0
    };
    let steps = || (1..=horizon).map(|step| step as f64);
    let squares: f64 = values
        .windows(2)
        .map(|pair| (pair[1] - pair[0] - slope).powi(2))
        .sum();
    let deviation = (squares / (changes - 1.0)).sqrt();
    let band = |level: &f64| {
        let reach = |step: f64| {
            normal_half_width(*level) * deviation * (step * (1.0 + step / changes)).sqrt()
        };
        Band {
            level: *level,
            lower: steps().map(|k| last + slope * k - reach(k)).collect(),
            upper: steps().map(|k| last + slope * k + reach(k)).collect(),
        }
    };
    Prediction {
        model: "Drift",
        point: steps().map(|step| last + slope * step).collect(),
        bands: if values.len() > 2 {
            levels.iter().map(band).collect()
        } else {
            Vec::new()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(values: &[f64], seasons: &[usize]) -> Prediction {
        candidates(values, seasons)
            .iter()
            .find_map(|model| model.predict(values, 3, &[0.9]))
            .unwrap()
    }

    #[test]
    fn two_seasons_are_needed_for_a_seasonal_model() {
        let wave = |count: usize| -> Vec<f64> {
            (0..count)
                .map(|k| 10.0 + [0.0, 1.0, 4.0, 2.0][k % 4] + 0.01 * k as f64)
                .collect()
        };
        assert_eq!(best(&wave(16), &[4]).model, "MSTL+AutoETS(BoxCox)");
        assert_eq!(best(&wave(7), &[4]).model, "AutoETS(BoxCox)");
    }

    #[test]
    fn too_short_a_history_is_continued_as_a_line() {
        let prediction = best(&[1.0, 2.0, 3.0], &[24]);
        assert_eq!(prediction.model, "Drift");
        assert_eq!(prediction.point, [4.0, 5.0, 6.0]);
        assert_eq!(best(&[7.0], &[24]).point, [7.0, 7.0, 7.0]);
        assert!(best(&[7.0, 8.0], &[]).bands.is_empty());
    }

    #[test]
    fn a_constant_stays_what_it_is() {
        let prediction = best(&[5.0; 40], &[7]);
        assert_eq!(prediction.point, [5.0; 3]);
        assert_eq!(prediction.bands[0].lower, [5.0; 3]);
    }

    #[test]
    fn negative_values_take_the_other_transformation() {
        let values: Vec<f64> = (0..30)
            .map(|k| f64::from(k % 5) - 2.0 + 0.1 * f64::from(k))
            .collect();
        assert_eq!(best(&values, &[5]).model, "MSTL+AutoETS(YeoJohnson)");
    }

    #[test]
    fn large_values_with_small_changes_do_not_lose_them() {
        let values: Vec<f64> = (0..40).map(|k| 1e9 + f64::from(k % 4)).collect();
        let prediction = best(&values, &[4]);
        for (point, expected) in prediction.point.iter().zip([1e9, 1e9 + 1.0, 1e9 + 2.0]) {
            assert!((point - expected).abs() < 0.1, "{point} is not {expected}");
        }
    }
}
