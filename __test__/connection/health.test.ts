// HealthChecker: the one health monitor in the words of connections.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { HealthChecker } from 'moorline';

import { eventually } from '../support/eventually';

describe('HealthChecker', () => {
  test('adds, runs, and removes checks without throwing', async () => {
    const checker = new HealthChecker();
    let runs = 0;
    checker.add('a', async () => (runs++, HealthChecker.result('a', true, 5)));
    checker.start();
    await eventually(() => checker.lastResult('a')?.isHealthy);
    checker.stop();
    assert.equal(runs, 1);
    assert.equal(checker.remove('a'), true);
    assert.equal(checker.remove('a'), false);
    assert.equal(checker.lastResult('a'), undefined);
    await assert.rejects(checker.check('a'), /not registered/);
  });

  test('an unhealthy result, an error and a refusal are results', async () => {
    const checker = new HealthChecker();
    checker.add('down', () => HealthChecker.result('down', false, 1, 'no answer', { status: 503 }));
    checker.add('throws', () => {
      throw new Error('broken');
    });
    checker.add('bare', () => false);
    const down = await checker.check('down');
    assert.equal(down.connectionId, 'down');
    assert.equal(down.isHealthy, false);
    assert.equal(down.errorMessage, 'no answer');
    assert.deepEqual(down.details, { status: 503 });
    assert.equal((await checker.check('throws')).errorMessage, 'broken');
    assert.equal((await checker.check('bare')).isHealthy, false);
  });

  test('the timeout stops the check: its signal is aborted', async () => {
    const checker = new HealthChecker({ timeoutMs: 20 });
    let aborted = false;
    checker.add('hangs', ({ signal }) => {
      signal.addEventListener('abort', () => (aborted = true));
      return new Promise(() => undefined);
    });
    const result = await checker.check('hangs');
    assert.equal(result.isHealthy, false);
    assert.match(result.errorMessage ?? '', /timed out after 20ms/);
    assert.equal(aborted, true);
  });

  test('result builds what a check of a connection gives', () => {
    const { timestamp, ...result } = HealthChecker.result('id', true, 12);
    assert.deepEqual(result, { connectionId: 'id', isHealthy: true, responseTime: 12 });
    assert.ok(Math.abs(timestamp - Date.now()) < 5000);
  });

  test('what is no function is refused', () => {
    assert.throws(() => new HealthChecker().add('x', 1 as never), /checker must be a function/);
  });
});
