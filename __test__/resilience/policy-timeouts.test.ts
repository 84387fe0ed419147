// The error of an exceeded time limit: it names the option.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { BaseConnection, Policy, setLogger } from 'moorline';

before(() => setLogger({}));
after(() => setLogger(undefined));

const never = () => new Promise<never>(() => undefined);

describe('an attempt that takes too long names its option', () => {
  for (const [limits, limit] of [
    [{ attemptTimeoutMs: 20 }, 'attemptTimeoutMs'],
    [{ timeoutMs: 20, attemptTimeoutMs: Infinity }, 'timeoutMs'],
    [{ timeoutMs: 20, attemptTimeoutMs: 10_000 }, 'timeoutMs'],
  ] as const) {
    test(JSON.stringify(limits), async () => {
      await assert.rejects(new Policy(limits).run(never), {
        kind: 'timeout',
        code: 'ETIMEDOUT',
        message: `the attempt did not finish within 20 ms (${limit})`,
        detail: { limit },
      });
    });
  }

  test('a call that was over before an attempt could start', async () => {
    const policy = new Policy({ timeoutMs: 30, bulkhead: { maxConcurrent: 1 } });
    const first = policy.run(never).catch(() => undefined);
    await assert.rejects(policy.run(never), {
      kind: 'timeout',
      message: /before an attempt could start \(timeoutMs\)$/,
    });
    await first;
  });
});

class HangingConnection extends BaseConnection {
  protected override async connectImpl(): Promise<boolean> {
    return this.config.name === 'slow' ? never() : true;
  }
  protected override sendImpl(): Promise<unknown> {
    return never();
  }
  protected override receiveImpl(): Promise<unknown> {
    return never();
  }
}

test('a subclass of BaseConnection names timeout', async (t) => {
  for (const name of ['slow', 'quick']) {
    const connection = new HangingConnection({ name, timeout: 20, retryCount: 0, monitoring: false });
    t.after(() => connection.disconnect());
    assert.equal((await connection.connect()) && (await connection.send('x')), false);
    assert.match(connection.getStatus().lastError ?? '', /within 20 ms \(timeout\)$/);
  }
});
