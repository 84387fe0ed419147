// Programs that are written for `pg`, with promises. Each gives what it saw, to be compared with what it sees of another module.
import type * as Face from 'moorline/pg';

import { eventually } from '../support/eventually';

export type Module = typeof Face;

/** What a program is run with. */
export interface Setting {
  pg: Module;
  config: { host: string; port: number; user: string; password: string; database: string };
  /** Ends the session of this number. */
  terminate(processId: number | null): void;
}

export type Program = (setting: Setting) => Promise<unknown>;

const ERROR_FIELDS = [
  ...([
    'name',
    'message',
    'code',
    'severity',
    'detail',
    'hint',
    'position',
    'internalPosition',
    'internalQuery',
  ] as const),
  ...(['where', 'schema', 'table', 'column', 'dataType', 'constraint', 'file', 'line', 'routine'] as const),
];

/** The fields of an error of the server. */
function fieldsOf(error: any, { DatabaseError }: Module): unknown {
  const fields = Object.fromEntries(ERROR_FIELDS.map((name) => [name, error[name]]));
  return { ...fields, isDatabaseError: error instanceof DatabaseError, isError: error instanceof Error };
}

const messageOf = (error: any): string => error.message;

/** What a result has, without what each module keeps in it for itself. */
function describe(result: any): unknown {
  if (Array.isArray(result)) return result.map(describe);
  const { command, rowCount, oid, rows, fields } = result;
  return {
    command,
    rowCount,
    oid,
    rows,
    fields: fields.map((field: any) => ({ ...field, tableID: field.tableID > 0 })),
  };
}

async function results({ pg, config }: Setting): Promise<unknown> {
  const pool = new pg.Pool({ ...config, max: 1 });
  const seen: unknown[] = [];
  const run = async (query: any, values?: unknown[]) => seen.push(describe(await pool.query(query, values as never)));
  await run('DROP TABLE IF EXISTS results');
  await run('CREATE TABLE results (id serial PRIMARY KEY, name varchar(20) NOT NULL, data jsonb, at timestamptz)');
  await run("INSERT INTO results (name, data) VALUES ($1, $2), ('b', NULL) RETURNING *", ['a', { n: [1, null] }]);
  await run('SELECT id, name, data FROM results ORDER BY id');
  await run({ text: 'SELECT * FROM results WHERE id = $1', values: [1], rowMode: 'array' });
  await run({ name: 'by id', text: 'SELECT name FROM results WHERE id = $1' }, [2]);
  await run({ name: 'by id', text: 'SELECT name FROM results WHERE id = $1', values: [1] });
  await run({ name: 'by id', values: [2] });
  await run('UPDATE results SET at = $1', [new Date(0)]);
  await run('SELECT at, $1::int[] AS list, $2::bytea AS bytes, $3::int8 AS big, 1.5::numeric AS n FROM results', [
    [1, 2],
    Buffer.from('é'),
    '9007199254740993',
  ]);
  await run('SELECT 1 AS one; SELECT 2 AS two, 3 AS two; INSERT INTO results (name) VALUES (1)');
  await run('SELECT 1 AS one; SELECT 2 AS two', []);
  await run('');
  await run('BEGIN');
  await run('COMMIT');
  await run({ text: 'SELECT NULL AS nothing, true AS yes', values: [], queryMode: 'extended' });
  await run({ text: 'SELECT 5 AS five', types: { getTypeParser: () => (text: string) => `<${text}>` } });
  await run('DELETE FROM results');
  await pool.end();
  return seen;
}

async function errors({ pg, config }: Setting): Promise<unknown> {
  const pool = new pg.Pool({ ...config, max: 2 });
  await pool.query(
    'DROP TABLE IF EXISTS failing; CREATE TABLE failing (id int PRIMARY KEY CHECK (id < 9), name text NOT NULL)',
  );
  await pool.query("INSERT INTO failing VALUES (1, 'a')");
  const seen: unknown[] = [];
  for (const [text, values] of [
    ["INSERT INTO failing VALUES (1, 'b')"],
    ['INSERT INTO failing VALUES ($1, $2)', [2, null]],
    ["INSERT INTO failing VALUES (10, 'c')"],
    ['SELECT nothing FROM failing'],
    ['SELEC 1'],
    ['SELECT 1/$1::int', [0]],
    ['SELECT $1::int', ['x']],
    ["DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'try', DETAIL = 'more', ERRCODE = 'ABCDE'; END $$"],
    ['SELECT * FROM json_populate_record(NULL::failing, \'{"id": "x"}\')'],
  ] as [string, unknown[]?][]) {
    seen.push(fieldsOf(await pool.query(text, values).catch((error) => error), pg));
  }
  const wrong = new pg.Client({ ...config, password: 'wrong' });
  seen.push(fieldsOf(await wrong.connect().catch((error) => error), pg));
  const unknown = new pg.Client({ ...config, database: 'nowhere' });
  seen.push(fieldsOf(await unknown.connect().catch((error) => error), pg));
  const refused = await new pg.Client({ ...config, port: 1 }).connect().catch((error) => error);
  seen.push([refused.code, refused instanceof pg.DatabaseError]);
  await pool.end();
  return seen;
}

