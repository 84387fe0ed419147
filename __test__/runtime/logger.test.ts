// The logger: data that cannot be logged, and a logger that fails, do no harm.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, test } from 'node:test';

import { BaseConnection, ConnectionManager, setLogger, type LogRecord } from 'moorline';

import { runScript } from '../support/script';
import { root } from '../support/paths';

class StubConnection extends BaseConnection {
  details: Record<string, unknown> = {};
  protected override async sendImpl() {}
  protected override async receiveImpl() {}
  protected override async healthCheckImpl() {
    return { isHealthy: false, ...this.details };
  }
}

const DEBUG_CONFIG = { debug: true, healthCheckInterval: Infinity, recoveryStrategy: 'none' } as const;

/** Lines of JSON. */
const parseRecords = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogRecord);

/** Begins a script with a connection that logs its events. */
const CONNECTION_SCRIPT = `
  const { BaseConnection, ConnectionManager } = require('moorline');
  class StubConnection extends BaseConnection {
    async sendImpl() {}
    async receiveImpl() {}
    async healthCheckImpl() { return { isHealthy: false, ...this.details }; }
  }
  const connection = new StubConnection(${JSON.stringify(DEBUG_CONFIG).replace(/"healthCheckInterval":null/, 'healthCheckInterval: Infinity')});`;

describe('JSON lines on stderr', () => {
  test('a BigInt is written in digits', async () => {
    const { stderr, code } = await runScript(`${CONNECTION_SCRIPT}
      connection.emitEvent('counted', { data: { rows: 9007199254740993n, list: [1n] } });`);
    const [record] = parseRecords(stderr);
    assert.deepEqual(
      [code, record?.event, record?.data['rows'], record?.data['list']],
      [0, 'connection.counted', '9007199254740993', ['1']],
    );
  });

  test('a member that is no JSON is left out, and hides none of the others', async () => {
    const { stderr, code } = await runScript(`${CONNECTION_SCRIPT}
      const cycle = {}; cycle.self = cycle;
      const resists = { password: 'hunter2', toJSON() { throw new Error('hunter2'); } };
      const data = { cycle, resists, fine: 1 };
      Object.defineProperty(data, 'gone', { enumerable: true, get() { return cycle; } });
      connection.emitEvent('odd', { data });`);
    const [record] = parseRecords(stderr);
    const hidden = '[not serializable as JSON]';
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      { ...record?.data, connection: undefined, message: undefined },
      { connection: undefined, message: undefined, cycle: hidden, resists: hidden, fine: 1, gone: hidden },
    );
    assert.ok(!stderr.includes('hunter2'));
  });

  test('a percent sign is no format', async () => {
    const { stderr } = await runScript(`${CONNECTION_SCRIPT}
      connection.emitEvent('odd', { message: '100 %s %d %%' });`);
    assert.equal(parseRecords(stderr)[0]?.data['message'], '100 %s %d %%');
  });

  test('a stderr that nobody reads any more ends no process', async () => {
    const script = `${CONNECTION_SCRIPT}
      let times = 0;
      const timer = setInterval(() => {
        connection.emitEvent('said');
        if (++times < 20) return;
        clearInterval(timer);
        console.log('alive');
      }, 5);`;
    const child = spawn(process.execPath, ['-e', script], { cwd: root, timeout: 30_000 });
    child.stderr.destroy();
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    const [code] = (await once(child, 'close')) as [number];
    assert.deepEqual([code, stdout], [0, 'alive\n']);
  });

  test('a logger that throws, or rejects, is told of once', async () => {
    const { stdout, stderr, code } = await runScript(`${CONNECTION_SCRIPT}
      require('moorline').setLogger({
        debug() { throw new Error('the disk is full'); },
        error() { return Promise.reject(new Error('the network is gone')); },
      });
      for (const severity of ['info', 'error', 'info']) connection.emitEvent('said', { severity });
      setTimeout(() => console.log('alive'), 10);`);
    const records = parseRecords(stderr).map(({ level, event, data }) => ({ level, event, data }));
    assert.deepEqual([code, stdout], [0, 'alive\n']);
    assert.deepEqual(records, [{ level: 'warn', event: 'logger.failed', data: { error: 'the disk is full' } }]);
  });
});

describe('a health check whose details are no JSON', () => {
  afterEach(() => setLogger(undefined));

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const details = { 'a BigInt': { n: 1n }, 'a cycle': cycle, 'a toJSON that throws': { toJSON: () => assert.fail() } };
  for (const [what, given] of Object.entries(details)) {
    test(`such as ${what} is an unhealthy result while its connection is debugged`, async () => {
      setLogger({
        debug: (record) => void JSON.stringify(record),
        error: (record) => void JSON.stringify(record),
      });
      const connection = new StubConnection(DEBUG_CONFIG);
      connection.details = given;
      assert.equal((await connection.healthCheck()).isHealthy, false);
      const manager = new ConnectionManager();
      manager.addConnection(connection);
      const results = await manager.healthCheckAll();
      assert.equal(results[connection.connectionId]?.isHealthy, false);
    });
  }
});

test("a logger's methods are called as methods", () => {
  class Own {
    readonly records: LogRecord[] = [];
    debug(record: LogRecord): void {
      this.records.push(record);
    }
  }
  const own = new Own();
  setLogger(own);
  try {
    new StubConnection(DEBUG_CONFIG).emitEvent('said');
    assert.deepEqual(
      own.records.map(({ event }) => event),
      ['connection.said'],
    );
  } finally {
    setLogger(undefined);
  }
});

test('what is no logger is refused', () => {
  for (const given of ['x', null, 1]) {
    assert.throws(() => setLogger(given as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
});
