//! Series: counter, gauge and histogram.

use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic `f64`. Relaxed order is enough: a scrape need not see all series at one moment.
#[derive(Debug, Default)]
struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, value: f64) {
        let more = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicF64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.add(1.0);
    }

    /// Adds `value`; anything but a positive number is ignored, because a counter never goes back.
    pub fn add(&self, value: f64) {
        if value > 0.0 && value.is_finite() {
            self.0.add(value);
        }
    }

    /// The number.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicF64);

impl Gauge {
    /// Replaces it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds `value`, which may be negative.
    pub fn add(&self, value: f64) {
        self.0.add(value);
    }

    /// The number.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// The counts of values by range.
#[derive(Debug)]
pub struct Histogram {
    bounds: Box<[f64]>,
    /// One for each bound, and a last one for values above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicF64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSnapshot {
    /// The upper bounds, ascending, with how many values were at or below each.
    pub cumulative: Vec<(f64, u64)>,
    /// The number of values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Histogram {
    /// An empty one; `bounds` ascend.
    pub fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.into(),
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicF64::default(),
        }
    }

    /// Counts a value. NaN is ignored: the sum would stay NaN.
    pub fn observe(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.add(value);
    }

    /// Adds values that were counted elsewhere: the number for each bound, a last one for those above them all, and their sum.
    pub fn add_counts(&self, counts: &[u64], sum: f64) {
        for (bucket, count) in self.buckets.iter().zip(counts) {
            bucket.fetch_add(*count, Ordering::Relaxed);
        }
        self.sum.add(sum);
    }

    /// Its state.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            if let Some(bound) = self.bounds.get(at) {
                cumulative.push((*bound, count));
            }
        }
        HistogramSnapshot {
            cumulative,
            count,
            sum: self.sum.get(),
        }
    }
}