async function poolLife({ pg, config }: Setting): Promise<unknown> {
  const pool = new pg.Pool({ ...config, max: 2 });
  const seen: unknown[] = [];
  const numbers = new Map<unknown, number>();
  const number = (client: unknown) => {
    if (!numbers.has(client)) numbers.set(client, numbers.size + 1);
    return numbers.get(client);
  };
  const note = (...what: unknown[]) => seen.push([...what, pool.totalCount, pool.idleCount, pool.waitingCount]);
  pool.on('connect', (client) => seen.push(['connect', number(client)]));
  pool.on('acquire', (client) => seen.push(['acquire', number(client)]));
  // `pg` gives null where a statement of the pool's own has succeeded.
  pool.on('release', (error, client) => seen.push(['release', (error as Error)?.message, number(client)]));
  note('new', pool.ending, pool.ended);
  const first = await pool.connect();
  note('one', first instanceof pg.Client);
  const second = await pool.connect();
  const third = pool.connect();
  note('two');
  first.release();
  note('released', (await third) === first);
  (await third).release();
  second.release();
  note('all back');
  try {
    second.release();
  } catch (error) {
    seen.push(messageOf(error));
  }
  const removed = new Promise((resolve) => pool.once('remove', resolve));
  const again = await pool.connect();
  again.release(new Error('broken'));
  seen.push(['removed', (await removed) === again]);
  await until(() => pool.totalCount === 1);
  note('one left');
  seen.push((await pool.query('SELECT 1 AS one')).rows);
  note('after a query');
  const ending = pool.end();
  seen.push(pool.ending);
  await ending;
  note('ended', pool.ending, pool.ended);
  seen.push(await pool.connect().catch(messageOf), await pool.query('SELECT 1').catch(messageOf));
  seen.push(await pool.end().catch(messageOf));
  return seen;
}

async function limits({ pg, config }: Setting): Promise<unknown> {
  const seen: unknown[] = [];
  const pool = new pg.Pool({ ...config, max: 1, connectionTimeoutMillis: 1000 });
  const client = await pool.connect();
  const late = await pool.connect().catch((error) => error);
  seen.push(late.message);
  client.release();
  seen.push((await pool.query('SELECT 1 AS one')).rows);
  await pool.end();
  const quick = new pg.Client({ ...config, statement_timeout: 50, lock_timeout: 4321, query_timeout: 10_000 });
  await quick.connect();
  seen.push(fieldsOf(await quick.query('SELECT pg_sleep(60)').catch((error) => error), pg));
  seen.push((await quick.query('SHOW statement_timeout')).rows, (await quick.query('SHOW lock_timeout')).rows);
  const slow = quick.query({ text: 'SET statement_timeout = 0; SELECT pg_sleep(60)', query_timeout: 50 });
  seen.push(await slow.catch(messageOf));
  await quick.end();
  const worn = new pg.Pool({ ...config, max: 1, maxUses: 2 });
  const processes: unknown[] = [];
  for (let use = 0; use < 5; use++) processes.push((await worn.query('SELECT pg_backend_pid() AS id')).rows[0].id);
  seen.push(processes.map((id) => processes.indexOf(id)));
  await worn.end();
  return seen;
}

