// Where a reader of a stream stands, kept in a database: it moves past what was handled, and past nothing else.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { MoorlineError, setLogger, SSEConnection, type SSEEvent } from 'moorline';

import { type EventServer, eventServer, ConnectionFactory } from '../support/connections';
import { eventually } from '../support/eventually';
import { EventStreamCursor } from '../support/sse';
import { mainEntry } from '../support/paths';

const unexpected = (error: unknown) => assert.fail(String(error));

let directory: string;
let databases = 0;
/** A database that nothing was kept in. */
const fresh = () => `file:${join(directory, `${databases++}.db`)}`;

before(() => {
  setLogger({});
  directory = mkdtempSync(join(tmpdir(), 'moorline-cursor-'));
});
after(() => {
  setLogger(undefined);
  rmSync(directory, { recursive: true });
});

describe('a cursor', () => {
  test('is written when it is closed, and loaded by the next one', async () => {
    const database = { url: fresh(), name: 'own' };
    const first = new EventStreamCursor(database, unexpected);
    assert.equal(await first.load(), '');
    first.keep('1');
    first.keep("2'); --");
    await first.close();
    const again = new EventStreamCursor(database, unexpected);
    assert.equal(await again.load(), "2'); --");
    again.keep('40');
    await again.flush();
    assert.equal(await again.load(), '40');
    await again.close();
    await assert.rejects(again.load(), { kind: 'closed', service: 'sse', operation: 'load' });
  });

  test('of which each reader has its own', async () => {
    const url = fresh();
    const [one, two] = ['one', 'two'].map((name) => new EventStreamCursor({ url, name }, unexpected));
    one!.keep('1');
    two!.keep('2');
    await Promise.all([one!.flush(), two!.flush()]);
    assert.deepEqual(await Promise.all([one!.load(), two!.load()]), ['1', '2']);
    await Promise.all([one!.close(), two!.close()]);
  });

  test('that cannot be kept says so: to load, to close, and while nobody waits', async () => {
    const lost: MoorlineError[] = [];
    const nowhere = `file:${join(directory, 'missing', 'place.db')}`;
    const cursor = new EventStreamCursor({ url: nowhere, name: 'x' }, (error) => lost.push(error));
    await assert.rejects(cursor.load(), { service: 'sse', operation: 'load' });
    cursor.keep('1');
    await eventually(() => lost.length === 1);
    assert.deepEqual([lost[0]!.service, lost[0]!.operation], ['sse', 'store']);
    await assert.rejects(cursor.close(), { service: 'sse', operation: 'store' });
  });

  test('is refused at once where it cannot be', () => {
    assert.throws(
      () => new EventStreamCursor({ url: 'ftp://h', name: 'x' }, unexpected),
      /options\.customOptions\.cursor\.url /,
    );
    assert.throws(() => new EventStreamCursor({ url: 'file:x', name: '' }, unexpected), /cursor\.name/);
  });
});

const AT_ONCE = { concurrency: Infinity };

