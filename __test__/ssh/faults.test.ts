// Fifty calls through one tunnel while its server, its link or its keys change; `npm run soak -- ssh` has more rounds.
import { after, before, describe, test } from 'node:test';

import { setLogger } from 'moorline';

import { type FaultName, FAULTS, runRound } from '../alone/soak/tunnel-faults';
import { Targets } from '../alone/soak/tunnel-load';
import { peersMissing } from '../support/peers';
import { skipWithoutSqld } from '../support/servers';
import { skipWithoutSshd } from '../support/sshd';

const skip = skipWithoutSshd() || peersMissing() || skipWithoutSqld();

describe('calls through a tunnel end, and succeed again, when', { skip, timeout: 240_000 }, () => {
  let targets: Targets;

  before(async () => {
    setLogger({});
    targets = await Targets.start();
  });
  after(async () => {
    setLogger(undefined);
    await targets?.close();
  });

  for (const fault of Object.keys(FAULTS) as FaultName[]) {
    for (const sessions of ['one', 'several'] as const) {
      test(`${fault}, with ${sessions} session${sessions === 'one' ? '' : 's'}`, async (t) => {
        const { calls, failed, allMs } = await runRound(fault, sessions, targets);
        t.diagnostic(`${calls} calls, ${failed} failed, all succeed again after ${allMs.toFixed(0)} ms`);
      });
    }
  }
});
