// The process in a network namespace of its own; prints what its round has come to.
import { setLogger } from 'moorline';

import { runRoundHere, type Sessions } from './tunnel-faults';
import { Targets } from './tunnel-load';

async function main(): Promise<void> {
  setLogger({});
  const targets = await Targets.start();
  try {
    const report = await runRoundHere('the link goes down and comes back', process.argv[2] as Sessions, targets);
    console.log(JSON.stringify(report));
  } finally {
    await targets.close();
  }
}

void main();
