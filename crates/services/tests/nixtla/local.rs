//! The local model on a well-known series: airline passengers, 1949 to 1960.

use moorline_services::nixtla::local;
use proptest::prelude::*;

fn passengers() -> Vec<f64> {
    include_str!("../../../../examples/data/airpassengers.csv")
        .lines()
        .filter_map(|line| line.split_once(',')?.1.parse().ok())
        .collect()
}

#[test]
fn the_last_year_of_airline_passengers_is_forecast_within_four_percent() {
    let values = passengers();
    let (known, year) = values.split_at(132);
    let prediction = local::forecast(known, &[12], 12, &[0.95]);
    let errors = year
        .iter()
        .zip(&prediction.point)
        .map(|(actual, point)| (actual - point).abs() / actual);
    let mape = errors.sum::<f64>() / 12.0;
    let band = &prediction.bands[0];
    let held = (0..12).filter(|&k| (band.lower[k]..=band.upper[k]).contains(&year[k]));
    println!(
        "{}: MAPE {:.2} %, {}/12 within the band",
        prediction.model,
        mape * 100.0,
        held.clone().count()
    );
    assert!(mape <= 0.04, "{mape}");
    assert!(held.count() >= 10);
    assert_eq!(prediction.model, "MSTL+AutoETS(BoxCox)");
}

#[test]
fn a_strike_in_summer_is_found_although_winter_is_lower() {
    let mut values = passengers();
    // July 1957 at the level of the winter before.
    values[102] = 320.0;
    let scored = local::score_anomalies(&values, &[12], 0.99).unwrap();
    assert!(scored[102].score > 1.0, "{:?}", scored[102]);
    let others = scored.iter().filter(|point| point.score > 1.0).count() - 1;
    assert!(others <= 7, "{others} other months are blamed");
}

/// Values of any size, and of sizes that do not go together.
fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        -1e3..1e3,
        Just(0.0),
        Just(7.0),
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
    ];
    proptest::collection::vec(value, 1..60)
}

/// Few, since each is slow, unless the environment says how many.
fn cases() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 48;
    }
    config
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_the_values_a_forecast_is_finite_and_its_bands_hold_it(
        values in any_values(),
        season in 2_usize..13,
        horizon in 1_usize..15,
    ) {
        let prediction = local::forecast(&values, &[season], horizon, &[0.8, 0.95]);
        prop_assert_eq!(prediction.point.len(), horizon);
        for (step, point) in prediction.point.iter().enumerate() {
            prop_assert!(point.is_finite(), "{:?}", prediction);
            for band in &prediction.bands {
                prop_assert!(band.lower[step] <= *point && *point <= band.upper[step], "{:?}", prediction);
            }
        }
    }

    #[test]
    fn whatever_the_values_a_score_is_a_number(values in any_values(), season in 2_usize..13) {
        for point in local::score_anomalies(&values, &[season], 0.99).unwrap_or_default() {
            prop_assert!(point.score >= 0.0, "{:?}", point);
        }
    }
}
