//! Families of series, by name.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use super::{Counter, Gauge, Histogram, Page, Shape};

/// Series a family may have. Labels are for a handful of values; whoever writes ids into one gets a single
/// series labelled `other` for all further ones, instead of a program that grows for ever.
const MAX_SERIES: usize = 1_000;

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// A metric or label name that Prometheus does not allow.
    BadName(String),
    /// The name is taken by a family of another type or with other labels or buckets.
    Taken(String),
    /// Not as many label values as label names.
    LabelCount {
        /// As many as the family has names.
        expected: usize,
        /// As many as were given.
        got: usize,
    },
    /// Bucket bounds that do not ascend.
    BadBounds,
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "'{name}' is not a valid name for a metric or label"),
            Self::Taken(name) => {
                write!(
                    f,
                    "'{name}' is another metric already, of another type or with other labels"
                )
            }
            Self::LabelCount { expected, got } => {
                write!(f, "{expected} label values are needed, got {got}")
            }
            Self::BadBounds => f.write_str("bucket bounds must be finite and ascend"),
        }
    }
}

impl std::error::Error for MetricError {}

/// All families of a process or a service.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<String, Family>>,
}

#[derive(Debug)]
struct Family {
    help: String,
    labels: Vec<String>,
    all: Series,
}

#[derive(Debug)]
enum Series {
    Counters(BTreeMap<Vec<String>, Arc<Counter>>),
    Gauges(BTreeMap<Vec<String>, Arc<Gauge>>),
    Histograms(Vec<f64>, BTreeMap<Vec<String>, Arc<Histogram>>),
}

