import { performance } from '../runtime/node';

import { invalidType, invalidValue, numberMistake, outOfRange } from '../runtime/argument-error';
import { type Handle, type MetricSeries, native } from '../runtime/native';
import { isObject } from '../runtime/shape';

/** Values of labels by their names. A label that is not given is empty. */
export type MetricLabels = Readonly<Record<string, string | number>>;

/** One series of a {@link Counter}. */
export interface CounterSeries {
  /** Adds 1, or a number that is not negative. */
  inc(value?: number): void;
}

/** One series of a {@link Gauge}. */
export interface GaugeSeries {
  /** Adds 1, or a number. */
  inc(value?: number): void;
  /** Subtracts 1, or a number. */
  dec(value?: number): void;
  /** Replaces the value. */
  set(value: number): void;
  /** Returns a function that sets the value to the seconds since, and returns them. */
  startTimer(): () => number;
}

/** One series of a {@link Histogram}. */
export interface HistogramSeries {
  /** Counts a value. */
  observe(value: number): void;
  /** Returns a function that counts the seconds since, and returns them. */
  startTimer(): () => number;
}

/** A number that only grows, by the values of its labels. */
export interface Counter extends CounterSeries {
  inc(value?: number): void;
  inc(labels: MetricLabels, value?: number): void;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): CounterSeries;
  labels(...values: (string | number)[]): CounterSeries;
}

/** A number that goes up and down, by the values of its labels. */
export interface Gauge extends GaugeSeries {
  inc(value?: number): void;
  inc(labels: MetricLabels, value?: number): void;
  dec(value?: number): void;
  dec(labels: MetricLabels, value?: number): void;
  set(value: number): void;
  set(labels: MetricLabels, value: number): void;
  /** Returns a function that sets the value to the seconds since, and returns them; labels may be added then. */
  startTimer(labels?: MetricLabels): (labels?: MetricLabels) => number;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): GaugeSeries;
  labels(...values: (string | number)[]): GaugeSeries;
}

/** Counts of values by range, and their sum, by the values of its labels. */
export interface Histogram extends HistogramSeries {
  observe(value: number): void;
  observe(labels: MetricLabels, value: number): void;
  /** Returns a function that counts the seconds since, and returns them; labels may be added then. */
  startTimer(labels?: MetricLabels): (labels?: MetricLabels) => number;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): HistogramSeries;
  labels(...values: (string | number)[]): HistogramSeries;
}

interface MetricOf {
  counter: Counter;
  gauge: Gauge;
  histogram: Histogram;
}

type Kind = keyof MetricOf;
type Label = string | number;

/** Series that are kept at hand; more are found anew. */
const MAX_CACHED = 1000;
/** The values that a call adds where none is given. */
const ONE = 1;

class Series implements GaugeSeries, HistogramSeries {
  readonly #handle: Handle<MetricSeries>;
  readonly #kind: Kind;

  constructor(kind: Kind, handle: Handle<MetricSeries>) {
    this.#kind = kind;
    this.#handle = handle;
  }

