// Two servers, one of them a standby: which one is used, and what happens when it is promoted in the middle of the load.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SSHTunnel } from 'moorline';

import type * as Errors from '../../lib/postgres/error';
import type * as Pools from '../../lib/postgres/pool';
import { eventually } from '../support/eventually';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { Sshd, skipWithoutSshd } from '../support/sshd';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');

/** The time in which a promotion is followed. */
const FOLLOWED_WITHIN = 5_000;

describe('two servers of PostgreSQL', { skip: skipWithoutPostgres() || skipWithoutSshd(), timeout: 120_000 }, () => {
  let primary: Postgres;
  let standby: Postgres;
  let sshd: Sshd;
  let tunnel: SSHTunnel;

  before(async () => {
    primary = await Postgres.start();
    primary.psql('CREATE TABLE effects (id serial PRIMARY KEY)');
    standby = await Postgres.startStandby(primary);
    sshd = await Sshd.start();
    tunnel = new SSHTunnel({ ...sshd.config });
  });
  after(async () => {
    await tunnel?.disconnect();
    await sshd?.stop();
    await standby?.stop();
    await primary?.stop();
  });

  /** A pool of both, the primary first, unless they are to be the other way round. */
  const open = (attributes: string, through?: SSHTunnel, servers = [primary, standby]) => {
    const { user, password, database } = primary.config;
    const options = {
      host: servers.map(({ config }) => config.host).join(','),
      port: servers.map(({ port }) => port).join(','),
      ...{ user, password, database, targetSessionAttrs: attributes, connectionTimeoutMillis: 2_000, tunnel: through },
    };
    return new PostgresConnectionPool(options as never);
  };
  const portOf = async (pool: Pools.PostgresConnectionPool) =>
    (await pool.query('SELECT inet_server_port() AS port')).rows[0].port as number;

  test('each wish gets the server that it names, whichever comes first', async () => {
    const [p, s] = [primary.port, standby.port];
    for (const [attributes, [first, second]] of Object.entries({
      any: [p, s],
      'read-write': [p, p],
      primary: [p, p],
      'read-only': [s, s],
      standby: [s, s],
      'prefer-standby': [s, s],
    })) {
      for (const [servers, expected] of [
        [[primary, standby], first],
        [[standby, primary], second],
      ] as const) {
        const pool = open(attributes, undefined, [...servers]);
        assert.equal(await portOf(pool), expected, attributes);
        await pool.end(1_000);
      }
    }
  });

  test('a write that a standby refuses ends its connection, unless it was wanted for reading', async () => {
    for (const [attributes, isKept] of [
      ['any', false],
      ['prefer-standby', true],
    ] as const) {
      const pool = open(attributes, undefined, [standby]);
      const pid = async () => (await pool.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number;
      const before = await pid();
      assert.equal(await pid(), before);
      const refused = pool.query('INSERT INTO effects DEFAULT VALUES');
      await assert.rejects(refused, { code: '25006', kind: 'rejected', delivery: 'answered' });
      assert.equal((await pid()) === before, isKept, attributes);
      await pool.end(1_000);
    }
  });

  /** The old one stays out of use, and the standby of the next promotion is made of the one that was promoted. */
  const replace = async () => {
    await primary.stop();
    primary = standby;
    standby = await Postgres.startStandby(primary);
  };

  /** Writes all the time, from several borrowers; gives when each statement succeeded and what failed. */
  function write(pool: Pools.PostgresConnectionPool) {
    const running = { now: true };
    const written: { at: number; port: number }[] = [];
    const failures: unknown[] = [];
    const work = Array.from({ length: 8 }, async () => {
      while (running.now) {
        try {
          const { rows } = await pool.query('INSERT INTO effects DEFAULT VALUES RETURNING inet_server_port() AS port');
          written.push({ at: performance.now(), port: rows[0].port });
        } catch (error) {
          failures.push(error);
        }
      }
    });
    const stop = async () => {
      running.now = false;
      await Promise.all(work);
      for (const error of failures) {
        assert.ok(error instanceof PostgresError, String(error));
        assert.match(`${error.kind} ${error.code}`, /^(connect|disconnected|pool-timeout) |^rejected 25006$/);
      }
      return failures as Errors.PostgresError[];
    };
    return { written, stop };
  }

  /** Promotes the standby while `write` goes on, and waits for what is written there. */
  async function promote(written: readonly { at: number; port: number }[]): Promise<void> {
    assert.equal(standby.psql('SELECT pg_promote()'), 't');
    const promoted = performance.now();
    const first = await eventually(() => written.find(({ port }) => port === standby.port), FOLLOWED_WITHIN + 5_000);
    assert.ok(first.at - promoted < FOLLOWED_WITHIN, `followed after ${first.at - promoted} ms`);
  }

  for (const way of ['directly', 'directly, again', 'through a tunnel']) {
    test(`a primary that is lost is left for the standby that is promoted, ${way}`, async () => {
      const pool = open('read-write', way.includes('tunnel') ? tunnel : undefined);
      const reading = open('prefer-standby');
      assert.equal(await portOf(reading), standby.port);
      const { written, stop } = write(pool);
      await eventually(() => written.length > 20, 10_000);
      await primary.kill();
      await promote(written);
      await stop();
      assert.equal(await portOf(pool), standby.port);
      // The standby is none any more, and there is no other.
      assert.equal(await portOf(reading), standby.port);
      await Promise.all([pool.end(1_000), reading.end(1_000)]);
      await replace();
    });
  }

  test('a primary that lives on, and refuses to write, is left as well: 25006 ends the connection', async () => {
    const pool = open('read-write');
    const { written, stop } = write(pool);
    await eventually(() => written.length > 20, 10_000);
    // As tools for failover fence a server off: its sessions go on, and their transactions are read-only.
    primary.psql('ALTER SYSTEM SET default_transaction_read_only = on');
    primary.psql('SELECT pg_reload_conf()');
    await promote(written);
    const failures = await stop();
    const refused = failures.filter(({ code }) => code === '25006');
    assert.ok(refused.length <= 8, `${refused.length} statements on ${pool.totalCount} connections`);
    assert.equal(await portOf(pool), standby.port);
    await pool.end(1_000);
  });
});
