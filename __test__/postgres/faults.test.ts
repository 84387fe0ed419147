// Fifty calls on PostgreSQL while it, or the way to it, fails and comes back; `npm run soak -- postgres` has more rounds.
import { after, before, describe, test } from 'node:test';

import { setLogger } from 'moorline';

import { type FaultName, faultsOf, runRound, SERVER, WAYS } from '../alone/soak/postgres-faults';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { Sshd, skipWithoutSshd } from '../support/sshd';

/** Once, as there is another of their kind. */
const ONCE: FaultName[] = [
  'PostgreSQL is stopped and started again',
  'PostgreSQL crashes and is started again',
  'the connections fall into a black hole',
  'the link goes down and comes back',
];

for (const way of WAYS) {
  const skip = skipWithoutPostgres() || (way === 'directly' ? false : skipWithoutSshd());

  describe(`calls on PostgreSQL ${way} end, and succeed again, when`, { skip, timeout: 240_000 }, () => {
    let server: Postgres;
    let sshd: Sshd | undefined;

    before(async () => {
      setLogger({});
      server = await Postgres.start(SERVER);
      if (way === 'through a tunnel') sshd = await Sshd.start();
    });
    after(async () => {
      setLogger(undefined);
      await sshd?.stop();
      await server?.stop();
    });

    for (const fault of faultsOf(way)) {
      test(fault, async (t) => {
        for (let round = 0; round < (ONCE.includes(fault) ? 1 : 2); round++) {
          const { calls, failed, unknown, allMs } = await runRound(fault, way, server, sshd);
          t.diagnostic(
            `${calls} calls, ${failed} failed, ${unknown} unknown, all succeed again after ${allMs.toFixed(0)} ms`,
          );
        }
      });
    }
  });
}
