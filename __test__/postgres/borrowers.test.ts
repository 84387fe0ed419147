// What borrowers of connections leave is seen by nobody after them, directly and through PgBouncer in session mode.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type * as Clients from '../../lib/postgres/client';
import type * as Pools from '../../lib/postgres/pool';
import { pick, seededRandom } from '../hostile/random';
import { load } from '../support/native';
import { PgBouncer, skipWithoutPgBouncer } from './pgbouncer';
import { Postgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
type Client = Clients.PostgresClient;
type Options = NonNullable<Parameters<Pools.PostgresConnectionPool['connect']>[0]>;

const BORROWERS = 200;
/** Another one each time; a failure names it, and `MOORLINE_SEED` repeats it. */
const SEED = Number(process.env['MOORLINE_SEED'] ?? Date.now() % 1_000_000);

/** All that a session could show of somebody before. */
const STATE = `SELECT current_user AS role, session_user AS login, current_setting('search_path') AS path,
  current_setting('statement_timeout') AS timeout, current_setting('transaction_read_only') AS "readOnly",
  current_setting('default_transaction_isolation') AS isolation, current_setting('DateStyle') AS dates,
  current_setting('application_name') AS application, coalesce(current_setting('moorline.left', true), '') AS own,
  (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
  (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
  (SELECT count(*)::int FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS tables,
  (SELECT count(*)::int FROM pg_prepared_statements WHERE from_sql) AS prepared,
  (SELECT count(*)::int FROM pg_cursors WHERE name <> '') AS cursors,
  (SELECT count(*)::int FROM effects) AS effects, pg_current_xact_id_if_assigned() IS NOT NULL AS writing`;
const FRESH = {
  role: 'postgres',
  login: 'postgres',
  path: '"$user", public',
  timeout: '0',
  readOnly: 'off',
  isolation: 'read committed',
  dates: 'ISO, DMY',
  application: 'moorline',
  own: '',
  locks: 0,
  channels: 0,
  tables: 0,
  prepared: 0,
  cursors: 0,
  effects: 0,
  writing: false,
};

/** What a borrower does; it may fail, as where it may not write. */
const LEAVE: readonly string[] = [
  'BEGIN',
  "BEGIN; INSERT INTO effects VALUES ('left')",
  'BEGIN; SELECT 1/0',
  'SET ROLE reader',
  'SET SESSION AUTHORIZATION reader',
  'SET search_path = pg_catalog',
  "SET statement_timeout = '7s'",
  'SET DateStyle = German',
  "SET application_name = 'somebody'",
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE',
  "SELECT set_config('moorline.left', 'x', false)",
  'SELECT pg_advisory_lock_shared(1)',
  'DO $$ BEGIN PERFORM pg_advisory_lock_shared(2); END $$',
  'CREATE TEMP TABLE left_over (id int)',
  'PREPARE left_over AS SELECT 1',
  'DECLARE left_over CURSOR WITH HOLD FOR SELECT generate_series(1, 10)',
  'BEGIN; DECLARE left_over CURSOR FOR SELECT 1',
  'LISTEN news',
  'SELECT 1',
];
const SETTINGS: readonly [Options, Partial<typeof FRESH>][] = [
  [{}, {}],
  [{}, {}],
  [{ role: 'reader' }, { role: 'reader' }],
  [{ searchPath: ['public', 'pg_temp'] }, { path: 'public, pg_temp' }],
  [{ statementTimeoutMs: 9000 }, { timeout: '9s' }],
  [{ readOnly: true }, { readOnly: 'on' }],
];
/** How borrowers end. */
const END: readonly ((client: Client) => Promise<unknown> | void)[] = [
  () => undefined,
  (client) => client.query('SELECT nothing'),
  (client) => client.query({ text: 'SELECT pg_sleep(10)', signal: AbortSignal.timeout(5) }),
  (client) => client.query({ text: 'SELECT pg_sleep(10)', timeoutMs: 5 }),
  // Left while it runs.
  (client) => void client.query('SELECT pg_sleep(0.02)').catch(() => undefined),
  (client) => void client.query("SET moorline.left = 'late'").catch(() => undefined),
  (client) => client.query('ROLLBACK; BEGIN'),
  (client) => client.query('ROLLBACK'),
];

describe('borrowers of connections', { skip: skipWithoutPgBouncer(), timeout: 120_000 }, () => {
  let server: Postgres;
  let bouncer: PgBouncer;

  before(async () => {
    // Sessions of PgBouncer's begin with a style of dates that is not ours.
    server = await Postgres.start({ settings: { datestyle: 'German, DMY' } });
    server.psql('CREATE ROLE reader; CREATE TABLE effects (note text); GRANT SELECT, INSERT ON effects TO reader');
    bouncer = await PgBouncer.start(server, 'session');
  });
  after(async () => {
    await bouncer?.stop();
    await server?.stop();
  });

  async function borrow(pool: Pools.PostgresConnectionPool, random: () => number, trace: string[]): Promise<void> {
    const [options, own] = pick(SETTINGS, random);
    const client = await pool.connect(options);
    try {
      assert.equal(client.transactionStatus, 'I');
      const { path, ...state } = (await client.query(STATE)).rows[0];
      const found = { ...state, path: path.replace(/^"public", "pg_temp"$/, 'public, pg_temp') };
      assert.deepEqual(found, { ...FRESH, ...own }, `seed ${SEED}, after ${trace.slice(-8).join(' | ')}`);
      for (let count = Math.floor(random() * 4); count > 0; count--) {
        const text = pick(LEAVE, random);
        trace.push(`${client.processID} ${text}`);
        await client.query(text).catch(() => undefined);
      }
      const end = pick(END, random);
      trace.push(`${client.processID} ends by ${String(end)}`);
      await Promise.resolve(end(client)).catch(() => undefined);
    } finally {
      client.release();
    }
  }

  for (const way of ['directly', 'through PgBouncer in session mode']) {
    test(`${BORROWERS} at random see nothing of each other ${way}`, async () => {
      const { config } = way === 'directly' ? server : bouncer;
      const pool = new PostgresConnectionPool({ ...config, max: 4, connectionTimeoutMillis: 20_000 });
      const random = seededRandom(SEED);
      const trace: string[] = [];
      let left = BORROWERS;
      const work = async () => {
        while (left-- > 0) await borrow(pool, random, trace);
      };
      try {
        await Promise.all(Array.from({ length: 8 }, work));
      } finally {
        await pool.end(1000);
      }
      assert.equal(server.psql('SELECT count(*) FROM effects'), '0');
    });
  }
});
