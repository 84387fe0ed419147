// Everything the engine recurses for, at its own limits and beyond them. Run as `engine-depths.ts <index>`, it tries
// all from that one on and says a line before each and after it; what ends the process is the one without the second.
import { TursoPool } from 'moorline';

import type { Construct } from './depth-construct';
import { schemas } from './depths-of-schemas';
import { statements } from './depths-of-statements';
import { values } from './depths-of-values';

export const constructs: Construct[] = [...values, ...statements, ...schemas];

/** The outcome of one try: `answer`, or the message of the error. */
async function tryConstruct(construct: Construct, depth: number): Promise<string> {
  const db = new TursoPool({ url: ':memory:', poolSize: 1, queryTimeoutMs: 300_000, leakAfterMs: Infinity });
  try {
    await construct.run(db, depth);
    return 'answer';
  } catch (error) {
    return String((error as Error).message);
  } finally {
    await db.drain(0);
  }
}

async function main(first: number): Promise<void> {
  const print = (line: unknown) => void process.stdout.write(`${JSON.stringify(line)}\n`);
  for (let index = first; index < constructs.length; index++) {
    const construct = constructs[index]!;
    for (const [depth] of construct.outcomes) {
      print({ index, depth });
      print({ index, depth, outcome: await tryConstruct(construct, depth) });
    }
  }
}

if (require.main === module) void main(Number(process.argv[2]));
