// What `createClient` says of its URL and its options, asked of the client that it replaces as well.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { createClient, type Client, type Config, LibsqlError } from 'moorline/libsql';

import { skipWithoutSqld } from '../support/servers';
import { testsDirectory } from '../support/paths';

const directory = mkdtempSync(join(tmpdir(), 'moorline-codes-'));
const previousDirectory = process.cwd();
process.chdir(directory);
after(() => {
  process.chdir(previousDirectory);
  rmSync(directory, { recursive: true, force: true });
});

/** Both accept these, or refuse them with the same class and code. */
const SAME_URLS: unknown[] = [
  // What is no URL.
  ...['', 'app.db', './app.db', '/tmp/app.db', 'memory', ':memory', ':memory:x', ':memory:#a', ' file:a.db'],
  ...['1file:a.db', 'h2:a.db', 'fi_le:a.db', ':', '//localhost', 'é:a.db', '?a=b', '#a'],
  // Schemes.
  ...['ftp://localhost', 'mysql://h/d', 'postgres://h/d', 'C:\\app.db', 'sqlite:a.db', 'sqlite3:a.db', 'data:,x'],
  ...[
    'FTP://localhost',
    'a.b:c',
    'a+b:c',
    'a-b:c',
    'javascript:0',
    'unix:/a',
    'ftp://h?x=1',
    'ftp://h?tls=2',
    'ftp://h#a',
  ],
  // Memory.
  ...[':memory:', 'file::memory:', 'FILE::memory:', 'file::memory:?cache=shared', 'file::memory:?cache=private'],
  ...['file::memory:?cache=', 'file::memory:?cache', 'file::memory:?cache=other', 'file::memory:?Cache=shared'],
  ...['file::memory:?mode=ro', 'file::memory:?cache=shared&mode=ro', 'file::memory:?%63ache=shared'],
  ...['file::memory:?&&', 'file::memory:#a', 'file::memory:?cache=shared#a', 'file::memory:?cache=%zz'],
  // Files.
  ...['file:a.db', 'File:a.db', 'FILE:a.db', 'file:./a.db', 'file:a%20b.db', 'file:a+b.db', 'file:é.db', 'file:a b.db'],
  ...[`file:${directory}/b.db`, `file://${directory}/b.db`, `file://localhost${directory}/b.db`],
  ...[`file://LocalHost${directory}/b.db`, `file://LOCALHOST${directory}/b.db`],
  ...['file://other/a.db', 'file://a.db', 'file://localhost:80/a.db', 'file://me@localhost/a.db', 'file://[::1]/a.db'],
  ...['file://me:pw@localhost/a.db', 'file://localhost:a/a.db', 'file://[/a.db', 'file:a%zz.db', 'file:a%.db'],
  ...[
    'file:a%f',
    'file:%ff',
    'file:a.db?tls=0',
    'file:a.db?tls=1',
    'file:a.db?tls=yes',
    'file:a.db?tls',
    'file:a.db?tls=',
  ],
  ...['file:a.db?authToken=x', 'file:a.db?authToken', 'file:a.db?mode=ro', 'file:a.db?cache=shared', 'file:a.db?x'],
  ...[
    'file:a.db?tls=0&tls=2',
    'file:a.db?%74ls=0',
    'file:a.db?%74ls=2',
    'file:a.db?a%zz=1',
    'file:a.db?a=%',
    'file:a.db?',
  ],
  ...['file:a.db#', 'file:a.db#b', 'file:a.db#%zz', 'file:a.db?x=1#b', 'file:a.db?tls=0#b', 'file:a.db?authtoken=x'],
  // Servers.
  ...[
    'libsql://h',
    'libsql://h/',
    'libsql://h:1',
    'libsql://h/path',
    'libsql://h?tls=1',
    'libsql://h:1?tls=0',
    'LIBSQL://h',
  ],
  ...[
    'libsql://h?tls=0',
    'libsql://h:?tls=0',
    'libsql://h/p?tls=0',
    'libsql:h?tls=0',
    'libsql://h?tls=',
    'libsql://h?tls=2',
  ],
  ...['libsql:h', 'libsql:/h', 'libsql:', 'https:h', 'https:/h', 'http:h', 'http:', 'wss:h', 'ws:/h'],
  ...[
    'https://h',
    'HTTPS://h',
    'http://h',
    'http://h:80/a/b',
    'https://h.example:8443',
    'http://[::1]:8080',
    'http://127.0.0.1',
  ],
  ...[
    'https://h?tls=1',
    'http://h?tls=0',
    'https://h?tls=0',
    'http://h?tls=1',
    'https://h?tls=01',
    'wss://h?tls=0',
    'ws://h?tls=1',
  ],
  ...['https://h?authToken=x', 'https://h?authToken', 'https://h?authToken=', 'https://h?authToken=a&authToken=b'],
  ...[
    'https://h?foo=bar',
    'https://h?foo',
    'https://h?jwt=x',
    'https://h?tls=1&foo=1',
    'https://h?AuthToken=x',
    'ws://h?foo=bar',
  ],
  ...[
    'https://h#a',
    'https://h/#',
    'libsql://h?foo=1#a',
    'https://h/a%zz',
    'https://h/a%20b',
    'https://h?a=%',
    'https://h?%zz',
  ],
  ...[
    'https://h:a',
    'https://h:1:2',
    'https://[::1',
    'https://::1',
    'https://b%C3%BCcher.example',
    'https://bücher.example',
  ],
].map((url) => ({ url }));

