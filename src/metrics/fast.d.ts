export declare function metricRecord(series: Handle<MetricSeries>, value: number): void;
export declare function metricSet(gauge: Handle<MetricSeries>, value: number): void;
