// A statement that is given up is cancelled on the server, and nothing else is: directly, and through a tunnel.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PostgresConnectionManager, PostgresError, SSHTunnel } from 'moorline';

import { eventually } from '../support/eventually';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { Sshd, skipWithoutSshd } from '../support/sshd';

/** What a statement that nobody wants any more may keep its server process. */
const FREED_MS = 1000;
const CANCELS = 1000;
const CLIENTS = 8;

for (const way of ['directly', 'through a tunnel'] as const) {
  const skip = skipWithoutPostgres() || (way === 'directly' ? false : skipWithoutSshd());

  describe(`a statement that is given up, ${way},`, { skip, timeout: 60_000 }, () => {
    let server: Postgres;
    let sshd: Sshd | undefined;
    let tunnel: SSHTunnel | undefined;
    let manager: PostgresConnectionManager;

    before(async () => {
      server = await Postgres.start();
      if (way === 'directly') return;
      sshd = await Sshd.start();
      tunnel = new SSHTunnel(sshd.config);
      await tunnel.connect();
    });
    after(async () => {
      await tunnel?.disconnect();
      await sshd?.stop();
      await server?.stop();
    });

    async function withManager(max: number, use: () => Promise<void>): Promise<void> {
      const limits = { connectionTimeoutMillis: 20_000, max };
      manager = new PostgresConnectionManager({ ...server.config, ...limits, tunnel: tunnel ?? false });
      try {
        await use();
      } finally {
        await manager.shutdown();
      }
    }
    const working = () =>
      Number(
        server.psql(`SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'
      AND state = 'active' AND pid <> pg_backend_pid()`),
      );

    for (const end of ['its signal', 'its time limit', 'the signal of a client’s']) {
      test(`frees its server process, by ${end}`, () =>
        withManager(1, async () => {
          const controller = new AbortController();
          const how = end === 'its time limit' ? { timeoutMs: 300 } : { signal: controller.signal };
          const client = end.endsWith('client’s') ? await manager.connect() : undefined;
          const sleeping = (client ?? manager).query({ text: 'SELECT pg_sleep(60)', ...how });
          const ended = sleeping.then(
            () => assert.fail('it succeeded'),
            (error: unknown) => error,
          );
          await eventually(() => working() === 1);
          controller.abort();
          const error = await ended;
          const given = performance.now();
          await eventually(() => working() === 0);
          const freedMs = performance.now() - given;
          assert.ok(freedMs < FREED_MS, `after ${freedMs} ms`);
          if (end !== 'its time limit') assert.equal(error, controller.signal.reason);
          else assert.deepEqual(settled(error), ['timeout', 'ETIMEDOUT', 'unknown']);
          assert.equal((await (client ?? manager).query('SELECT 1 AS one')).rows[0].one, 1);
          client?.release();
        }));
    }

    test(`is cancelled ${CANCELS} times at random moments, and the next one of its connection never`, (t) =>
      withManager(CLIENTS, async () => {
        const before = cancelledBy(server);
        let [left, answered] = [CANCELS, 0];
        const work = async () => {
          const client = await manager.connect();
          const { processID } = client;
          while (left-- > 0) {
            // The next one is sent at once, behind what cannot be cancelled then, or when it is known that this one is given up.
            const isAtOnce = left % 3 === 0;
            // Some that are cancelled for certain, unless nothing of them was sent.
            const isLong = left % 3 === 1 && left % 5 === 0;
            const sleepSeconds = isLong ? 60 : Math.random() / 50;
            // From before it is sent until after it is answered; the server hears of it some milliseconds later.
            const signal = abortAfter(Math.random() * 10 - 1);
            const aborted = client.query({ text: `SELECT pg_sleep(${sleepSeconds})`, signal });
            const next = () => client.query('SELECT pg_sleep(0.001), $1::int AS n', [left]);
            const following = isAtOnce ? Promise.all([aborted.catch(same(signal)), next()]) : undefined;
            if (await aborted.catch(same(signal))) answered += 1;
            const { rows } = following ? (await following)[1] : await next();
            assert.equal(typeof rows[0].n, 'number');
          }
          assert.equal(client.processID, processID);
          client.release();
        };
        await Promise.all(Array.from({ length: CLIENTS }, work));
        const cancelled = cancelledBy(server) - before;
        t.diagnostic(
          `${CANCELS} given up, of which ${answered} were answered and ${cancelled} cancelled by the server`,
        );
        assert.ok(cancelled > CANCELS / 40, `${cancelled} of ${CANCELS} were cancelled by the server`);
        assert.ok(answered > 0);
      }));
  });
}

/** The statements that the server has cancelled. */
const cancelledBy = (server: Postgres) => server.log.split('canceling statement due to user request').length - 1;

/** A signal that is aborted at once, in this turn of the loop, or in so many milliseconds. */
function abortAfter(ms: number): AbortSignal {
  const controller = new AbortController();
  if (ms < 0) setImmediate(() => controller.abort());
  else {
    const from = performance.now();
    const wait = () => (performance.now() - from >= ms ? controller.abort() : void setImmediate(wait));
    wait();
  }
  return controller.signal;
}

/** Takes the reason of the signal for an outcome, and nothing else. */
const same = (signal: AbortSignal) => (error: unknown) => {
  assert.equal(error, signal.reason);
  return undefined;
};

function settled(error: unknown): string[] {
  assert.ok(error instanceof PostgresError, String(error));
  return [error.kind, error.code, error.delivery];
}
