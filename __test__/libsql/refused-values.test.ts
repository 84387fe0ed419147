// Values that cannot be given to JavaScript: what refuses them has not committed what it was asked to write.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { MoorlineError, Policy, TursoPool } from 'moorline';
import { createClient, LibsqlBatchError, LibsqlError } from 'moorline/libsql';

const directory = mkdtempSync(join(tmpdir(), 'moorline-refused-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const SET_UP = `DROP TABLE IF EXISTS acc; CREATE TABLE acc (id INTEGER PRIMARY KEY, cents INTEGER, ext);
  INSERT INTO acc VALUES (1, 100, 9007199254740993);`;
const PAY = 'UPDATE acc SET cents = cents - 10';

/** Values that are refused: as SQL, and the code. */
const refused = [
  ['an integer beyond 2⁵³', '9007199254740993', 'ERR_OUT_OF_RANGE'],
  ['text that is not UTF-8', "CAST(x'ff' AS TEXT)", 'SQLITE_FORMAT'],
] as const;

for (const url of [':memory:', `file:${directory}/a.db`]) {
  describe(`a value that is refused, ${url.slice(0, 8)}`, () => {
    const pool = new TursoPool({ url });
    const client = createClient({ url: url === ':memory:' ? url : `file:${directory}/b.db` });
    after(async () => {
      client.close();
      await pool.drain();
    });
    const cents = async (db: TursoPool | typeof client) =>
      (await db.execute('SELECT cents FROM acc')).rows[0]!['cents'] as number;

    for (const [what, sql, code] of refused) {
      const read = `SELECT ${sql} AS ext FROM acc`;
      for (const [verb, pay] of [
        ['batch', (db: TursoPool | typeof client) => db.batch([PAY, read], 'write')],
        ['a deferred batch', (db: TursoPool | typeof client) => db.batch([PAY, read])],
        ['migrate', (db: TursoPool | typeof client) => db.migrate([PAY, read])],
        ['execute', (db: TursoPool | typeof client) => db.execute(`${PAY} RETURNING ${sql} AS ext`)],
      ] as const) {
        test(`${what}: ${verb} undoes what it wrote`, async () => {
          for (const db of [pool, client]) {
            await db.executeMultiple(SET_UP);
            await assert.rejects(pay(db), (error: unknown) => {
              assert.ok(error instanceof LibsqlError && error instanceof MoorlineError, String(error));
              assert.deepEqual([error.code, error.retryable, error.delivery], [code, false, 'answered']);
              assert.match(error.message, /'ext'/);
              if (verb !== 'execute') assert.equal((error as LibsqlBatchError).statementIndex, 1);
              return true;
            });
            assert.equal(await cents(db), 100);
            await db.execute(PAY);
            assert.equal(await cents(db), 90);
          }
        });
      }
    }

    test('is not asked for again by a policy', async () => {
      await pool.executeMultiple(SET_UP);
      let attempts = 0;
      const policy = new Policy({ retry: { maxRetries: 2, baseDelayMs: 1, budget: false } });
      const pay = () => (attempts++, pool.batch([PAY, 'SELECT ext FROM acc'], 'write'));
      await assert.rejects(policy.run(pay), { code: 'ERR_OUT_OF_RANGE' });
      assert.deepEqual([attempts, await cents(pool)], [1, 100]);
    });

    test('on a connection of its own, in its batch and its transaction', async () => {
      await pool.executeMultiple(SET_UP);
      await pool.withConnection(async (held) => {
        await assert.rejects(held.batch([PAY, 'SELECT ext FROM acc'], 'write'), { code: 'ERR_OUT_OF_RANGE' });
        assert.equal((await held.execute('SELECT cents FROM acc')).rows[0]!['cents'], 100);
      });
    });

    test('in a transaction stops its batch there, and the transaction goes on', async () => {
      await pool.executeMultiple(SET_UP);
      const transaction = await pool.transaction('write');
      await assert.rejects(transaction.batch([PAY, 'SELECT ext FROM acc', PAY]), { statementIndex: 1 });
      assert.equal(transaction.closed, false);
      assert.equal((await transaction.execute('SELECT cents FROM acc')).rows[0]!['cents'], 90);
      await assert.rejects(transaction.execute('SELECT ext FROM acc'), { code: 'ERR_OUT_OF_RANGE' });
      await transaction.rollback();
      assert.equal(await cents(pool), 100);
    });

    test('in several rows undoes all of them', async () => {
      await pool.executeMultiple('DROP TABLE IF EXISTS many; CREATE TABLE many (n)');
      const insert = 'INSERT INTO many VALUES (1), (2), (9007199254740993), (4) RETURNING n';
      await assert.rejects(pool.execute(insert), { code: 'ERR_OUT_OF_RANGE', message: /column 'n'/ });
      assert.equal((await pool.execute('SELECT count(*) AS n FROM many')).rows[0]!['n'], 0);
    });

    test('in a script is a failure of the script that says why', async () => {
      await assert.rejects(pool.executeMultiple("SELECT CAST(x'ff' AS TEXT)"), {
        code: 'SQLITE_FORMAT',
        kind: 'protocol',
        retryable: false,
      });
      // Nobody sees what a script reads.
      await pool.executeMultiple('SELECT 9007199254740993');
    });
  });
}

test('a text that fits into a JavaScript string is given whole', () => {
  // What the addon takes for the bound; a result beyond it is refused with SQLITE_TOOBIG.
  assert.ok(constants.MAX_STRING_LENGTH >= 2 ** 29 - 24);
});