  inc(value: number = ONE): void {
    if (this.#kind === 'counter' && value < 0) throw outOfRange('value', '≥ 0', value);
    this.#record(value);
  }

  dec(value = ONE): void {
    this.inc(-checkedNumber(value));
  }

  set(value: number): void {
    native.metricSet(this.#handle, checkedNumber(value));
  }

  observe(value: number): void {
    this.#record(value);
  }

  startTimer(): () => number {
    const elapsed = stopwatch();
    return () => this.recordSeconds(elapsed());
  }

  recordSeconds(seconds: number): number {
    if (this.#kind === 'gauge') this.set(seconds);
    else this.observe(seconds);
    return seconds;
  }

  #record(value: number): void {
    native.metricRecord(this.#handle, checkedNumber(value));
  }
}

/** Returns what tells the seconds since. */
function stopwatch(): () => number {
  const began = performance.now();
  return () => (performance.now() - began) / 1000;
}

function checkedNumber(value: number): number {
  const mistake = numberMistake('value', value, Number.isFinite, 'finite');
  if (mistake) throw mistake;
  return value;
}

class Metric {
  readonly #kind: Kind;
  readonly #name: string;
  readonly #labelNames: readonly string[];
  readonly #find: (values: string[]) => Handle<MetricSeries>;
  readonly #series = new Map<string, Series>();

  constructor(
    kind: Kind,
    name: string,
    labelNames: readonly string[],
    find: (values: string[]) => Handle<MetricSeries>,
  ) {
    this.#kind = kind;
    this.#name = name;
    this.#labelNames = labelNames;
    this.#find = find;
  }

  inc(labelsOrValue?: MetricLabels | number, value?: number): void {
    const [series, given] = this.#target(labelsOrValue, value);
    series.inc(given);
  }

  dec(labelsOrValue?: MetricLabels | number, value?: number): void {
    const [series, given] = this.#target(labelsOrValue, value);
    series.dec(given);
  }

  set(labelsOrValue: MetricLabels | number, value?: number): void {
    const [series, given] = this.#target(labelsOrValue, value);
    series.set(given as number);
  }

  observe(labelsOrValue: MetricLabels | number, value?: number): void {
    const [series, given] = this.#target(labelsOrValue, value);
    series.observe(given as number);
  }

  startTimer(labels: MetricLabels = {}): (more?: MetricLabels) => number {
    const elapsed = stopwatch();
    return (more) => this.labels({ ...labels, ...more }).recordSeconds(elapsed());
  }

  labels(...values: readonly [MetricLabels] | readonly Label[]): Series {
    const [first] = values;
    if (isObject(first)) return this.#at(this.#byName(first as MetricLabels));
    if (values.length !== this.#labelNames.length) {
      throw invalidValue(`labels must be ${this.#labelNames.length} values (${this.#labelNames.join(', ')})`);
    }
    return this.#at((values as readonly Label[]).map((value, at) => labelText(this.#labelNames[at]!, value)));
  }

  #target(labelsOrValue: MetricLabels | number | undefined, value: number | undefined): [Series, number | undefined] {
    if (isObject(labelsOrValue)) return [this.#at(this.#byName(labelsOrValue)), value];
    return [this.#at(this.#byName({})), labelsOrValue as number | undefined];
  }

  #byName(labels: MetricLabels): string[] {
    const unknown = Object.keys(labels).find((label) => !this.#labelNames.includes(label));
    if (unknown !== undefined) {
      throw invalidValue(`labels.${unknown} is not a label of ${this.#name} (${this.#labelNames.join(', ')})`);
    }
    return this.#labelNames.map((label) => labelText(label, labels[label] ?? ''));
  }

  #at(values: string[]): Series {
    const key = values.join('\u0000');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new Series(this.#kind, this.#find(values));
      if (this.#series.size >= MAX_CACHED) this.#series.clear();
      this.#series.set(key, series);
    }
    return series;
  }
}

/** Defines a metric of the user's. */
function define(
  kind: Kind,
  name: string,
  help: string,
  labelNames: readonly string[],
  bounds: readonly number[] = [],
): Metric {
  if (!Array.isArray(labelNames)) throw invalidType('labels', 'an array of names', labelNames);
  if (!Array.isArray(bounds)) throw invalidType('buckets', 'an array of numbers', bounds);
  const labels = Array.from(labelNames, (label, at) => checkedText(`labels[${at}]`, label));
  const buckets = Array.from(bounds as readonly unknown[], (bound, at) => checkedBound(`buckets[${at}]`, bound));
  const handle = native.metricDefine(kind, name, help, labels, buckets);
  const metric = new Metric(kind, name, labels, (values) => native.metricSeries(handle, values));
  // Without labels it is shown from the beginning.
  if (labels.length === 0) metric.labels();
  return metric;
}

/** @internal One series of a metric of this package, as a metric without labels. */
export function seriesMetric<K extends Kind>(kind: K, name: string, series: Handle<MetricSeries>): MetricOf[K] {
  return new Metric(kind, name, [], () => series) as unknown as MetricOf[K];
}

function checkedBound(path: string, value: unknown): number {
  if (typeof value !== 'number') throw invalidType(path, 'a number', value);
  return value;
}

function checkedText(path: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidType(path, 'a string', value);
  return value;
}

function labelText(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw invalidType(`labels.${name}`, 'a string or a number', value);
}

/**
 * Returns the counter of this name in the metrics of the process, which {@link metricsText} shows, with `_total` at the end of
 * its name. Called again with the same labels, it counts in the same series.
 *
 * @throws TypeError for a name that Prometheus does not allow, that begins with `moorline_`, or that is another metric's.
 *
 * @example
 * ```ts
 * import { counter, metricsText } from 'moorline';
 *
 * const orders = counter('orders', 'Orders that were taken.', ['country']);
 * orders.inc({ country: 'NO' });
 * orders.labels('SE').inc(2);
 * console.log(metricsText().includes('orders_total{country="SE"} 2')); // true
 * ```
 */
export function counter(name: string, help: string, labels: readonly string[] = []): Counter {
  return define('counter', name, help, labels) as Counter;
}

/**
 * Returns the gauge of this name in the metrics of the process, which {@link metricsText} shows until the process ends.
 *
 * @throws TypeError as `counter`.
 *
 * @example
 * ```ts
 * import { gauge } from 'moorline';
 *
 * const waiting = gauge('orders_waiting', 'Orders that wait for their parcel.');
 * waiting.set(3);
 * waiting.dec();
 * ```
 */
export function gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
  return define('gauge', name, help, labels) as Gauge;
}

/**
 * Returns the histogram of this name in the metrics of the process, which {@link metricsText} shows. `buckets` are the upper bounds
 * of its ranges, ascending. Default: 0.005 to 10, for seconds.
 *
 * @throws TypeError as `counter`, and for buckets that do not ascend.
 *
 * @example
 * ```ts
 * import { histogram } from 'moorline';
 *
 * const seconds = histogram('parcel_seconds', 'Time to pack a parcel.', ['size']);
 * const end = seconds.startTimer({ size: 'small' });
 * console.log(end() < 10); // true
 * ```
 */
export function histogram(
  name: string,
  help: string,
  labels: readonly string[] = [],
  buckets: readonly number[] = [],
): Histogram {
  return define('histogram', name, help, labels, buckets) as Histogram;
}
