// What of a user's is called – getters, methods, rules, loggers, handlers – may throw at any time: nothing of ours is
// lost for it, and nothing ends the process.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';

import {
  BaseConnection,
  ConnectionManager,
  HealthMonitor,
  Policy,
  setLogger,
  SSEConnection,
  type ConnectionConfig,
  type ConnectionHealthCheck,
  type LogRecord,
  type SSEEvent,
} from 'moorline';

import { eventually } from '../support/eventually';
import { recordEvents, createPool } from '../support/pools';
import { listen } from '../support/ports';
import { runScript } from '../support/script';

const QUIET: ConnectionConfig = { healthCheckInterval: Infinity, autoRetry: false };

/** An error that cannot even be looked at. */
function unreadable(): unknown {
  const { proxy, revoke } = Proxy.revocable(new Error('revoked'), {});
  revoke();
  return proxy;
}

/** Something that a getter or a method says by throwing. */
const throwGone = () => {
  throw new Error('the socket is gone');
};

describe('pools', () => {
  const faults: Record<string, (connection: object) => void> = {
    'a state that throws': (connection) => Object.defineProperty(connection, 'state', { get: throwGone }),
    'an isConnected that throws when it is read': (connection) =>
      Object.defineProperty(connection, 'isConnected', { get: throwGone }),
    'a healthCheck that throws when it is read': (connection) =>
      Object.defineProperty(connection, 'healthCheck', { get: throwGone }),
    'a healthCheck that throws': (connection) => Object.assign(connection, { healthCheck: throwGone }),
    'a healthCheck whose answer throws': (connection) =>
      Object.assign(connection, {
        healthCheck: async () => ({
          get isHealthy() {
            return throwGone();
          },
        }),
      }),
    'a healthCheck whose answer cannot be looked at': (connection) =>
      Object.assign(connection, { healthCheck: () => new Proxy({}, { get: throwGone, has: throwGone }) }),
  };
  for (const [what, breakIt] of Object.entries(faults)) {
    test(`a free connection with ${what} is replaced, and the rounds go on`, async () => {
      const made: { disconnected?: boolean; disconnect(): void }[] = [];
      const pool = createPool({ maxSize: 1, minSize: 1, healthCheckInterval: 0.02, cleanupInterval: 0.02 }, () => {
        const connection = {
          disconnect() {
            (this as { disconnected?: boolean }).disconnected = true;
          },
        };
        made.push(connection);
        return connection;
      });
      await pool.start();
      breakIt(made[0]!);
      await eventually(() => made.length === 2 && made[0]!.disconnected && pool.stats().poolSize === 1);
      breakIt(made[1]!);
      await eventually(() => made.length === 3 && pool.stats().poolSize === 1);
    });
  }

  test('a connection whose state throws when it is given back is closed, and gives its place to the next', async () => {
    const pool = createPool({ maxSize: 1 }, () => ({ lost: false }));
    const first = await pool.acquire();
    Object.defineProperty(first, 'state', { get: throwGone });
    await pool.release(first!);
    const second = await pool.acquire(5);
    assert.ok(second && second !== first);
  });

  test('a disconnect that throws when it is read is reported, and the place is free', async () => {
    const pool = createPool({ maxSize: 1 }, () => ({}));
    const errors = recordEvents(pool, 'error');
    const first = await pool.acquire();
    Object.defineProperty(first, 'disconnect', { get: throwGone });
    Object.defineProperty(first, 'state', { value: 'error' });
    await pool.release(first!);
    assert.ok(await pool.acquire(5));
    await eventually(() => errors.length === 1);
    assert.equal((errors[0]!['error'] as Error).message, 'the socket is gone');
  });

  test('a connection whose getter throws ends no process', async () => {
    const { stdout, stderr, code } = await runScript(`
      const { ConnectionPool } = require('moorline');
      class Conn {
        #socket = { readyState: 1 };
        get state() { return this.#socket.readyState; }
        async connect() { return true; }
        async disconnect() { console.log('closed'); }
        lose() { this.#socket = undefined; }
      }
      (async () => {
        const pool = new ConnectionPool({ maxSize: 1, healthCheckInterval: 0.02 }, async () => new Conn());
        await pool.start();
        const connection = await pool.acquire();
        await pool.release(connection);
        connection.lose();
        const alive = setInterval(() => {
          if (pool.stats().totalConnections > 0) return;
          clearInterval(alive);
          pool.stop();
        }, 5);
      })();`);
    assert.deepEqual({ stdout, stderr, code }, { stdout: 'closed\n', stderr: '', code: 0 });
  });
});

