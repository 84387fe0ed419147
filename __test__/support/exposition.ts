// A strict reader of Prometheus text, format 0.0.4: what a lenient scraper would let pass is an error here.
import assert from 'node:assert/strict';

export interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  samples: Sample[];
}

export interface Sample {
  /** With `_bucket`, `_sum` or `_count` for a histogram. */
  name: string;
  labels: Record<string, string>;
  value: number;
}

const METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?Inf|NaN)$/i;
const SUFFIX = /_(?:bucket|sum|count)$/;

/** The families of a page by name. */
export function parse(page: string): Map<string, Family> {
  const families = new Map<string, Family>();
  assert.ok(page === '' || page.endsWith('\n'), 'the last line ends');
  const lines = page.split('\n').slice(0, -1);
  let current: { name: string; help: string } | undefined;
  let family: Family | undefined;
  for (const line of lines) {
    const help = /^# HELP (\S+) (.*)$/.exec(line);
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (help) {
      assert.equal(family?.samples.length === 0, false, `${current?.name} has samples`);
      current = { name: help[1]!, help: unescaped(help[2]!, 'n\\') };
      family = undefined;
      assert.match(current.name, METRIC);
      assert.ok(!families.has(current.name), `${current.name} is begun once`);
    } else if (type) {
      assert.equal(type[1], current?.name, 'the type follows the help');
      assert.match(type[2]!, /^(?:counter|gauge|histogram)$/);
      family = { type: type[2] as Family['type'], help: current!.help, samples: [] };
      families.set(current!.name, family);
    } else {
      assert.ok(family, `${line} belongs to a family`);
      const sample = sampleOf(line);
      const own = family.type === 'histogram' ? sample.name.replace(SUFFIX, '') : sample.name;
      assert.equal(own, current!.name, `${line} stands in its family`);
      family.samples.push(sample);
    }
  }
  for (const [name, one] of families) check(name, one);
  return families;
}

function sampleOf(line: string): Sample {
  const head = /^([^{ ]+)/.exec(line)![1]!;
  assert.match(head, METRIC, line);
  const labels: Record<string, string> = {};
  let rest = line.slice(head.length);
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const pair = /^([^=]+)="((?:[^"\\\n]|\\.)*)"(,|(?=\}))/.exec(rest);
      assert.ok(pair, `labels of ${line}`);
      assert.match(pair[1]!, LABEL);
      assert.ok(!Object.hasOwn(labels, pair[1]!), `${pair[1]} is there once`);
      labels[pair[1]!] = unescaped(pair[2]!, 'n\\"');
      rest = rest.slice(pair[0].length);
    }
    rest = rest.slice(1);
  }
  const value = /^ (\S+)$/.exec(rest)?.[1];
  assert.ok(value !== undefined && NUMBER.test(value), `the value of ${line}`);
  return { name: head, labels, value: numberOf(value) };
}

function numberOf(text: string): number {
  return /inf/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

function unescaped(text: string, allowed: string): string {
  return text.replace(/\\(.)/g, (_, escaped: string) => {
    assert.ok(allowed.includes(escaped), `\\${escaped} is no escape`);
    return escaped === 'n' ? '\n' : escaped;
  });
}

function check(name: string, { type, samples }: Family): void {
  assert.ok(samples.length > 0, `${name} has samples`);
  assert.equal(type === 'counter', name.endsWith('_total'), `${name}: counters, and only they, are totals`);
  const keys = samples.map(({ name: own, labels }) => own + JSON.stringify(Object.entries(labels)));
  assert.equal(new Set(keys).size, keys.length, `${name} has each series once`);
  const names = (labels: object) => Object.keys(labels).filter((label) => label !== 'le');
  for (const { labels, value } of samples) {
    assert.deepEqual(names(labels), names(samples[0]!.labels), `the labels of ${name}`);
    if (type !== 'gauge') assert.ok(value >= 0, `${name} is not negative`);
  }
  if (type === 'histogram') checkHistogram(name, samples);
}

function checkHistogram(name: string, samples: Sample[]): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _, ...own } = sample.labels;
    const key = JSON.stringify(own);
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const all of series.values()) {
    const buckets = all.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => numberOf(labels['le']!));
    assert.deepEqual(
      bounds,
      [...new Set(bounds)].sort((a, b) => a - b),
      `the bounds of ${name} ascend`,
    );
    assert.equal(bounds.at(-1), Infinity);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(
      counts,
      [...counts].sort((a, b) => a - b),
      `the buckets of ${name} are cumulative`,
    );
    const [sum, count, ...more] = all.filter((sample) => sample.name !== `${name}_bucket`);
    assert.deepEqual([sum?.name, count?.name, more.length], [`${name}_sum`, `${name}_count`, 0]);
    assert.equal(count!.value, counts.at(-1));
  }
}

/** The sum of all samples with these labels; `undefined` when there is none. */
export function valueOf(page: string, name: string, labels: Record<string, string>): number | undefined {
  const families = parse(page);
  const family = families.get(name) ?? families.get(name.replace(SUFFIX, ''));
  const wanted = Object.entries(labels);
  const found = family?.samples.filter(
    (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
  );
  return found?.length ? found.reduce((sum, { value }) => sum + value, 0) : undefined;
}
