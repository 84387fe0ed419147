//! Families of series, by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, MutexGuard, Weak},
};

use super::{
    Counter, Gauge, Histogram, MetricDefinition, MetricError, MetricType, TextExposition,
    names::{bounded_label_values, check_bounds, is_valid_name, total_name},
};
use crate::sync::lock;

/// All families of a process or a service.
///
/// The values of labels are the user's, so they are bounded: in length, and in number for all families with a label of that
/// name together, so that what is folded in one is folded in all.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    families: BTreeMap<String, Family>,
    /// Gauges that stay, whether anybody holds them or not.
    lasting: Vec<Arc<Gauge>>,
    /// The names that are told apart, by their label.
    names: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Family {
    help: String,
    labels: Vec<String>,
    series: Series,
}

#[derive(Debug)]
enum Series {
    Counters(BTreeMap<Vec<String>, Arc<Counter>>),
    /// Alive for as long as a holder has it: of what is gone there is no present state.
    Gauges(BTreeMap<Vec<String>, Weak<Gauge>>),
    Histograms(Vec<f64>, BTreeMap<Vec<String>, Arc<Histogram>>),
}

impl Registry {
    /// The registry of the process.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> = LazyLock::new(Registry::default);
        &GLOBAL
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
        self.series(
            &total_name(name),
            help,
            labels,
            Series::Counters(BTreeMap::new()),
            |series, values| match series {
                Series::Counters(all) => Some(Arc::clone(all.entry(values).or_default())),
                _ => None,
            },
        )
    }

    /// The gauge `name` with these labels. It is shown until the last of those who have it drops it.
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
            |series, values| match series {
                Series::Gauges(all) => {
                    let one = all.entry(values).or_default();
                    Some(one.upgrade().unwrap_or_else(|| {
                        let gauge = Arc::default();
                        *one = Arc::downgrade(&gauge);
                        gauge
                    }))
                }
                _ => None,
            },
        )
    }

    /// The same, of a gauge that is shown until the process ends.
    pub(super) fn lasting_gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Arc<Gauge>, MetricError> {
        let gauge = self.gauge(name, help, labels)?;
        let mut entries = self.entries();
        if !entries.lasting.iter().any(|one| Arc::ptr_eq(one, &gauge)) {
            entries.lasting.push(Arc::clone(&gauge));
        }
        Ok(gauge)
    }

    /// The histogram `name` with these labels. Durations are in seconds, and the name says so (`_seconds`).
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Arc<Histogram>, MetricError> {
        check_bounds(bounds)?;
        let empty = Series::Histograms(bounds.to_vec(), BTreeMap::new());
        self.series(name, help, labels, empty, |series, values| match series {
            Series::Histograms(own, all) if own == bounds => {
                let made = || Arc::new(Histogram::new(bounds));
                Some(Arc::clone(all.entry(values).or_insert_with(made)))
            }
            _ => None,
        })
    }

    /// Makes sure that there can be a family of this definition.
    pub(super) fn define(
        &self,
        definition: &MetricDefinition<'_>,
        labels: &[&str],
    ) -> Result<(), MetricError> {
        let labels: Vec<_> = labels.iter().map(|label| (*label, "")).collect();
        let (name, empty) = match definition.metric_type {
            MetricType::Counter => (
                total_name(definition.name),
                Series::Counters(BTreeMap::new()),
            ),
            MetricType::Gauge => (definition.name.to_owned(), Series::Gauges(BTreeMap::new())),
            MetricType::Histogram => {
                let bounds = definition.bounds();
                check_bounds(bounds)?;
                let empty = Series::Histograms(bounds.to_vec(), BTreeMap::new());
                (definition.name.to_owned(), empty)
            }
        };
        let metric_type = definition.metric_type;
        self.series(&name, definition.help, &labels, empty, |series, _| {
            let is_same = match series {
                Series::Counters(_) => metric_type == MetricType::Counter,
                Series::Gauges(_) => metric_type == MetricType::Gauge,
                Series::Histograms(bounds, _) => {
                    metric_type == MetricType::Histogram && bounds == definition.bounds()
                }
            };
            is_same.then_some(())
        })
    }

    /// Writes every family to an exposition.
    pub fn write(&self, exposition: &mut TextExposition) {
        for (name, family) in &mut self.entries().families {
            let names = || family.labels.iter().map(String::as_str);
            let label = |values: &[String]| -> Vec<(&str, String)> {
                names().zip(values.iter().cloned()).collect()
            };
            match &mut family.series {
                Series::Counters(all) => {
                    exposition.begin_family(name, &family.help, MetricType::Counter);
                    for (values, one) in all {
                        exposition.write_sample(name, &label(values), one.get());
                    }
                }
                Series::Gauges(all) => {
                    all.retain(|_, one| one.strong_count() > 0);
                    let living = all
                        .iter()
                        .filter_map(|(values, one)| Some((values, one.upgrade()?)));
                    for (at, (values, one)) in living.enumerate() {
                        if at == 0 {
                            exposition.begin_family(name, &family.help, MetricType::Gauge);
                        }
                        exposition.write_sample(name, &label(values), one.get());
                    }
                }
                Series::Histograms(_, all) => {
                    exposition.begin_family(name, &family.help, MetricType::Histogram);
                    for (values, one) in all {
                        exposition.write_histogram(name, &label(values), &one.snapshot());
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
        find: impl FnOnce(&mut Series, Vec<String>) -> Option<T>,
    ) -> Result<T, MetricError> {
        let mut entries = self.entries();
        let Entries {
            families, names, ..
        } = &mut *entries;
        if !families.contains_key(name) {
            let label_names = labels.iter().map(|(label, _)| *label);
            if let Some(bad) = [name]
                .into_iter()
                .chain(label_names)
                .find(|name| !is_valid_name(name))
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
            series: empty,
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
        same.then(|| find(&mut family.series, bounded_label_values(labels, names)))
            .flatten()
            .ok_or_else(|| MetricError::Taken(name.to_owned()))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::names::MAX_NAMES;

    fn text(registry: &Registry) -> String {
        let mut exposition = TextExposition::new();
        registry.write(&mut exposition);
        exposition.into_text()
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
        let open = registry.gauge("open", "Open\nnow.", &[]).unwrap();
        open.set(2.0);
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
    fn names_beyond_the_limit_share_a_row_in_every_family_and_keep_their_other_labels() {
        let registry = Registry::new();
        for id in 0..MAX_NAMES + 50 {
            let id = id.to_string();
            for outcome in ["success", "failure"] {
                let labels = [("user", id.as_str()), ("outcome", outcome)];
                let calls = registry.counter("calls", "", &labels).unwrap();
                calls.add(if outcome == "success" { 2.0 } else { 1.0 });
            }
        }
        let exposition = text(&registry);
        assert!(exposition.contains("calls_total{user=\"other\",outcome=\"success\"} 100\n"));
        assert!(exposition.contains("calls_total{user=\"other\",outcome=\"failure\"} 50\n"));
        assert_eq!(exposition.lines().count(), 2 + 2 * (MAX_NAMES + 1));

        let late = (MAX_NAMES + 1).to_string();
        let _open = [("user", "7"), ("user", late.as_str())]
            .map(|label| registry.gauge("open", "", &[label]).unwrap());
        let exposition = text(&registry);
        assert!(exposition.contains("open{user=\"7\"} 0\nopen{user=\"other\"} 0\n"));
        registry
            .gauge("open", "", &[("user", "late"), ("x", "")])
            .unwrap_err();
        registry.counter("pools", "", &[("pool", "late")]).unwrap();
        assert!(text(&registry).contains("pools_total{pool=\"late\"} 0\n"));
    }

    #[test]
    fn a_gauge_is_shown_while_a_handle_to_it_exists() {
        let registry = Registry::new();
        let open = |name| registry.gauge("open", "", &[("pool", name)]).unwrap();
        let (first, same, other) = (open("a"), open("a"), open("b"));
        first.add(1.0);
        same.add(2.0);
        drop((same, other));
        assert!(text(&registry).ends_with("open{pool=\"a\"} 3\n"));
        drop(first);
        assert_eq!(text(&registry), "", "a family without rows is not begun");
        open("a").add(1.0);
        assert!(open("a").get() < 1.0, "the next one begins anew");
    }

    #[test]
    fn a_long_name_is_cut() {
        let registry = Registry::new();
        let (long, longer) = ("é".repeat(200), "é".repeat(100_000));
        for name in [&long, &longer] {
            let labels = [("pool", name.as_str()), ("type", "a")];
            registry.counter("pools", "", &labels).unwrap();
        }
        let exposition = text(&registry);
        assert!(exposition.contains(&format!("{{pool=\"{long}\",type=\"a\"}} 0\n")));
        let cut = format!("{}…", "é".repeat(199));
        assert!(exposition.contains(&format!("{{pool=\"{cut}\",type=\"a\"}} 0\n")));
    }
}
