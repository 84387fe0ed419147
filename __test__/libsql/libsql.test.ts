// moorline/libsql in the place of @libsql/client: its README, its examples, and the two side by side.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';
import { type Client, type Config, createClient, LibsqlBatchError, LibsqlError } from 'moorline/libsql';

import { skipWithoutSqld, type Sqld, startSqld } from '../support/servers';
import { testsDirectory } from '../support/paths';

const directory = mkdtempSync(join(tmpdir(), 'moorline-libsql-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const theirs = createRequire(join(testsDirectory, 'servers', 'package.json'));

/** The first TypeScript block of the installed client's README. */
function readmeBlock(): string {
  const readme = readFileSync(
    join(testsDirectory, 'servers', 'node_modules', '@libsql', 'client', 'README.md'),
    'utf8',
  );
  return /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
}

/** Runs a block with our client in the place of its import, and its URL replaced. */
async function runBlock(block: string, url: string): Promise<Client> {
  const body = block
    .replace(/^import .*$/m, '')
    .replace(/export const (\w+) =/, 'const $1 = client =')
    .replace(/url: "[^"]*"/, `url: ${JSON.stringify(url)}`);
  const AsyncFunction = (async () => undefined).constructor as FunctionConstructor;
  return (await new AsyncFunction('createClient', `let client;\n${body}\nreturn client;`)(createClient)) as Client;
}

/** The examples of the client's repository, typed anew from its documentation. */
const examples: { [name: string]: (client: Client) => Promise<void> } = {
  async local(client) {
    await client.batch(
      [
        'CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, mail TEXT)',
        "INSERT INTO people (mail) VALUES ('alice@example.com')",
        "INSERT INTO people (mail) VALUES ('bob@example.com')",
      ],
      'write',
    );
    await client.batch([{ sql: 'INSERT INTO people (mail) VALUES (?)', args: ['carol@example.com'] }], 'write');
    const result = await client.execute('SELECT * FROM people');
    assert.deepEqual(result.columns, ['id', 'mail']);
    assert.deepEqual(
      result.rows.map((row) => [row[0], row['mail']]),
      [
        [1, 'alice@example.com'],
        [2, 'bob@example.com'],
        [3, 'carol@example.com'],
      ],
    );
  },

  async batch(client) {
    await client.execute('CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)');
    const results = await client.batch(
      [
        { sql: 'INSERT INTO users (name) VALUES (?)', args: ['Iku'] },
        { sql: 'INSERT INTO users (name) VALUES (:name)', args: { name: 'Turso' } },
        ['INSERT INTO users (name) VALUES (?)', ['libSQL']],
        'SELECT name FROM users ORDER BY id',
      ],
      'write',
    );
    assert.deepEqual(results.map(({ lastInsertRowid }) => lastInsertRowid).slice(0, 3), [1n, 2n, 3n]);
    assert.equal(JSON.stringify(results[3]!.rows), '[{"name":"Iku"},{"name":"Turso"},{"name":"libSQL"}]');
  },

  async transactions(client) {
    await client.execute('CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL)');
    const transaction = await client.transaction('write');
    try {
      await transaction.execute({ sql: 'INSERT INTO accounts VALUES (?, ?)', args: ['a', 10] });
      await transaction.batch([{ sql: 'INSERT INTO accounts VALUES (?, ?)', args: ['b', 20] }]);
      const failing = transaction.execute({ sql: 'INSERT INTO accounts VALUES (?, ?)', args: ['a', 30] });
      await assert.rejects(failing, { name: 'LibsqlError', code: 'SQLITE_CONSTRAINT' });
      await transaction.executeMultiple("UPDATE accounts SET balance = 11 WHERE name = 'a'; SELECT 1;");
      await transaction.commit();
    } finally {
      transaction.close();
    }
    assert.equal(transaction.closed, true);
    const { rows } = await client.execute('SELECT sum(balance) AS total FROM accounts');
    assert.equal(rows[0]!['total'], 31);
  },

  async memory(client) {
    await client.executeMultiple('CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE tags (tag);');
    const { rowsAffected } = await client.execute({
      sql: 'INSERT INTO notes (body) VALUES ($body)',
      args: { $body: 'x' },
    });
    assert.equal(rowsAffected, 1);
    assert.equal((await client.execute('SELECT count(*) AS n FROM notes')).rows[0]!['n'], 1);
  },

  async vector(client) {
    await client.batch(
      [
        'CREATE TABLE films (title TEXT, year INT, embedding F32_BLOB(3))',
        'CREATE INDEX films_idx ON films (libsql_vector_idx(embedding))',
        `INSERT INTO films VALUES ('Napoleon', 2023, vector32('[1,2,3]')), ('Gladiator', 2000, vector32('[7,8,9]')),
          ('Black Hawk Down', 2001, vector32('[10,11,12]')), ('Blade Runner', 1982, vector32('[4,5,6]'))`,
      ],
      'write',
    );
    const { rows } = await client.execute(
      "SELECT title, year FROM vector_top_k('films_idx', '[4,5,6]', 3) JOIN films ON films.rowid = id",
    );
    assert.equal(rows.length, 3);
    assert.deepEqual({ ...rows[0] }, { title: 'Blade Runner', year: 1982 });
  },

  async migrate(client) {
    await client.execute('CREATE TABLE parent (id INTEGER PRIMARY KEY)');
    await client.execute('CREATE TABLE child (parent REFERENCES parent(id))');
    await client.migrate(['INSERT INTO child VALUES (1)', 'ALTER TABLE child ADD COLUMN note TEXT']);
    await assert.rejects(client.execute('INSERT INTO child (parent) VALUES (2)'), { code: 'SQLITE_CONSTRAINT' });
  },
};

describe('@libsql/client replaced', { timeout: 120_000 }, () => {
  const skipRemote = skipWithoutSqld();
  const places: { name: string; url: () => Promise<string>; skip?: string | false }[] = [
    { name: 'a file', url: async () => `file:${join(mkdtempSync(join(directory, 'db-')), 'test.db')}` },
    { name: 'memory', url: async () => ':memory:' },
    { name: 'sqld', url: async () => (await freshSqld()).url, skip: skipRemote },
  ];
  const servers: Sqld[] = [];
  async function freshSqld(): Promise<Sqld> {
    const server = await startSqld();
    servers.push(server);
    return server;
  }
  after(() => Promise.all(servers.map((server) => server.stop())));

  for (const place of places) {
    for (const [name, example] of Object.entries(examples)) {
      test(`its ${name} example runs on ${place.name}`, { skip: place.skip ?? false }, async () => {
        const client = createClient({ url: await place.url() });
        try {
          await example(client);
        } finally {
          client.close();
        }
      });
    }

    test(
      `its README block runs on ${place.name}, but for its embedded replica`,
      { skip: place.skip ?? false },
      async () => {
        const withoutSync = readmeBlock().replace(/^\s*sync\w+:.*$/gm, '');
        const client = await runBlock(withoutSync, await place.url());
        assert.equal((await client.execute('SELECT name FROM users')).rows[0]!['name'], 'Iku');
        client.close();
      },
    );
  }

  test('embedded replicas and encryption are refused by name', async () => {
    process.env['TURSO_DATABASE_URL'] = 'libsql://example.com';
    await assert.rejects(runBlock(readmeBlock(), 'file:local.db'), {
      name: 'TypeError',
      message: /options\.syncUrl is not supported: this build has no embedded replicas/,
    });
    delete process.env['TURSO_DATABASE_URL'];
    const encrypted = { url: 'file:local.db', encryptionKey: 'k' } as unknown as Config;
    assert.throws(() => createClient(encrypted), /options\.encryptionKey is not supported/);
  });
});

describe('side by side with @libsql/client', () => {
  let pair: { ours: Client; theirs: Client };
  before(() => {
    const { createClient: createTheirs } = theirs('@libsql/client') as { createClient(config: Config): Client };
    pair = {
      ours: createClient({ url: `file:${directory}/ours.db` }),
      theirs: createTheirs({ url: `file:${directory}/theirs.db` }),
    };
  });
  after(() => {
    pair.ours.close();
    pair.theirs.close();
  });

  const statements: Parameters<Client['execute']>[0][] = [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price REAL, data BLOB)',
    { sql: 'INSERT INTO t (name, price) VALUES (?, ?)', args: ['a', 1.25] },
    { sql: 'INSERT INTO t (name, data) VALUES (:name, :data)', args: { name: 'b', data: new Uint8Array([1, 2]) } },
    { sql: 'SELECT typeof(?) AS a, typeof(?) AS b, typeof(?) AS c', args: [1, 1.5, 'x'] },
    { sql: 'SELECT ? AS n, ? AS t, ? AS d', args: [null, true, new Date(5)] },
    'SELECT * FROM t ORDER BY id',
    'SELECT 1 AS a, 2 AS a, 3 AS "0"',
    'UPDATE t SET price = 2 WHERE id = 1',
    'SELECT count(*) AS n, max(price) AS m, 1e999 AS i, -0.0 AS z FROM t',
    "SELECT 'line\nbreak \"quoted\" ✓' AS s, '' AS e, x'' AS x",
    'DELETE FROM t',
  ];
  for (const statement of statements) {
    const sql = typeof statement === 'string' ? statement : statement.sql;
    test(`the same result: ${sql.replace(/\s+/g, ' ')}`, async () => {
      const [ours, theirs] = [await pair.ours.execute(statement), await pair.theirs.execute(statement)];
      // Of what inserts nothing they tell the row that was inserted last, by whomever.
      const lastInsertRowid = /^INSERT/.test(sql) ? theirs.lastInsertRowid : undefined;
      assert.equal(ours.lastInsertRowid, lastInsertRowid);
      const expected = { ...(theirs.toJSON() as object), lastInsertRowid: lastInsertRowid?.toString() ?? null };
      assert.equal(JSON.stringify(ours), JSON.stringify(expected));
      assert.deepEqual(ours.columnTypes, theirs.columnTypes);
      for (const [index, row] of ours.rows.entries()) {
        const other = theirs.rows[index]!;
        assert.deepEqual({ ...row }, { ...other });
        assert.deepEqual(Object.keys(row), Object.keys(other));
        assert.deepEqual(Array.from(row as ArrayLike<unknown>), Array.from(other as ArrayLike<unknown>));
      }
    });
  }

  const failures: [name: string, statement: Parameters<Client['execute']>[0]][] = [
    ['a syntax error', 'SELEC 1'],
    ['a missing table', 'SELECT * FROM nowhere'],
    ['a NOT NULL constraint', 'INSERT INTO t (name) VALUES (NULL)'],
  ];
  for (const [name, statement] of failures) {
    test(`the same code for ${name}`, async () => {
      const rejectionOf = (client: Client) => client.execute(statement).catch((error: LibsqlError) => error);
      const [ours, theirs] = [await rejectionOf(pair.ours), await rejectionOf(pair.theirs)] as [
        LibsqlError,
        LibsqlError,
      ];
      assert.ok(ours instanceof LibsqlError && ours instanceof MoorlineError);
      for (const field of ['code', 'extendedCode', 'rawCode', 'message'] as const) {
        assert.equal(ours[field], theirs[field], field);
      }
    });
  }
});

describe('bad input', () => {
  const client = createClient({ url: ':memory:' });
  after(() => client.close());

  test('a failed batch names its statement', async () => {
    await assert.rejects(client.batch(['SELECT 1', 'SELECT * FROM nowhere']), (error: LibsqlBatchError) => {
      assert.ok(error instanceof LibsqlBatchError);
      assert.equal(error.statementIndex, 1);
      assert.equal(error.code, 'SQLITE_ERROR');
      return true;
    });
  });

  test('each mistake has its own clear error, and the client goes on', async () => {
    const sql = 'SELECT ? AS a';
    const refused = async (args: unknown, expected: { name: string; message: RegExp }) =>
      assert.rejects(client.execute({ sql, args: args as never }), expected);
    await refused([NaN], { name: 'RangeError', message: /args\[0\] must be a finite number, got NaN/ });
    await refused([Infinity], { name: 'RangeError', message: /got inf/i });
    await refused([2n ** 63n], { name: 'RangeError', message: /64-bit signed integer, got 9223372036854775808/ });
    await refused([undefined], { name: 'TypeError', message: /args\[0\] must be a string, .*got undefined/ });
    await refused([Symbol('s')], { name: 'TypeError', message: /got a symbol/ });
    await refused([{ a: 1 }], { name: 'TypeError', message: /got an object/ });
    await refused([new Date(NaN)], { name: 'TypeError', message: /invalid Date/ });
    await refused([1, 2], { name: 'LibsqlError', message: /2 arguments were given, the statement has 1 parameter/ });
    await refused({ b: 1 }, { name: 'LibsqlError', message: /no parameter named 'b'/ });
    await refused('text', { name: 'TypeError', message: /args must be an array or an object/ });
    await assert.rejects(client.execute(5 as never), { name: 'TypeError', message: /SQL text/ });
    await assert.rejects(client.execute('SELECT 1\0'), { name: 'TypeError', message: /U\+0000/ });
    await assert.rejects(client.execute(''), { code: 'SQLITE_ERROR', message: /no statement/ });
    await assert.rejects(client.execute("SELECT CAST(x'ff' AS TEXT) AS a"), { kind: 'protocol', message: /UTF-8/ });
    await assert.rejects(client.transaction('exclusive' as never), { name: 'TypeError', message: /'exclusive'/ });
    assert.equal((await client.execute(sql, [1])).rows[0]!['a'], 1);
  });

  test('a value of a kept statement never leaks into its next run', async () => {
    await client.execute('SELECT ? AS a, ? AS b', ['first', 'second']);
    assert.deepEqual(
      { ...(await client.execute('SELECT ? AS a, ? AS b', ['third'])).rows[0] },
      { a: 'third', b: null },
    );
  });

  test('a wrong URL is a LibsqlError with the usual client’s code', () => {
    for (const [url, code] of [
      ['nowhere', 'URL_INVALID'],
      ['mysql://h', 'URL_SCHEME_NOT_SUPPORTED'],
      ['file:a.db?mode=ro', 'URL_PARAM_NOT_SUPPORTED'],
    ] as const) {
      assert.throws(() => createClient({ url }), { name: 'LibsqlError', code });
    }
  });

  test('a file that cannot be opened says why', async () => {
    const opening = (url: string) => createClient({ url }).execute('SELECT 1');
    await assert.rejects(opening(`file:${directory}/no/such/a.db`), {
      kind: 'connect',
      code: 'SQLITE_CANTOPEN',
      message: /its directory does not exist/,
    });
    await assert.rejects(opening(`file:${directory}`), { code: 'SQLITE_CANTOPEN', message: /it is a directory/ });
  });

  test('a closed client refuses, and reconnects', async () => {
    const closing = createClient({ url: ':memory:' });
    closing.close();
    closing.close();
    assert.equal(closing.closed, true);
    await assert.rejects(closing.execute('SELECT 1'), { kind: 'closed', code: 'CLIENT_CLOSED' });
    closing.reconnect();
    await closing.execute('SELECT 1');
    closing.close();
  });

  test('integers come as intMode says', async () => {
    const big = 'SELECT 9007199254740993 AS big, 1 AS small';
    const rows = async (intMode: 'bigint' | 'string') => {
      const one = createClient({ url: ':memory:', intMode });
      const row = { ...(await one.execute(big)).rows[0] };
      one.close();
      return row;
    };
    assert.deepEqual(await rows('bigint'), { big: 9007199254740993n, small: 1n });
    assert.deepEqual(await rows('string'), { big: '9007199254740993', small: '1' });
    await assert.rejects(client.execute(big), {
      name: 'LibsqlError',
      kind: 'rejected',
      code: 'ERR_OUT_OF_RANGE',
      retryable: false,
      delivery: 'answered',
      message: /9007199254740993 in column 'big'/,
    });
  });
});

describe('calls that nobody waits for', () => {
  test('keep their order, with a signal and without', async () => {
    const client = createClient({ url: ':memory:' });
    await client.execute('CREATE TABLE t (round INTEGER)');
    const { signal } = new AbortController();
    for (let round = 0; round < 100; round++) {
      const transaction = await client.transaction('write');
      const insert = transaction.execute('INSERT INTO t VALUES (?)', [round], { signal });
      const count = transaction.execute('SELECT count(*) AS n FROM t');
      const end = round % 2 === 0 ? transaction.commit() : transaction.rollback();
      await insert;
      assert.equal((await count).rows[0]!['n'], Math.ceil(round / 2) + 1, `round ${round}`);
      await end;
    }
    const kept = await client.execute('SELECT count(*) AS n FROM t');
    assert.equal(kept.rows[0]!['n'], 50);
    client.close();
  });
});
