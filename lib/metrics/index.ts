export { counter, gauge, histogram } from './metric';
export type { Counter, CounterSeries, Gauge, GaugeSeries, Histogram, HistogramSeries, MetricLabels } from './metric';
export { metricsText } from './text';