const SAME_OPTIONS: unknown[] = [
  // A URL of another type.
  ...[
    undefined,
    null,
    1,
    true,
    {},
    [],
    ['app.db'],
    new URL('https://h/a'),
    new URL('ftp://h'),
    new URL(`file://${directory}/c.db`),
  ],
  ...[{ toString: () => 'file::memory:' }, new String('file:a.db'), ['file:a.db']],
].map((url) => ({ url }));

for (const url of ['file:a.db', ':memory:', 'https://h', 'libsql://h:1']) {
  SAME_OPTIONS.push(
    { url, authToken: undefined },
    { url, authToken: null },
    { url, authToken: '' },
    { url, authToken: 'token' },
    { url, tls: undefined },
    { url, tls: null },
    { url, tls: url === 'libsql://h:1' ? false : true },
    { url, intMode: undefined },
    { url, intMode: null },
    { url, intMode: 'bigint' },
    { url, intMode: 'float' },
    { url, intMode: '' },
    { url, intMode: 1 },
    { url, concurrency: undefined },
    { url, concurrency: null },
    { url, concurrency: 0 },
    { url, concurrency: 5 },
    { url, timeout: undefined },
    { url, timeout: 100 },
    { url, syncUrl: undefined },
    { url, syncUrl: null },
    { url, syncUrl: '' },
    { url, syncInterval: 0 },
    { url, readYourWrites: false },
    { url, offline: false },
    { url, encryptionKey: undefined },
    { url, remoteEncryptionKey: undefined },
    { url, remoteEncryptionKey: '' },
    { url, fetch: undefined },
    { url, fetch: null },
  );
}
for (const url of ['https://h', 'libsql://h', 'http://h']) SAME_OPTIONS.push({ url, encryptionKey: 'key' });
SAME_OPTIONS.push({ url: 'libsql://h', tls: false }, { url: 'https://h', tls: false }, { url: 'http://h', tls: true });
SAME_OPTIONS.push({ url: 'libsql://h', tls: false, authToken: null }, { url: 'https://h?tls=1', tls: false });

/** A configuration that is none at all. */
const NO_OBJECT: unknown[] = [undefined, null, 'file:a.db', 1, true];

/** What is answered otherwise on purpose, with the reason; `docs/services/libsql.md` tells of each. */
const DIFFERENT: { reason: string; configs: unknown[]; theirs: string; ours: string }[] = [
  {
    reason: 'the name of memory may have the query of one; what is for servers alone means nothing to it, as to a file',
    configs: [{ url: ':memory:?cache=shared' }, { url: 'file::memory:?tls=0' }, { url: 'file::memory:?authToken=x' }],
    theirs: 'refused',
    ours: 'accepted',
  },
  {
    reason: 'nothing is opened before the first call',
    configs: [{ url: 'file:no/such/directory/a.db' }, { url: `file:${directory}` }],
    theirs: 'refused',
    ours: 'accepted',
  },
  {
    reason: 'a host that is none is a wrong URL, not an error of the parser',
    configs: ['https://', 'libsql://', 'https://h:99999', 'https://a b', 'https://h ', 'https://h\\a'].map((url) => ({
      url,
    })),
    theirs: 'ERR_INVALID_URL',
    ours: 'URL_INVALID',
  },
  {
    reason: 'the first part of the path is no host: the token would go there',
    configs: [{ url: 'https:///h' }, { url: 'libsql:///h' }],
    theirs: 'accepted',
    ours: 'URL_INVALID',
  },
  {
    reason: 'a user name or password is refused at once, not by each request',
    configs: [{ url: 'https://me:pw@h' }, { url: 'libsql://me@h' }],
    theirs: 'accepted',
    ours: 'URL_INVALID',
  },
  {
    reason: 'a name is asked for',
    configs: [{ url: 'file:' }, { url: 'file://localhost' }],
    theirs: 'accepted',
    ours: 'URL_INVALID',
  },
  {
    reason: 'what this build does not have is refused, not passed over',
    configs: [
      { url: 'file:a.db', readYourWrites: true },
      { url: 'file:a.db', syncInterval: 60 },
      { url: 'file:a.db', offline: true },
      { url: 'https://h', syncUrl: 'https://h' },
      { url: 'https://h', remoteEncryptionKey: 'key' },
      { url: 'https://h', fetch: () => undefined },
    ],
    theirs: 'accepted',
    ours: 'ERR_INVALID_ARG_VALUE',
  },
  {
    reason: 'no file is written in plain text that should be encrypted',
    configs: [{ url: 'file:encrypted.db', encryptionKey: 'key' }],
    theirs: 'accepted',
    ours: 'ENCRYPTION_KEY_NOT_SUPPORTED',
  },
  {
    reason: 'a value of a wrong type, and an option that nobody knows, is told of',
    configs: [
      { url: 'https://h', authToken: 5 },
      { url: 'file:a.db', tls: 'yes' },
      { url: 'file:a.db', concurrency: '5' },
    ],
    theirs: 'accepted',
    ours: 'ERR_INVALID_ARG_TYPE',
  },
  {
    reason: 'the same for a number out of range',
    configs: [{ url: 'file:a.db', concurrency: -1 }],
    theirs: 'accepted',
    ours: 'ERR_OUT_OF_RANGE',
  },
  {
    reason: 'the same for a key, and for a token that no header can carry',
    configs: [
      { url: 'file:a.db', token: 'x' },
      { url: 'https://h', authToken: 'a\nb' },
    ],
    theirs: 'accepted',
    ours: 'ERR_INVALID_ARG_VALUE',
  },
];

