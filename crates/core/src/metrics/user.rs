//! Metrics that a user counts, beside those of this package.

use std::sync::{Arc, Weak};

use super::{Counter, Gauge, HTTP_SECONDS, Histogram, MetricError, MetricType, Registry};

/// The beginning of the names of this package's own metrics.
const OWN_PREFIX: &str = "moorline_";

/// A family as a user defines it.
#[derive(Clone, Copy, Debug)]
pub struct MetricDefinition<'a> {
    /// The type.
    pub metric_type: MetricType,
    /// The name; that of a counter is shown with `_total` at its end.
    pub name: &'a str,
    /// The text that says what is counted.
    pub help: &'a str,
    /// The upper bounds of a histogram, ascending; none for [`HTTP_SECONDS`].
    pub bounds: &'a [f64],
}

impl MetricDefinition<'_> {
    /// Makes sure that the family can be used, before it has a series.
    ///
    /// # Errors
    /// A name that cannot be used, or that is another family's.
    pub fn define(&self, registry: &Registry, labels: &[&str]) -> Result<(), MetricError> {
        if self.name.starts_with(OWN_PREFIX) {
            return Err(MetricError::Reserved(self.name.to_owned()));
        }
        registry.define(self, labels)
    }

    pub(super) const fn bounds(&self) -> &[f64] {
        if self.bounds.is_empty() {
            &HTTP_SECONDS
        } else {
            self.bounds
        }
    }
}

/// One series that a user writes to. Those of a user's own family stay until the process ends, so that they are shown whoever holds
/// them.
#[derive(Clone, Debug)]
pub enum UserSeries {
    /// Of a counter.
    Counter(Arc<Counter>),
    /// Of a gauge.
    Gauge(Arc<Gauge>),
    /// Of a gauge that shows something else's present state, for as long as that is there.
    State(Weak<Gauge>),
    /// Of a histogram.
    Histogram(Arc<Histogram>),
}

impl UserSeries {
    /// The series of a family that was [defined](MetricDefinition::define), with these labels, name and value each.
    ///
    /// # Errors
    /// The family has others.
    pub fn find(
        registry: &Registry,
        definition: &MetricDefinition<'_>,
        labels: &[(&str, &str)],
    ) -> Result<Self, MetricError> {
        let MetricDefinition { name, help, .. } = *definition;
        let bounds = definition.bounds();
        Ok(match definition.metric_type {
            MetricType::Counter => Self::Counter(registry.counter(name, help, labels)?),
            MetricType::Gauge => Self::Gauge(registry.lasting_gauge(name, help, labels)?),
            MetricType::Histogram => {
                Self::Histogram(registry.histogram(name, help, labels, bounds)?)
            }
        })
    }

    /// Adds to a counter or a gauge, counts a value of a histogram.
    pub fn record(&self, value: f64) {
        match self {
            Self::Counter(counter) => counter.add(value),
            Self::Gauge(gauge) => gauge.add(value),
            Self::State(gauge) => {
                if let Some(gauge) = gauge.upgrade() {
                    gauge.add(value);
                }
            }
            Self::Histogram(histogram) => histogram.observe(value),
        }
    }

    /// Replaces the value of a gauge.
    pub fn set(&self, value: f64) {
        match self {
            Self::Gauge(gauge) => gauge.set(value),
            Self::State(gauge) => {
                if let Some(gauge) = gauge.upgrade() {
                    gauge.set(value);
                }
            }
            Self::Counter(_) | Self::Histogram(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TextExposition;

    fn define(metric_type: MetricType, name: &str) -> MetricDefinition<'_> {
        MetricDefinition {
            metric_type,
            name,
            help: "",
            bounds: &[1.0],
        }
    }

    #[test]
    fn a_series_stays_though_nobody_holds_it() {
        let registry = Registry::new();
        for metric_type in [
            MetricType::Counter,
            MetricType::Gauge,
            MetricType::Histogram,
        ] {
            let name = format!("of_{metric_type:?}").to_lowercase();
            let definition = define(metric_type, &name);
            let series = || UserSeries::find(&registry, &definition, &[("at", "x")]).unwrap();
            series().record(2.0);
            series().record(3.0);
        }
        let mut exposition = TextExposition::new();
        registry.write(&mut exposition);
        let text = exposition.into_text();
        for line in [
            "of_counter_total{at=\"x\"} 5\n",
            "of_gauge{at=\"x\"} 5\n",
            "of_histogram_count{at=\"x\"} 2\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_gauge_of_something_else_goes_with_it() {
        let registry = Registry::new();
        let gauge = registry.gauge("borrowed", "", &[("pool", "x")]).unwrap();
        let series = UserSeries::State(Arc::downgrade(&gauge));
        let shown = || {
            let mut exposition = TextExposition::new();
            registry.write(&mut exposition);
            exposition.into_text()
        };
        series.set(2.0);
        series.record(3.0);
        assert!(shown().contains("borrowed{pool=\"x\"} 5\n"), "{}", shown());
        drop(gauge);
        series.set(2.0);
        series.record(3.0);
        assert_eq!(shown(), "");
    }

    #[test]
    fn the_names_of_this_package_are_its_own() {
        let registry = Registry::new();
        let definition = define(MetricType::Gauge, "moorline_mine");
        let refused = definition.define(&registry, &[]).unwrap_err();
        assert_eq!(refused, MetricError::Reserved("moorline_mine".to_owned()));
    }

    #[test]
    fn a_definition_is_checked_before_there_is_a_series() {
        let registry = Registry::new();
        let gauge = define(MetricType::Gauge, "mine");
        assert_eq!(gauge.define(&registry, &["at"]), Ok(()));
        assert_eq!(gauge.define(&registry, &["at"]), Ok(()));
        let taken = Err(MetricError::Taken("mine".to_owned()));
        assert_eq!(gauge.define(&registry, &["in"]), taken);
        let histogram = define(MetricType::Histogram, "mine");
        assert_eq!(histogram.define(&registry, &["at"]), taken);
        assert!(
            define(MetricType::Counter, "1st")
                .define(&registry, &[])
                .is_err()
        );
        let unordered = MetricDefinition {
            bounds: &[2.0, 1.0],
            ..define(MetricType::Histogram, "unordered")
        };
        assert_eq!(
            unordered.define(&registry, &[]),
            Err(MetricError::BadBounds)
        );
    }
}
