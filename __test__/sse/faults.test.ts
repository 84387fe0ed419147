// Every fault of the proxy, while a stream is requested and while it is open: it ends within its limits, with the reason.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import type { RunningServer } from '../support/http';
import { type RecordedStream, record, stream } from '../support/sse';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;
const TIMEOUT_MS = 400;

describe('through a proxy that misbehaves', { timeout: 60_000 }, () => {
  let server: RunningServer;
  let proxy: FaultProxy;
  let client: RecordedStream;
  let send: (count: number) => void;

  beforeEach(async () => {
    let sent = 0;
    server = await stream((response) => {
      send = (count) => {
        for (const last = sent + count; sent < last; sent++) response.write(`id: ${sent}\ndata: event ${sent}\n\n`);
      };
    });
    proxy = await FaultProxy.start(server.port);
    const url = `http://127.0.0.1:${proxy.port}`;
    client = record({ url, timeoutMs: TIMEOUT_MS, idleTimeoutMs: TIMEOUT_MS });
  });
  afterEach(async () => {
    client.transport.close();
    await proxy.close();
    await server.close();
  });

  /** The outcome of a connect as text; fails when the connect exceeds its timeout. */
  async function connectOutcome(): Promise<string> {
    const began = performance.now();
    const outcome = await client.transport.connect().then(
      () => 'open',
      (error: unknown) => {
        assert.ok(error instanceof MoorlineError, String(error));
        assert.deepEqual([error.service, error.operation], ['sse', 'connect']);
        return `${error.kind} ${error.delivery} ${String(error.detail?.['phase'])}`;
      },
    );
    const elapsed = performance.now() - began;
    assert.ok(elapsed < TIMEOUT_MS + SLACK_MS, `${outcome} after ${elapsed} ms`);
    return outcome;
  }

  /** The kind of the error that ends the stream within its idle timeout after `since`. */
  async function closeKind(since = performance.now()): Promise<string> {
    const { isFinal, error } = await client.closed();
    assert.ok(performance.now() - since < TIMEOUT_MS + SLACK_MS);
    assert.equal(isFinal, false);
    assert.equal(error?.operation, 'receive');
    assert.equal(error.retryable, true);
    client.events.forEach(({ data, lastEventId }, n) =>
      assert.deepEqual([data, lastEventId], [`event ${n}`, String(n)]),
    );
    assert.equal(client.transport.lastEventId, client.events.at(-1)?.lastEventId ?? '');
    return error.kind;
  }

  async function openWithEvents(): Promise<void> {
    assert.equal(await connectOutcome(), 'open');
    send(3);
    await eventually(() => client.events.length === 3);
  }

  test('delay: shorter than the limits is waited for, longer is not', async () => {
    proxy.set({ kind: 'delay', ms: 50 });
    await openWithEvents();
    proxy.set({ kind: 'delay', ms: 2000 });
    const since = performance.now();
    send(1);
    assert.equal(await closeKind(since), 'timeout');
    assert.equal(await connectOutcome(), 'timeout unknown headers');
  });

  test('drip: an open stream may be slow as long as bytes arrive', async () => {
    await openWithEvents();
    proxy.set({ kind: 'drip', bytes: 1, everyMs: 10 });
    send(5);
    await eventually(() => client.events.length === 8);
    assert.deepEqual(client.closes, []);
    client.transport.close();
    proxy.set({ kind: 'drip', bytes: 1, everyMs: 20 });
    assert.match(await connectOutcome(), /^timeout (unknown|answered) headers$/);
  });

  test('cut: in the head, and in the middle of an event, which is not handed out', async () => {
    proxy.set({ kind: 'cut', afterBytes: 10 });
    assert.equal(await connectOutcome(), 'disconnected answered headers');
    proxy.set({ kind: 'none' });
    await openWithEvents();
    proxy.set({ kind: 'cut', afterBytes: 60 });
    send(5);
    assert.equal(await closeKind(), 'disconnected');
    assert.ok(client.events.length < 8);
  });

  test('closed with FIN: without the last chunk it is no end', async () => {
    await openWithEvents();
    proxy.cut();
    assert.equal(await closeKind(), 'disconnected');
  });

  test('reset, while it is requested and while it is open', async () => {
    proxy.set({ kind: 'black-hole' });
    const connecting = connectOutcome();
    await eventually(() => proxy.connections === 1);
    proxy.reset();
    assert.equal(await connecting, 'disconnected unknown headers');
    proxy.set({ kind: 'none' });
    await openWithEvents();
    proxy.reset();
    assert.equal(await closeKind(), 'disconnected');
  });

  test('black hole, and what was lost in it does not come back', async () => {
    proxy.set({ kind: 'black-hole' });
    assert.equal(await connectOutcome(), 'timeout unknown headers');
    proxy.set({ kind: 'none' });
    await openWithEvents();
    proxy.set({ kind: 'black-hole' });
    const since = performance.now();
    send(2);
    assert.equal(await closeKind(since), 'timeout');
    proxy.set({ kind: 'none' });
    assert.equal(await connectOutcome(), 'open');
    assert.equal(client.events.length, 3);
  });

  test('half open', async () => {
    await openWithEvents();
    const since = performance.now();
    proxy.halfOpen();
    assert.equal(await closeKind(since), 'timeout');
  });

  test('refused', async () => {
    await proxy.refuse();
    assert.equal(await connectOutcome(), 'connect none connect');
  });
});