/** A connection whose hooks are given. */
class Custom extends BaseConnection {
  constructor(
    private readonly hooks: Record<string, (...given: any[]) => any>,
    config: ConnectionConfig = {},
  ) {
    super({ ...QUIET, ...config });
  }
  override async isConnected() {
    return this.hooks['isConnected'] ? this.hooks['isConnected']() : super.isConnected();
  }
  protected override async connectImpl() {
    return this.hooks['connect']?.() ?? true;
  }
  protected override async disconnectImpl() {
    return this.hooks['disconnect']?.() ?? true;
  }
  protected override async sendImpl() {
    return this.hooks['send']?.() ?? true;
  }
  protected override async receiveImpl() {
    return this.hooks['receive']?.() ?? null;
  }
}

describe('connections', () => {
  test('the verbs do not reject when the hooks throw what cannot be looked at', async () => {
    const resists = () => {
      throw unreadable();
    };
    const connection = new Custom({ send: resists, receive: resists, disconnect: resists });
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.send(1), false);
    assert.equal(await connection.receive(), null);
    assert.equal(await connection.disconnect(), false);
    const refused = new Custom({ connect: resists });
    assert.equal(await refused.connect(), false);
    assert.equal(typeof refused.getStatus().lastError, 'string');
  });

  test('an isConnected that throws is a no', async () => {
    const connection = new Custom({ isConnected: throwGone });
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.receive(), null);
    assert.equal(await connection.connect(), true);
  });

  const checks: Record<string, [check: () => unknown, message: string]> = {
    nothing: [() => undefined, 'The health check returned no result'],
    'what cannot be looked at': [
      () =>
        Object.defineProperty({} as ConnectionHealthCheck, 'timestamp', {
          get: throwGone,
        }),
      'the socket is gone',
    ],
  };
  for (const [what, [check, message]] of Object.entries(checks)) {
    test(`a health check of one's own that gives ${what} is an unhealthy result, for a manager as well`, async () => {
      class Checked extends Custom {
        override async healthCheck() {
          return check() as ConnectionHealthCheck;
        }
      }
      const connection = new Checked({}, { recoveryStrategy: 'none' });
      const { isHealthy, errorMessage } = await connection.healthCheck();
      assert.deepEqual([isHealthy, errorMessage], [false, message]);
      const manager = new ConnectionManager();
      manager.addConnection(connection);
      const results = await manager.healthCheckAll();
      assert.equal(results[connection.connectionId]?.isHealthy, false);
    });
  }

  test('verbs that were written over later and throw are failures of their connection alone', async () => {
    const [good, bad] = [new Custom({}), new Custom({})];
    Object.assign(bad, { connect: throwGone, disconnect: throwGone, healthCheck: throwGone });
    const manager = new ConnectionManager();
    for (const connection of [good, bad]) manager.addConnection(connection);
    const resultsById = (yes: boolean, no: boolean) => ({ [good.connectionId]: yes, [bad.connectionId]: no });
    assert.deepEqual(await manager.connectAll(), resultsById(true, false));
    const checked = await manager.healthCheckAll();
    assert.deepEqual([checked[good.connectionId]!.isHealthy, checked[bad.connectionId]!.isHealthy], [true, false]);
    assert.equal(checked[bad.connectionId]!.errorMessage, 'the socket is gone');
    assert.deepEqual(await manager.disconnectAll(), resultsById(true, false));
  });

  test('a parse of a subclass that throws is reported as an error, and the messages after it come', async () => {
    class Parsing extends SSEConnection {
      protected override parse(event: SSEEvent): SSEEvent {
        if (event.data === 'bad') throw new Error('the parse');
        return event;
      }
    }
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: bad\n\ndata: good\n\n');
    });
    const connection = new Parsing({
      ...QUIET,
      url: `http://127.0.0.1:${await listen(server)}/`,
      autoReconnect: false,
    });
    const [received, errors]: [string[], unknown[]] = [[], []];
    connection.onMessage(({ data }) => received.push(data));
    connection.onEvent(({ eventType, message }) => eventType === 'error' && errors.push(message));
    try {
      assert.equal(await connection.connect(), true);
      await eventually(() => received.length === 1);
      assert.deepEqual([received, errors], [['good'], ['the parse']]);
    } finally {
      await connection.disconnect();
      server.closeAllConnections();
      server.close();
    }
  });

  test('any name of a group is counted, __proto__ as well', () => {
    const manager = new ConnectionManager();
    for (const group of ['__proto__', '__proto__', 'constructor']) manager.addConnection(new Custom({}), group);
    assert.deepEqual(Object.entries(manager.getStatistics().groups), [
      ['__proto__', 2],
      ['constructor', 1],
    ]);
  });
});