describe('the cursor of a connection', () => {
  let server: EventServer;
  let url: string;
  const factory = new ConnectionFactory((config) => {
    const customOptions = { cursor: { url, name: 'reader' }, ...config.customOptions };
    return new SSEConnection({ url: server.url, monitoring: false, retryDelay: 1, ...config, customOptions });
  });

  beforeEach(async () => {
    server = await eventServer();
    url = fresh();
  });
  afterEach(async () => {
    await factory.close();
    await server.close();
  });

  const send = (...ids: number[]) => server.send(ids.map((id) => `id: ${id}\ndata: event\n\n`).join(''));
  const lastEventIds = () => server.requests.map(({ headers }) => headers['last-event-id']);

  /** Where a new process would go on. */
  async function kept(): Promise<string> {
    const cursor = new EventStreamCursor({ url, name: 'reader' }, unexpected);
    const id = await cursor.load();
    await cursor.close();
    return id;
  }

  /** A connection with a handler whose promises are settled by the test. */
  async function handling() {
    const { connection, recorder } = await factory.open();
    const handled: string[] = [];
    const settle = new Map<string, (error?: Error) => void>();
    connection.onMessage(({ lastEventId }: SSEEvent) => {
      handled.push(lastEventId);
      return new Promise<void>((resolve, reject) => {
        settle.set(lastEventId, (error) => (error ? reject(error) : resolve()));
      });
    }, AT_ONCE);
    return { connection, recorder, handled, settle: (id: number, error?: Error) => settle.get(String(id))!(error) };
  }

  test('moves in an iteration when the next event is asked for', async () => {
    const { connection } = await factory.open();
    send(1, 2, 3);
    const events = connection[Symbol.asyncIterator]();
    await events.next();
    await connection.disconnect();
    assert.equal(await kept(), '');
    await events.next();
    assert.equal((await events.next()).value!.lastEventId, '3');
    await eventually(async () => (await kept()) === '2');
  });

  test('stays before the event in which an iteration was left, unless that was acknowledged', async () => {
    const { connection } = await factory.open();
    send(1, 2, 3);
    const loop = (async () => {
      for await (const { lastEventId } of connection) if (lastEventId === '2') throw new Error('not this one');
    })();
    await assert.rejects(loop, /not this one/);
    // Whoever goes on gets what comes next, and the cursor does not.
    const seen: string[] = [];
    for await (const event of connection) {
      seen.push(event.lastEventId);
      event.ack();
      break;
    }
    await connection.disconnect();
    assert.deepEqual([seen, await kept()], [['3'], '1']);
    const { connection: next } = await factory.open();
    assert.equal(lastEventIds().at(-1), '1');
    send(2);
    for await (const event of next) {
      event.ack();
      break;
    }
    await next.disconnect();
    assert.equal(await kept(), '2');
  });

  test('moves up to the oldest event whose handler is at work', async () => {
    const { connection, handled, settle } = await handling();
    send(1, 2, 3, 4);
    await eventually(() => handled.length === 4);
    for (const id of [2, 4]) settle(id);
    await connection.disconnect();
    assert.equal(await kept(), '');
    // What ends after the disconnect was handled as well.
    settle(1);
    await eventually(async () => (await kept()) === '2');
    settle(3);
    await eventually(async () => (await kept()) === '4');
  });

  test('waits for every handler', async () => {
    const { connection, handled, settle } = await handling();
    const others: string[] = [];
    const remove = connection.onMessage(({ lastEventId }: SSEEvent) => others.push(lastEventId));
    send(1);
    await eventually(() => handled.length === 1 && others.length === 1);
    settle(1);
    remove();
    connection.onMessage(() => {
      throw new Error('not this one');
    });
    send(2);
    await eventually(() => handled.length === 2);
    settle(2);
    await connection.disconnect();
    assert.equal(await kept(), '1');
  });

  test('is held by a handler that fails; the next connection brings its event again', async () => {
    const { connection, recorder, handled, settle } = await handling();
    send(1, 2, 3);
    await eventually(() => handled.length === 3);
    settle(1);
    settle(2, new Error('not this one'));
    settle(3);
    await eventually(async () => (await kept()) === '1');
    send(4);
    await eventually(() => handled.length === 4);
    settle(4);
    assert.equal(connection.lastEventId, '1');
    server.streams[0]!.end();
    await recorder.until('reconnected');
    assert.deepEqual(lastEventIds(), [undefined, '1']);
    send(2, 3, 4);
    await eventually(() => handled.length === 7);
    for (const id of [2, 3, 4]) settle(id);
    await connection.disconnect();
    assert.equal(await kept(), '4');
    assert.equal(await connection.connect(), true);
    assert.equal(lastEventIds().at(-1), '4');
  });

  test('of a handler that throws at once, too, and nobody else is disturbed', async () => {
    const { connection } = await factory.open();
    const handled: string[] = [];
    connection.onMessage(({ lastEventId }: SSEEvent) => {
      handled.push(lastEventId);
      if (lastEventId === '2') throw new Error('not this one');
    });
    send(1, 2, 3);
    await eventually(() => handled.length === 3);
    await connection.disconnect();
    assert.equal(await kept(), '1');
  });

  test('moves with the next receive, or when the event is acknowledged', async () => {
    const { connection } = await factory.open();
    send(1, 2, 3);
    assert.equal((await connection.receive())?.lastEventId, '1');
    await connection.disconnect();
    assert.equal(await kept(), '');
    const second = await connection.receive();
    await eventually(async () => (await kept()) === '1');
    second?.ack();
    await eventually(async () => (await kept()) === '2');
    second?.ack();
    assert.equal((await connection.receive())?.lastEventId, '3');
    assert.equal(await connection.receive({ timeoutMs: 1 }), null);
    await eventually(async () => (await kept()) === '3');
  });

  test('does not move past events that wait, whoever handles later ones', async () => {
    const { connection } = await factory.open();
    send(1, 2);
    assert.equal((await connection.receive())?.lastEventId, '1');
    const handled: string[] = [];
    connection.onMessage(({ lastEventId }: SSEEvent) => handled.push(lastEventId));
    send(3);
    await eventually(() => handled.length === 1);
    await connection.disconnect();
    assert.deepEqual([handled, await kept()], [['3'], '']);
    assert.equal((await connection.receive())?.lastEventId, '2');
    await connection.receive();
    await eventually(async () => (await kept()) === '3');
  });

  test('goes on where a stream began when its first event fails', async () => {
    const cursor = new EventStreamCursor({ url, name: 'reader' }, unexpected);
    cursor.keep('7');
    await cursor.close();
    const { handled, recorder, settle } = await handling();
    send(8);
    await eventually(() => handled.length === 1);
    settle(8, new Error('not this one'));
    await eventually(() => server.streams.length === 1);
    server.streams[0]!.end();
    await recorder.until('reconnected');
    assert.deepEqual(lastEventIds(), ['7', '7']);
  });

  test('is written when the process has nothing more to do', async () => {
    const script = `
      const { SSEConnection, setLogger } = require(${JSON.stringify(mainEntry)});
      setLogger({});
      const customOptions = { cursor: { url: ${JSON.stringify(url)}, name: 'reader' } };
      const connection = new SSEConnection({ url: ${JSON.stringify(server.url)}, monitoring: false, customOptions });
      connection.connect().then(async () => {
        console.log('open');
        let n = 0;
        for await (const event of connection) if ((event.ack(), ++n === 50)) break;
      });`;
    const child = execFile(process.execPath, ['-e', script], { timeout: 30_000 });
    child.stderr!.pipe(process.stderr);
    const exited = once(child, 'exit');
    await once(child.stdout!, 'data');
    for (let id = 1; id <= 50; id++) {
      send(id);
      // Not all at once: what is written at first is not the last.
      if (id === 1) await eventually(async () => (await kept()) === '1', 20_000);
    }
    assert.deepEqual(await exited, [0, null]);
    assert.equal(await kept(), '50');
  });

  test('gives way to a position of one’s own', async () => {
    const cursor = new EventStreamCursor({ url, name: 'reader' }, unexpected);
    cursor.keep('7');
    await cursor.close();
    const { connection, recorder } = await factory.open({ customOptions: { lastEventId: '3' } });
    send(4);
    await connection.receive();
    await connection.receive({ timeoutMs: 1 });
    await eventually(async () => (await kept()) === '4');
    server.streams[0]!.end();
    await recorder.until('reconnected');
    await factory.open({ customOptions: { lastEventId: '' } });
    assert.deepEqual(lastEventIds(), ['3', '4', undefined], 'the position is that of the first connection');
  });

  test('a position that is none is refused at once', () => {
    for (const lastEventId of ['a\nb', 'a\u007f', '\0', 'x'.repeat(5000)]) {
      const make = () => factory.make({ customOptions: { lastEventId } });
      assert.throws(make, { code: 'ERR_INVALID_ARG_VALUE', message: /^options\.customOptions\.lastEventId / });
    }
    assert.throws(() => factory.make({ customOptions: { lastEventId: 3 } }), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
