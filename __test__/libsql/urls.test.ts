// URLs of files and of memory: what they name, and nothing else.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createClient } from 'moorline/libsql';

const directory = mkdtempSync(join(tmpdir(), 'moorline-urls-'));
const before = process.cwd();
process.chdir(directory);
after(() => {
  process.chdir(before);
  rmSync(directory, { recursive: true, force: true });
});

const skip = process.platform === 'win32' && 'no file has such a name there';

test('escapes in a file URL become a name, never options of the engine or a database in memory', { skip }, async () => {
  for (const [url, name] of [
    ['file:file%3Aa.db%3Fmode%3Dmemory', 'file:a.db?mode=memory'],
    ['file:%3Amemory%3A', ':memory:'],
  ] as const) {
    const client = createClient({ url });
    await client.execute('CREATE TABLE t (a)');
    assert.ok(existsSync(join(directory, name)), readdirSync(directory).join());
    client.close();
  }
  assert.ok(!existsSync(join(directory, 'a.db')));
});

test('memory with a shared cache is the memory of the client, and a server’s options mean nothing to it', async () => {
  const files = readdirSync(directory);
  for (const url of ['file::memory:?cache=shared', ':memory:?cache=shared', 'file::memory:?tls=0']) {
    const [one, other] = [createClient({ url }), createClient({ url, authToken: 'secret' })];
    await one.execute('CREATE TABLE t (a)');
    await Promise.all(Array.from({ length: 5 }, () => one.execute('INSERT INTO t VALUES (1)')));
    assert.equal((await one.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 5);
    await assert.rejects(other.execute('SELECT * FROM t'), { message: /no such table/ });
    one.close();
    other.close();
  }
  assert.deepEqual(
    readdirSync(directory).filter((name) => !files.includes(name)),
    [],
  );
});
