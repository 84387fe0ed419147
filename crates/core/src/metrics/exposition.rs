//! Prometheus text, format 0.0.4.

use std::fmt::Write as _;

use super::HistogramSnapshot;

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per range.
    Histogram,
}

impl MetricType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// An exposition being written. Each family is begun once, then its series follow.
#[derive(Debug, Default)]
pub struct TextExposition(String);

impl TextExposition {
    /// An empty exposition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a family.
    pub fn begin_family(&mut self, name: &str, help: &str, metric_type: MetricType) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.write_line(format_args!("# HELP {name} {help}"));
        self.write_line(format_args!("# TYPE {name} {}", metric_type.as_str()));
    }

    /// A series of a counter or gauge.
    pub fn write_sample<V: AsRef<str>>(&mut self, name: &str, labels: &[(&str, V)], value: f64) {
        let (labels, value) = (Self::labels(labels, None), number(value));
        self.write_line(format_args!("{name}{labels} {value}"));
    }

    /// A series of a histogram.
    pub fn write_histogram<V: AsRef<str>>(
        &mut self,
        name: &str,
        labels: &[(&str, V)],
        values: &HistogramSnapshot,
    ) {
        let whole = (f64::INFINITY, values.count);
        for (bound, count) in values.cumulative.iter().chain([&whole]) {
            let labels = Self::labels(labels, Some(&number(*bound)));
            self.write_line(format_args!("{name}_bucket{labels} {count}"));
        }
        let labels = Self::labels(labels, None);
        self.write_line(format_args!("{name}_sum{labels} {}", number(values.sum)));
        self.write_line(format_args!("{name}_count{labels} {}", values.count));
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }

    fn labels<V: AsRef<str>>(labels: &[(&str, V)], bound: Option<&str>) -> String {
        let own = labels.iter().map(|(name, value)| (*name, value.as_ref()));
        let pairs: Vec<_> = own
            .chain(bound.map(|bound| ("le", bound)))
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        if pairs.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", pairs.join(","))
        }
    }

    fn write_line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
