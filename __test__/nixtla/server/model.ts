// The model of the stand-in for the forecasting service: it repeats the last season, ± 2 at the 80 % level.

/** A request body of the wire format. */
export interface Body {
  series: { y: number[]; sizes: number[]; start_datetime?: string[]; X: null; X_future?: null };
  model: string;
  freq: string;
  h?: number;
  level?: number[] | number | null;
  n_windows?: number;
  step_size?: number | null;
  detection_size?: number;
  finetuned_model_id?: string | null;
  output_model_id?: string | null;
  [member: string]: unknown;
}

/** A body the service would refuse with 422. */
export class InvalidBody extends Error {
  constructor(
    readonly place: (string | number)[],
    message: string,
  ) {
    super(message);
  }
}

const SEASON = 7;

function validate(body: Body | undefined): Body {
  if (!body) throw new InvalidBody(['body'], 'Field required');
  for (const member of ['series', 'model', 'freq']) {
    if (body[member] === undefined) throw new InvalidBody(['body', member], 'Field required');
  }
  const { y, sizes } = body.series;
  if (sizes.reduce((sum, size) => sum + size, 0) !== y.length) {
    throw new InvalidBody(['body', 'series', 'sizes'], 'Sizes do not add up');
  }
  for (const [index, value] of y.entries()) {
    if (typeof value !== 'number')
      throw new InvalidBody(['body', 'series', 'y', index], 'Input should be a valid number');
  }
  for (const level of [body.level ?? []].flat()) {
    if (level < 0 || level >= 100)
      throw new InvalidBody(['body', 'level'], 'Level should be at least 0 and less than 100');
  }
  for (const id of [body.finetuned_model_id, body.output_model_id]) {
    if (typeof id === 'string' && !/^[a-zA-Z0-9\-_]{1,36}$/.test(id)) {
      throw new InvalidBody(['body', 'finetuned_model_id'], 'String should match pattern');
    }
  }
  return body;
}

function requireHorizon(body: Body): number {
  if (!Number.isInteger(body.h) || (body.h ?? 0) < 1)
    throw new InvalidBody(['body', 'h'], 'Input should be greater than 0');
  return body.h!;
}

/** The flat indices at which each series begins. */
function seriesOffsets(sizes: number[]): number[] {
  let start = 0;
  return sizes.map((size) => (start += size) - size);
}

/** The forecast for the flat index `at` of a series that is known from `begin` up to `end`, exclusive. */
function forecastAt(y: number[], begin: number, end: number, at: number): number {
  let from = at;
  while (from >= end) from -= SEASON;
  return y[from >= begin ? from : end - 1]!;
}

function intervals(mean: number[], level: Body['level']): Record<string, number[]> | null {
  if (level === null || level === undefined) return null;
  const sides: Record<string, number[]> = {};
  for (const one of [level].flat()) {
    const half = one / 40;
    sides[`lo-${one}`] = mean.map((value) => value - half);
    sides[`hi-${one}`] = mean.map((value) => value + half);
  }
  return sides;
}

function tokens(body: Body, outputs: number) {
  return { input_tokens: body.series.y.length, output_tokens: outputs, finetune_tokens: 0 };
}

export function forecast(given: Body | undefined): unknown {
  const body = validate(given);
  const { y, sizes } = body.series;
  const h = requireHorizon(body);
  const mean = seriesOffsets(sizes).flatMap((begin, series) => {
    const end = begin + sizes[series]!;
    return Array.from({ length: h }, (_, step) => forecastAt(y, begin, end, end + step));
  });
  return { mean, intervals: intervals(mean, body.level), weights_x: null, ...tokens(body, mean.length) };
}

export function crossValidation(given: Body | undefined): unknown {
  const body = validate(given);
  const { y, sizes } = body.series;
  const [h, windows] = [requireHorizon(body), body.n_windows ?? 1];
  const step = body.step_size ?? h;
  const idxs: number[] = [];
  const mean: number[] = [];
  for (const [series, begin] of seriesOffsets(sizes).entries()) {
    for (let window = windows - 1; window >= 0; window--) {
      const end = begin + sizes[series]! - h - window * step;
      if (end <= begin) throw new InvalidBody(['body', 'n_windows'], 'The series is too short');
      for (let at = end; at < end + h; at++) {
        idxs.push(at);
        mean.push(forecastAt(y, begin, end, at));
      }
    }
  }
  const perSeries = sizes.map(() => windows * h);
  return { mean, sizes: perSeries, idxs, intervals: intervals(mean, body.level), ...tokens(body, mean.length) };
}

/** The anomalies among the last points of each series: those outside the interval around their forecast. */
function detect(body: Body, countOf: (size: number) => number) {
  const { y, sizes } = body.series;
  const level = body.level as number;
  if (typeof level !== 'number') throw new InvalidBody(['body', 'level'], 'Input should be a valid number');
  const counts = sizes.map(countOf);
  const idxs = seriesOffsets(sizes).flatMap((begin, series) => {
    const end = begin + sizes[series]!;
    return Array.from({ length: counts[series]! }, (_, k) => end - counts[series]! + k);
  });
  const mean = idxs.map((at) => {
    const begin = seriesOffsets(sizes).findLast((start) => start <= at)!;
    return forecastAt(y, begin, at, at);
  });
  const half = level / 40;
  const distances = idxs.map((at, k) => Math.abs(y[at]! - mean[k]!));
  const anomaly = distances.map((distance) => distance > half);
  return { mean, sizes: counts, idxs, anomaly, distances, intervals: intervals(mean, level) };
}

export function anomalies(given: Body | undefined): unknown {
  const body = validate(given);
  const { mean, sizes, anomaly, intervals } = detect(body, (size) => Math.max(0, size - SEASON));
  return { mean, sizes, anomaly, intervals, ...tokens(body, mean.length) };
}

export function onlineAnomalies(given: Body | undefined): unknown {
  const body = validate(given);
  requireHorizon(body);
  const { detection_size: count } = body;
  if (!count) throw new InvalidBody(['body', 'detection_size'], 'Field required');
  const { distances, ...answer } = detect(body, (size) => Math.min(size - 1, count));
  return { ...answer, anomaly_score: distances, ...tokens(body, answer.mean.length) };
}
