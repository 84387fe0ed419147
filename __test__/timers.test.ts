// Times near and above what a timer of Node's can count to.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { BaseConnection, ConnectionManager, type ConnectionConfig } from 'moorline';

import { runScript } from './support/script';

const LONGEST = 2 ** 31 - 1;

class Quiet extends BaseConnection {
  protected override async sendImpl() {}
  protected override async receiveImpl() {}
}

test('checks of the longest interval wait for it, whatever is added to it at random', async () => {
  const { stdout, stderr, code } = await runScript(`
    const { HealthMonitor } = require('moorline');
    let runs = 0;
    for (let number = 0; number < 20; number++) {
      const monitor = new HealthMonitor();
      monitor.register('often', () => { runs += 1; return true; }, { intervalMs: ${LONGEST} });
      monitor.start();
    }
    let turns = 0;
    const alive = setInterval(() => {
      if (runs < 20 || ++turns < 20) return;
      clearInterval(alive);
      console.log('ran', runs);
    }, 1);`);
  assert.deepEqual({ stdout, stderr, code }, { stdout: 'ran 20\n', stderr: '', code: 0 });
});

describe('a connection', () => {
  const longest: ConnectionConfig[] = [
    { healthCheckTimeout: LONGEST },
    { healthCheckTimeout: LONGEST, healthCheckInterval: LONGEST },
    { healthCheckTimeout: Infinity },
    { timeout: LONGEST, keepAlive: LONGEST, retryDelay: LONGEST },
  ];
  for (const options of longest) {
    test(`with ${Object.keys(options).join(', ')} as long as can be connects`, async () => {
      const connection = new Quiet(options);
      assert.equal(await connection.connect(), true);
      assert.equal((await connection.healthCheck()).isHealthy, true);
      assert.equal(await connection.disconnect(), true);
    });
  }
});

describe('a manager', () => {
  for (const healthCheckIntervalMs of [1e12, 0, -1, NaN, LONGEST + 1, '5']) {
    test(`refuses an interval of ${healthCheckIntervalMs} at once`, () => {
      assert.throws(() => new ConnectionManager({ healthCheckIntervalMs: healthCheckIntervalMs as number }), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `options.healthCheckIntervalMs must be between 1 and ${LONGEST}, or Infinity, got ${healthCheckIntervalMs}`,
      });
    });
  }

  for (const healthCheckIntervalMs of [LONGEST, Infinity]) {
    test(`starts with an interval of ${healthCheckIntervalMs}`, async () => {
      const manager = new ConnectionManager({ healthCheckIntervalMs });
      await manager.start();
      await manager.stop();
    });
  }
});