describe('handlers', () => {
  let records: LogRecord[];

  beforeEach(() => {
    records = [];
    setLogger({ warn: (record) => records.push(record) });
  });

  afterEach(() => setLogger(undefined));

  test("a handler that gives somebody else's promise is logged when that is rejected", async () => {
    const connection = new Custom({});
    connection.onEvent(() => ({
      then: (_: unknown, rejected: (error: Error) => void) => rejected(new Error('later')),
    }));
    connection.onEvent(() => ({
      get then() {
        return throwGone();
      },
    }));
    connection.emitEvent('own');
    await eventually(() => records.length === 2);
    assert.deepEqual(records.map(({ data }) => data['error']).sort(), ['later', 'the socket is gone']);
  });
});

describe('policies', () => {
  const SINGLE_CALL = { retry: false, bulkhead: { maxConcurrent: 1, maxQueue: 0 } } as const;

  test('an error that cannot be looked at comes out, and its call releases its permit', async () => {
    const policy = new Policy(SINGLE_CALL);
    const failed = () => Promise.reject(unreadable());
    await assert.rejects(policy.run(failed));
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  const wrongType = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const [what, given, error] of [
    ['nothing', undefined, wrongType],
    ['NaN', NaN, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }],
    ['text', 'many', wrongType],
    ['a promise', Promise.resolve(1), wrongType],
  ] as const) {
    test(`a failureWeight that gives ${what} ends its call with a ${error.name}, and releases its permit`, async () => {
      const policy = new Policy({ ...SINGLE_CALL, breaker: { failureWeight: () => given as never } });
      await assert.rejects(policy.run(throwGone), error);
      assert.equal(await policy.run(() => 'free'), 'free');
    });
  }

  test('a predicate that gives a promise is refused: it would always be a yes', async () => {
    let calls = 0;
    const predicate = async () => {
      throw new Error('nobody hears this');
    };
    const policy = new Policy({ bulkhead: SINGLE_CALL.bulkhead, retry: { retryableExceptions: [predicate as never] } });
    const work = () => {
      calls += 1;
      return throwGone();
    };
    await assert.rejects(policy.run(work), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.deepEqual([calls, await policy.run(() => 'free')], [1, 'free']);
  });
});

describe('health monitors', () => {
  const answers: Record<string, () => unknown> = {
    'a proxy that resists': () => new Proxy({}, { get: throwGone }),
    'an error that resists': () => {
      throw unreadable();
    },
    'a status that cannot be told': () => ({ status: Symbol('up') }),
    'metadata that is no JSON': () => ({ healthy: false, metadata: { toJSON: throwGone } }),
    'a promise that resists': () => ({
      get then() {
        return throwGone();
      },
    }),
  };
  for (const [what, checker] of Object.entries(answers)) {
    test(`${what} is an unhealthy answer`, async () => {
      setLogger({});
      try {
        const monitor = new HealthMonitor();
        monitor.register('hostile', checker);
        assert.equal((await monitor.check('hostile')).status, 'unhealthy');
        assert.equal((await monitor.checkAll()).status, 'unhealthy');
      } finally {
        setLogger(undefined);
      }
    });
  }
});
