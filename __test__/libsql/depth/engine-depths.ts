// Everything the engine recurses for, at its own limits and beyond them. Run as `engine-depths.ts <index>`, it tries
// all from that one on and says a line before each and after it; what ends the process is the one without the second.
// With `worker` as a second argument it does so in a worker with a stack of 1 MB, and each statement so often that it runs
// on the thread of its caller, if it may.
import { writeSync } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';

import { TursoPool } from 'moorline';

import type { Construct } from './depth-construct';
import { schemas } from './depths-of-schemas';
import { statements } from './depths-of-statements';
import { values } from './depths-of-values';

export const constructs: Construct[] = [...values, ...statements, ...schemas];

/** More than the runs after which a statement may run on the thread of its caller. */
const RUNS_IN_A_WORKER = 5;

/** The outcome of one try: `answer`, or the message of the error. */
async function tryConstruct(construct: Construct, depth: number): Promise<string> {
  const db = new TursoPool({ url: ':memory:', poolSize: 1, queryTimeoutMs: 300_000, leakAfterMs: Infinity });
  try {
    await construct.run(isMainThread ? db : repeatingStatements(db), depth);
    return 'answer';
  } catch (error) {
    return String((error as Error).message);
  } finally {
    await db.drain(0);
  }
}

/** A database on which every single statement without an effect is run several times. */
function repeatingStatements(db: TursoPool): TursoPool {
  const execute: TursoPool['execute'] = async (...args) => {
    const [sql] = args as [unknown];
    if (typeof sql === 'string' && /^(SELECT|WITH)/.test(sql)) {
      for (let run = 1; run < RUNS_IN_A_WORKER; run++) await db.execute(...args);
    }
    return db.execute(...args);
  };
  return new Proxy(db, {
    get: (target, name) => {
      if (name === 'execute') return execute;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

async function main(first: number): Promise<void> {
  const print = (line: unknown) => void writeSync(1, `${JSON.stringify(line)}\n`);
  for (let index = first; index < constructs.length; index++) {
    const construct = constructs[index]!;
    for (const [depth] of construct.outcomes) {
      print({ index, depth });
      print({ index, depth, outcome: await tryConstruct(construct, depth) });
    }
  }
}

/** Does it in a worker, whose end is that of the process. */
function startWorker(): void {
  // A worker does not inherit the hooks by which this file is read.
  const load = `require('tsx/cjs'); require(${JSON.stringify(__filename)})`;
  const worker = new Worker(load, { eval: true, argv: process.argv.slice(2), resourceLimits: { stackSizeMb: 1 } });
  worker.once('exit', (code) => (process.exitCode = code));
}

if (isMainThread && process.argv[3] === 'worker') startWorker();
else if (!isMainThread || require.main === module) void main(Number(process.argv[2]));