async function client({ pg, config }: Setting): Promise<unknown> {
  const seen: unknown[] = [];
  const one = new pg.Client({ ...config, application_name: 'a client', options: '-c work_mem=7MB' });
  for (const event of ['connect', 'drain', 'end'] as const) one.on(event, () => seen.push(event));
  seen.push([one.host, one.port, one.user, one.database, one.processID]);
  // Before it is connected.
  const early = Promise.all([one.query('SELECT 1 AS n'), one.query('SELECT $1::int AS n', [2])]);
  seen.push((await one.connect()) === one);
  seen.push((await early).map(({ rows }) => rows));
  seen.push((await one.query('SELECT pg_backend_pid() AS id')).rows[0].id === one.processID);
  seen.push(
    (await one.query("SELECT current_setting('application_name') AS a, current_setting('work_mem') AS w")).rows,
  );
  seen.push(await one.connect().catch(messageOf));
  const states = [one.getTransactionStatus()];
  for (const [text, state] of [
    ['BEGIN', 'T'],
    ['SELECT 1/0', 'E'],
    ['ROLLBACK', 'I'],
  ] as const) {
    await one.query(text).catch(() => undefined);
    // pg tells of an error before the server has said what it means for the transaction.
    await eventually(() => one.getTransactionStatus() === state);
    states.push(state);
  }
  seen.push(states);
  one.setTypeParser(20, (text: string) => BigInt(text) + 1n);
  one.setTypeParser(23, 'text', Number);
  seen.push((await one.query('SELECT 1::int8 AS big, count(*) AS n FROM generate_series(1, 3)')).rows);
  seen.push(one.getTypeParser(20)('6'), pg.types.getTypeParser(20)('6'));
  seen.push(one.escapeIdentifier('a "b"'), one.escapeLiteral("it's \\ so"), pg.escapeLiteral("it's"));
  // Those that are refused are no statements here, after which nothing runs any more.
  one.removeAllListeners('drain');
  const wrong = [null, undefined, { text: 1 }, { values: [1] }] as any[];
  for (const query of wrong) seen.push(await failed(() => one.query(query)));
  seen.push(await failed(() => one.query('SELECT 1', 'x' as never)));
  await one.query({ name: 'named', text: 'SELECT 1' });
  seen.push(await one.query({ name: 'named', text: 'SELECT 2' }).catch(messageOf));
  await one.end();
  seen.push(await one.query('SELECT 1').catch(messageOf));
  await one.end();
  await new pg.Client(config).end();
  return seen;
}

async function failed(call: () => unknown): Promise<boolean> {
  try {
    await call();
    return false;
  } catch (error) {
    return error instanceof Error;
  }
}

/** Waits for what follows from what was seen. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function concurrent({ pg, config }: Setting): Promise<unknown> {
  const pool = new pg.Pool({ ...config, max: 3 });
  const calls = Array.from({ length: 200 }, (_, n) => pool.query('SELECT $1::int AS n, pg_sleep(0.001)', [n]));
  const rows = (await Promise.all(calls)).map((result) => result.rows[0].n);
  const own = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const { rows } = await client.query('SELECT $1::text AS t', [n]);
        await client.query('COMMIT');
        return rows;
      } finally {
        client.release();
      }
    }),
  );
  await pool.end();
  return [rows, own, pool.totalCount, pool.idleCount];
}

async function setUp({ pg, config }: Setting): Promise<unknown> {
  const seen: unknown[] = [];
  const ask = "SELECT current_setting('search_path') AS path, current_setting('work_mem') AS mem";
  const pool = new pg.Pool({ ...config, max: 1 });
  pool.on('connect', (client) => {
    client.query('SET search_path = pg_catalog').catch(() => undefined);
    client.query("SELECT set_config($1, '5MB', false)", ['work_mem']).catch(() => undefined);
  });
  for (let use = 0; use < 3; use++) seen.push((await pool.query(ask)).rows);
  await pool.end();
  const hooked = new pg.Pool({
    ...config,
    max: 1,
    onConnect: async (client) => {
      await client.query('SET search_path = pg_catalog');
      await client.query("SET work_mem = '6MB'");
    },
  });
  for (let use = 0; use < 2; use++) seen.push((await hooked.query(ask)).rows);
  await hooked.end();
  const refusing = new pg.Pool({ ...config, onConnect: () => Promise.reject(new Error('not this one')) });
  seen.push(await refusing.query('SELECT 1').catch(messageOf));
  await until(() => refusing.totalCount === 0);
  await refusing.end();
  return seen;
}

async function losses({ pg, config, terminate }: Setting): Promise<unknown> {
  const seen: unknown[] = [];
  const pool = new pg.Pool({ ...config, max: 2 });
  const lost = new Promise((resolve) =>
    pool.once('error', (error, client) => resolve([error instanceof Error, client])),
  );
  const free = await pool.connect();
  free.release();
  terminate(free.processID);
  const [isError, client] = (await lost) as [boolean, unknown];
  seen.push(isError, client === free);
  seen.push((await pool.query('SELECT 1 AS one')).rows);
  const borrowed = await pool.connect();
  borrowed.on('error', () => undefined);
  const running = borrowed.query('SELECT pg_sleep(60)').catch((error) => error);
  await pool.query('SELECT 1');
  terminate(borrowed.processID);
  seen.push((await running).code);
  borrowed.release(true);
  seen.push((await pool.query('SELECT 2 AS two')).rows);
  await pool.end();
  return seen;
}

/** The programs by what they are about. */
export const PROGRAMS: Record<string, Program> = {
  results,
  'errors of the server': errors,
  'the life of a pool: events, counts, objects': poolLife,
  'time limits and uses': limits,
  'a client': client,
  'many at once': concurrent,
  'what sets a connection up': setUp,
  'connections that end': losses,
};