type ClientFactory = (config: Config) => { close(): void };

/** `accepted`, or how it is refused. */
function tryCreate(create: ClientFactory, config: unknown) {
  try {
    create(config as Config).close();
    return { outcome: 'accepted' };
  } catch (error) {
    const { name, code, cause } = error as Error & { code?: string };
    return { outcome: code ?? name, name, cause: cause === undefined ? undefined : (cause as Error).name };
  }
}

const show = (config: unknown) => JSON.stringify(config) ?? String(config);

describe('createClient beside that of @libsql/client', { skip: skipWithoutSqld() }, () => {
  const load = createRequire(join(testsDirectory, 'servers', 'package.json'));
  const { createClient: createTheirs } = load('@libsql/client') as { createClient: ClientFactory };

  test('more than a hundred URLs are accepted, or refused with the same class, code and cause', () => {
    assert.ok(SAME_URLS.length > 100, `${SAME_URLS.length}`);
    for (const config of SAME_URLS)
      assert.deepEqual(tryCreate(createClient, config), tryCreate(createTheirs, config), show(config));
  });

  test('so are options, and URLs of other types', () => {
    for (const config of SAME_OPTIONS) {
      const [ours, theirs] = [tryCreate(createClient, config), tryCreate(createTheirs, config)];
      // Their TypeErrors have no codes.
      if (theirs.outcome === 'TypeError') assert.equal(ours.name, 'TypeError', show(config));
      else assert.deepEqual(ours, theirs, show(config));
    }
  });

  test('a configuration that is no object is a TypeError', () => {
    for (const config of NO_OBJECT) {
      assert.equal(tryCreate(createTheirs, config).name, 'TypeError', show(config));
      assert.equal(tryCreate(createClient, config).name, 'TypeError', show(config));
    }
  });

  for (const { reason, configs, theirs, ours } of DIFFERENT) {
    test(`otherwise on purpose: ${reason}`, () => {
      for (const config of configs) {
        const outcome = tryCreate(createTheirs, config).outcome;
        assert.equal(
          theirs === 'refused' ? outcome !== 'accepted' : outcome === theirs,
          true,
          `${show(config)}: ${outcome}`,
        );
        assert.equal(tryCreate(createClient, config).outcome, ours, show(config));
      }
    });
  }
});

test('a wrong URL is a LibsqlError of createClient of which nothing was sent', () => {
  assert.throws(
    () => createClient({} as Config),
    (error) => {
      assert.ok(error instanceof LibsqlError);
      const { code, kind, operation, delivery, retryable, attempts, message } = error;
      assert.deepEqual(
        { code, kind, operation, delivery, retryable, attempts },
        {
          code: 'URL_INVALID',
          kind: 'rejected',
          operation: 'createClient',
          delivery: 'none',
          retryable: false,
          attempts: 0,
        },
      );
      assert.match(message, /^URL_INVALID: options\.url must be a string, got undefined$/);
      return true;
    },
  );
});

test('what is no object, or no mode of integers, is told in the words of @libsql/client', () => {
  const create = createClient as (config: unknown) => Client;
  assert.throws(() => create('libsql://h'), {
    name: 'TypeError',
    message: 'options must be passed as object, got string',
  });
  assert.throws(() => create(undefined), { name: 'TypeError', message: /as object, got undefined$/ });
  assert.throws(() => create({ url: ':memory:', intMode: 'foo' }), { name: 'TypeError', message: /got "foo"$/ });
  assert.throws(() => create({ url: 'https://h?tls=yes' }), { code: 'URL_INVALID', message: /"tls" set to "yes"/ });
});

test('a URL object is the database that it names', async () => {
  const client = createClient({ url: new URL(`file://${directory}/by-url.db`) });
  await client.execute('CREATE TABLE t (a)');
  client.reconnect();
  assert.deepEqual((await client.execute('SELECT * FROM t')).rows, []);
  client.close();
});