impl Registry {
    /// The registry of the process.
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<Registry> = LazyLock::new(Registry::default);
        &PROCESS
    }

    /// A registry without families.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter `name` with these labels (name and value each). The name gets its `_total` if it lacks it.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Arc<Counter>, MetricError> {
        let total = if name.ends_with("_total") {
            name.to_owned()
        } else {
            format!("{name}_total")
        };
        self.series(
            &total,
            help,
            labels,
            Series::Counters(BTreeMap::new()),
            |series| match series {
                Series::Counters(all) => Some(one_of(all, labels, Counter::default)),
                _ => None,
            },
        )
    }

    /// The gauge `name` with these labels.
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Arc<Gauge>, MetricError> {
        self.series(
            name,
            help,
            labels,
            Series::Gauges(BTreeMap::new()),
            |series| match series {
                Series::Gauges(all) => Some(one_of(all, labels, Gauge::default)),
                _ => None,
            },
        )
    }

    /// The histogram `name` with these labels. Durations are in seconds, and the name says so (`_seconds`).
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Arc<Histogram>, MetricError> {
        let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(MetricError::BadBounds);
        }
        let empty = Series::Histograms(bounds.to_vec(), BTreeMap::new());
        self.series(name, help, labels, empty, |series| match series {
            Series::Histograms(own, all) if own == bounds => {
                Some(one_of(all, labels, || Histogram::new(bounds)))
            }
            _ => None,
        })
    }

    /// Writes every family to a page.
    pub fn write(&self, page: &mut Page) {
        for (name, family) in self.families().iter() {
            let names = || family.labels.iter().map(String::as_str);
            let label = |values: &[String]| -> Vec<(&str, String)> {
                names().zip(values.iter().cloned()).collect()
            };
            match &family.all {
                Series::Counters(all) => {
                    page.family(name, &family.help, Shape::Counter);
                    for (values, one) in all {
                        page.sample(name, &label(values), one.get());
                    }
                }
                Series::Gauges(all) => {
                    page.family(name, &family.help, Shape::Gauge);
                    for (values, one) in all {
                        page.sample(name, &label(values), one.get());
                    }
                }
                Series::Histograms(_, all) => {
                    page.family(name, &family.help, Shape::Histogram);
                    for (values, one) in all {
                        page.histogram(name, &label(values), &one.snapshot());
                    }
                }
            }
        }
    }

    /// Finds or makes the family, then lets `find` find or make the series in it.
    fn series<T>(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        empty: Series,
        find: impl FnOnce(&mut Series) -> Option<T>,
    ) -> Result<T, MetricError> {
        let mut families = self.families();
        if !families.contains_key(name) {
            let label_names = labels.iter().map(|(label, _)| *label);
            if let Some(bad) = [name]
                .into_iter()
                .chain(label_names)
                .find(|name| !is_name(name))
            {
                return Err(MetricError::BadName(bad.to_owned()));
            }
        }
        let family = families.entry(name.to_owned()).or_insert_with(|| Family {
            help: help.to_owned(),
            labels: labels
                .iter()
                .map(|(label, _)| (*label).to_owned())
                .collect(),
            all: empty,
        });
        if family.labels.len() != labels.len() {
            return Err(MetricError::LabelCount {
                expected: family.labels.len(),
                got: labels.len(),
            });
        }
        let same = family
            .labels
            .iter()
            .zip(labels)
            .all(|(own, (given, _))| own == given);
        same.then(|| find(&mut family.all))
            .flatten()
            .ok_or_else(|| MetricError::Taken(name.to_owned()))
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The series with these label values, made if there is room for one more.
fn one_of<T>(
    all: &mut BTreeMap<Vec<String>, Arc<T>>,
    labels: &[(&str, &str)],
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let mut values: Vec<String> = labels
        .iter()
        .map(|(_, value)| (*value).to_owned())
        .collect();
    if all.len() >= MAX_SERIES && !all.contains_key(&values) {
        values.fill("other".to_owned());
    }
    Arc::clone(all.entry(values).or_insert_with(|| Arc::new(make())))
}

/// Letters, digits and underscores (a metric may also have colons), not beginning with a digit.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(allowed) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let mut page = Page::new();
        registry.write(&mut page);
        page.into_text()
    }

    #[test]
    fn families_are_shown_as_prometheus_text() {
        let registry = Registry::new();
        let labels = [("service", "a\"b\\c\nd")];
        registry
            .counter("calls", "Calls.", &labels)
            .unwrap()
            .increment();
        registry
            .counter("calls_total", "", &labels)
            .unwrap()
            .add(1.5);
        registry.gauge("open", "Open\nnow.", &[]).unwrap().set(2.0);
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
            calls_total{service=\"a\\\"b\\\\c\\nd\"} 2.5\n\
            # HELP open Open\\nnow.\n# TYPE open gauge\nopen 2\n";
        assert_eq!(text(&registry), expected);
    }

    #[test]
    fn a_histogram_counts_at_or_below_each_bound() {
        let registry = Registry::new();
        let histogram = registry
            .histogram("t_seconds", "Time.", &[], &[0.1, 1.0])
            .unwrap();
        for value in [0.05, 0.1, 0.5, 7.0, f64::NAN] {
            histogram.observe(value);
        }
        let expected = "# HELP t_seconds Time.\n# TYPE t_seconds histogram\n\
            t_seconds_bucket{le=\"0.1\"} 2\nt_seconds_bucket{le=\"1\"} 3\n\
            t_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_sum 7.65\nt_seconds_count 4\n";
        assert_eq!(text(&registry), expected);
    }

    #[test]
    fn a_counter_never_goes_back() {
        let counter = Counter::default();
        counter.add(2.0);
        counter.add(-1.0);
        counter.add(f64::NAN);
        assert!((counter.get() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn one_name_has_one_meaning() {
        let registry = Registry::new();
        registry.gauge("x", "", &[("a", "1")]).unwrap();
        let taken = Err(MetricError::Taken("x".into()));
        assert_eq!(registry.gauge("x", "", &[("b", "1")]).map(drop), taken);
        assert_eq!(
            registry.histogram("x", "", &[("a", "1")], &[1.0]).map(drop),
            taken
        );
        let missing = MetricError::LabelCount {
            expected: 1,
            got: 0,
        };
        assert_eq!(registry.gauge("x", "", &[]).map(drop), Err(missing));
        let bad = MetricError::BadName("2x".into());
        assert_eq!(registry.gauge("2x", "", &[]).map(drop), Err(bad));
        let bounds = registry.histogram("y", "", &[], &[2.0, 1.0]).map(drop);
        assert_eq!(bounds, Err(MetricError::BadBounds));
    }

    #[test]
    fn labels_cannot_grow_without_bound() {
        let registry = Registry::new();
        for id in 0..MAX_SERIES + 50 {
            registry
                .counter("calls", "", &[("id", &id.to_string())])
                .unwrap()
                .increment();
        }
        let page = text(&registry);
        assert!(page.contains("calls_total{id=\"other\"} 50\n"));
        assert_eq!(page.lines().count(), 2 + MAX_SERIES + 1);
    }
}
