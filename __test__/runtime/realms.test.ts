// Errors and values are of the realm that the package is loaded in: `instanceof` holds in a `vm` context, as in Jest.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as outside from 'moorline';
import { createClient as createOutside, LibsqlError as OutsideLibsqlError } from 'moorline/libsql';

import { serve } from '../support/http';
import { native } from '../support/native';
import { makeRealm } from '../support/realm';

const realm = makeRealm();
const inside = realm.load('entries/index') as typeof outside;
const { createClient, LibsqlError } = realm.load('entries/libsql') as {
  createClient: typeof createOutside;
  LibsqlError: typeof OutsideLibsqlError;
};
const [InnerError, InnerTypeError, InnerRangeError] = ['Error', 'TypeError', 'RangeError'].map((name) =>
  realm.evaluate(name),
) as [ErrorConstructor, TypeErrorConstructor, RangeErrorConstructor];

/** What `work` throws, or rejects with. */
async function thrownBy(work: () => unknown): Promise<Error & { code?: string }> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  assert.fail(`${work} throws nothing`);
}

/** Mistakes in every part of the package, with the class of their error. */
const MISTAKES: Record<string, [work: (of: typeof outside) => unknown, type: 'TypeError' | 'RangeError']> = {
  Policy: [({ Policy }) => new Policy({ attemptTimeoutMs: 'x' } as object), 'TypeError'],
  'a range of Policy': [({ Policy }) => new Policy({ attemptTimeoutMs: -1 }), 'RangeError'],
  'an unknown option': [({ Policy }) => new Policy({ timeout: 1 } as object), 'TypeError'],
  CircuitBreaker: [({ CircuitBreaker }) => new CircuitBreaker({ failMax: 'x' } as never), 'TypeError'],
  TursoPool: [({ TursoPool }) => new TursoPool({} as never), 'TypeError'],
  'a range of TursoPool': [({ TursoPool }) => new TursoPool({ url: ':memory:', poolSize: 0 }), 'RangeError'],
  drain: [({ TursoPool }) => new TursoPool({ url: ':memory:' }).drain('x' as never), 'TypeError'],
  WebhookVerifier: [({ WebhookVerifier }) => new WebhookVerifier({ secret: 5 } as never), 'TypeError'],
  HealthMonitor: [({ HealthMonitor }) => new HealthMonitor({ intervalMs: -1 }), 'RangeError'],
  NixtlaClient: [({ NixtlaClient }) => new NixtlaClient({ apiKey: 5 } as never), 'TypeError'],
  forecast: [({ NixtlaClient }) => new NixtlaClient({ apiKey: 'k' }).forecast({} as never), 'TypeError'],
  SSHTunnel: [({ SSHTunnel }) => new SSHTunnel({ sshHost: 5 } as never), 'TypeError'],
  'a range of SSHTunnel': [
    ({ SSHTunnel }) => new SSHTunnel({ sshHost: 'a', sshPort: 0, sshUsername: 'b' }),
    'RangeError',
  ],
  'a shared SSHTunnel': [({ SSHTunnel }) => SSHTunnel.getInstance(), 'TypeError'],
  'a key file of SSHTunnel': [
    ({ SSHTunnel }) => new SSHTunnel({ sshHost: 'a', sshUsername: 'b', sshKeyPath: '/nowhere' }).connect(),
    'TypeError',
  ],
  HTTPConnection: [({ HTTPConnection }) => new HTTPConnection({ timeout: 'x' } as never), 'TypeError'],
  ConnectionPool: [({ ConnectionPool }) => new ConnectionPool({ maxSize: 'x' } as never, () => ({})), 'TypeError'],
  RetryStrategy: [({ ExponentialBackoffRetry }) => new ExponentialBackoffRetry('x' as never), 'TypeError'],
  ConnectionConfigManager: [
    ({ ConnectionConfigManager }) => new ConnectionConfigManager({ VITE_CONNECTION_TIMEOUT: 'x' }),
    'TypeError',
  ],
};

