// Whether many operations leave something behind.
//
// "Flat" means: after a warm-up, memory grows by less than 8 MB and less than 100 bytes an operation, no files stay open, and
// what could keep the process alive is the same as before.
import assert from 'node:assert/strict';

import type { Subject } from '../../contract/contract';
import { runChild } from './spawn';

const MAX_GROWN_BYTES = 8 * 2 ** 20;
/** Of operations; whole lifetimes are too few to tell so little from what the allocator keeps for later. */
const MAX_BYTES_PER_OPERATION = 100;

/** Connections that are replaced come and go. */
const MAX_GROWN_FILES = 20;

export type Repetition = 'operations' | 'failures' | 'aborts' | 'lives';

/** What is repeated of a subject. */
export const repetitions = ({ lacks, runLifetime }: Subject): Repetition[] => [
  'operations',
  'failures',
  ...(lacks.signal === undefined ? (['aborts'] as const) : []),
  ...(runLifetime ? (['lives'] as const) : []),
];

export interface Measured {
  grownBytes: number;
  /** Files and sockets that are open, and were not before. */
  grownFiles: number;
  operations: number;
  elapsedMs: number;
  repetition: Repetition;
  before: { resources: string[] };
  after: { resources: string[] };
}

/** Repeats in a process of its own: a hundred thousand times, or for `soakMs`. */
export async function measure(
  { name }: Subject,
  url: string,
  repetition: Repetition,
  soakMs?: number,
): Promise<Measured> {
  const soak = soakMs === undefined ? [] : [String(soakMs)];
  const ended = await runChild([name, url, repetition, ...soak], 120_000 + (soakMs ?? 0));
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr);
  return { ...(ended.lines[0] as Measured), elapsedMs: ended.elapsedMs, repetition };
}

export function assertFlat({ grownBytes, grownFiles, operations, repetition, before, after }: Measured): void {
  assert.ok(grownBytes < MAX_GROWN_BYTES, `${grownBytes} bytes more`);
  assert.ok(grownFiles < MAX_GROWN_FILES, `${grownFiles} open files more`);
  if (repetition !== 'lives')
    assert.ok(grownBytes / operations < MAX_BYTES_PER_OPERATION, `${grownBytes / operations} bytes an operation`);
  assert.deepEqual(after.resources, before.resources);
}
