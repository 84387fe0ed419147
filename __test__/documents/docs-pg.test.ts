// The code of docs/services/pg.md compiles under `tsc --strict` and does what its page says.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compilePage } from '../specification/page';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

test('docs/services/pg.md: its code does what it says', { skip: skipWithoutPostgres() }, async (t) => {
  const server = await Postgres.start();
  t.after(() => server.stop());
  server.psql(
    "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'Grace'); CREATE SCHEMA app",
  );
  const { host, port, user, password, database } = server.config;
  const [first, setUp] = compilePage('docs/services/pg.md', [
    {
      replace: [
        {
          reason: 'host, port, path or secret',
          from: "host: 'localhost', user: 'app', password: 'secret', database: 'app'",
          to: `host: '${host}', port: ${port}, user: '${user}', password: '${password}', database: '${database}'`,
        },
      ],
      scope: 'run()',
      exposes: ['rows', 'pool'],
    },
    { exposes: ['pool'] },
  ]);
  const { rows, pool } = await (await first!.load())['run']();
  assert.deepEqual(rows, [{ id: 1, name: 'Grace' }]);
  assert.equal(pool.ended, true);
  assert.equal(server.psql('SELECT name FROM users'), 'Ada');

  process.env['DATABASE_URL'] = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  t.after(() => delete process.env['DATABASE_URL']);
  const { pool: prepared } = await setUp!.load();
  await prepared.query("SET search_path = public; SET work_mem = '7MB'");
  assert.deepEqual((await prepared.query('SHOW search_path')).rows, [{ search_path: 'app, public' }]);
  assert.deepEqual((await prepared.query('SHOW work_mem')).rows, [{ work_mem: '4MB' }]);
  await prepared.end();
});