describe('in a vm context', () => {
  for (const [what, [work, type]] of Object.entries(MISTAKES)) {
    test(`a mistake in ${what} is a ${type} of the context, and outside one of the main realm`, async () => {
      const inner = await thrownBy(() => work(inside));
      assert.ok(inner instanceof (type === 'TypeError' ? InnerTypeError : InnerRangeError), inner.stack);
      assert.match(inner.code ?? '', /^ERR_/);
      const outer = await thrownBy(() => work(outside));
      assert.ok(outer instanceof (type === 'TypeError' ? TypeError : RangeError), outer.stack);
      assert.deepEqual([outer.message, outer.code], [inner.message, inner.code]);
    });
  }

  test('whatever the addon throws at a call with wrong arguments is of the context', () => {
    const addon = realm.load('runtime/native').native as Record<string, (...given: unknown[]) => unknown>;
    let thrown = 0;
    for (const [name, call] of Object.entries(addon)) {
      // Skips what stores functions of `lib/`, what counts references that keep the process alive, and test hooks.
      if (/^bridgeAttach$|Keep$|^test/.test(name)) continue;
      for (const given of [[], [{}, {}, {}, {}], [1, 'x', {}], ['x', Symbol('x')]]) {
        try {
          // Only synchronous errors are of interest.
          Promise.resolve(call(...given)).catch(() => undefined);
        } catch (error) {
          thrown++;
          assert.ok(error instanceof InnerError, `${name}(${given.map(String)}): ${String(error)}`);
        }
      }
    }
    assert.ok(thrown > 100, `${thrown} calls threw`);
  });

  test('failures of libSQL are of the copy of the package that was called', async () => {
    const client = createClient({ url: ':memory:' });
    const failed = await thrownBy(() => client.execute('SELECT * FROM nowhere'));
    assert.ok(failed instanceof LibsqlError && failed instanceof InnerError);
    assert.equal(failed instanceof OutsideLibsqlError, false);
    assert.ok((await thrownBy(() => createClient({ url: 'bogus:x' }))) instanceof LibsqlError);
    assert.ok((await thrownBy(() => client.execute('SELECT ?', [undefined] as never))) instanceof InnerTypeError);
    assert.ok((await thrownBy(() => client.execute('SELECT ?', [NaN]))) instanceof InnerRangeError);
    assert.ok(client.execute('SELECT 1') instanceof realm.evaluate('Promise'));
    client.close();
    assert.ok((await thrownBy(() => createOutside({ url: 'bogus:x' }))) instanceof OutsideLibsqlError);
  });

  test('rows, arrays and bytes are of the context, or of Node’s own', async () => {
    const client = createClient({ url: ':memory:' });
    const { rows } = await client.execute("SELECT 1 AS a, x'00ff' AS bytes");
    assert.equal(Object.getPrototypeOf(rows), realm.evaluate('Array.prototype'));
    assert.equal(Object.getPrototypeOf(rows[0]), realm.evaluate('Object.prototype'));
    assert.equal(
      JSON.stringify(await client.execute("SELECT x'00ff' AS b")),
      '{"columns":["b"],"columnTypes":[""],"rows":[["AP8="]],"rowsAffected":0,"lastInsertRowid":null}',
    );
    client.close();
    const monitor = new inside.HealthMonitor();
    monitor.register('a', () => true);
    assert.equal(Object.getPrototypeOf(monitor.listCheckers()), realm.evaluate('Array.prototype'));
  });

  test('an answer of bytes is read', async (t) => {
    const server = await serve((_, response) => void response.end(Buffer.from([0, 255])));
    t.after(() => server.close());
    const connection = new inside.HTTPConnection({ url: server.url });
    t.after(() => connection.disconnect());
    assert.deepEqual([...(await (await connection.request({ url: '/' })).bytes())], [0, 255]);
  });

  test('an abort by Node’s own signal is an abort: it is not repeated', async () => {
    const policy = new inside.Policy({ retry: { maxRetries: 3, baseDelayMs: 1 } });
    let attempts = 0;
    const aborted = await thrownBy(() =>
      policy.run(() => {
        attempts++;
        AbortSignal.abort().throwIfAborted();
      }),
    );
    assert.equal(aborted.name, 'AbortError');
    assert.equal(attempts, 1);
  });
});

describe('a user’s own code that throws', () => {
  test('a text out of a getter comes out as it is', async () => {
    const args = { get a(): number { throw "mine"; } }; // prettier-ignore
    const client = createOutside({ url: ':memory:' });
    await assert.rejects(client.execute('SELECT :a', args), (thrown) => thrown === 'mine');
    client.close();
    const options = { get name() { throw 'mine'; } }; // prettier-ignore
    assert.throws(() => new outside.Policy(options as object), (thrown) => thrown === 'mine'); // prettier-ignore
  });

  test('an error of another realm comes out as it is', () => {
    const own = new InnerTypeError('mine');
    const options = { get name() { throw own; } }; // prettier-ignore
    assert.throws(() => new outside.Policy(options as object), (thrown) => thrown === own); // prettier-ignore
  });
});

describe('a defect', () => {
  for (const name of ['testPanicAtOnce', 'testPanicByHand'] as const) {
    test(`that panics in ${name} is a MoorlineError of kind internal`, () => {
      const call = native[name] as (text: string) => unknown;
      assert.throws(
        () => call('text'),
        (error) => {
          // The copy of the package that was loaded last makes those of hand-written functions.
          const { name, kind, code, delivery, retryable, attempts } = error as outside.MoorlineError;
          assert.deepEqual([name, kind, code], ['MoorlineError', 'internal', 'ERR_MOORLINE_INTERNAL']);
          assert.deepEqual([delivery, retryable, attempts], ['unknown', false, 1]);
          return true;
        },
      );
    });
  }
});
