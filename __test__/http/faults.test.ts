// Every fault of the proxy at every step of a call: the call ends within its deadline, with its reason.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { HttpTransport, type RunningServer, serve } from '../support/http';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;
const TIMEOUT_MS = 400;

describe('through a proxy that misbehaves', { timeout: 60_000 }, () => {
  let server: RunningServer;
  let proxy: FaultProxy;
  let transport: HttpTransport;
  let url: string;

  before(async () => {
    server = await serve((request, response) => {
      request.resume().on('end', () => response.end('x'.repeat(2000)));
    });
  });
  after(() => server.close());
  beforeEach(async () => {
    proxy = await FaultProxy.start(server.port);
    url = `http://127.0.0.1:${proxy.port}`;
    transport = new HttpTransport({ timeoutMs: TIMEOUT_MS });
  });
  afterEach(async () => {
    transport.close();
    await proxy.close();
  });

  /** The outcome of a call; fails when it took longer than it may. */
  async function outcome(stream = false): Promise<string> {
    const began = performance.now();
    const outcome = await (async () => {
      const answer = await transport.request({ url, stream, settings: { bodyTimeoutMs: TIMEOUT_MS } });
      if (stream) for await (const piece of answer.stream) assert.ok(piece.length > 0);
      return 'answered';
    })().catch((error: unknown) => {
      assert.ok(error instanceof MoorlineError, String(error));
      return `${error.kind} ${error.delivery} ${String(error.detail?.['phase'])}`;
    });
    const elapsed = performance.now() - began;
    assert.ok(elapsed < TIMEOUT_MS + SLACK_MS, `${outcome} after ${elapsed} ms`);
    return outcome;
  }

  for (const warm of [false, true]) {
    const on = warm ? 'on a connection that was used before' : 'on a new connection';
    const prepared = async () => {
      if (!warm) return;
      assert.equal(await outcome(), 'answered');
      assert.equal(transport.stats().idle, 1);
    };

    test(`delay ${on}: shorter than the deadline is waited for, longer is not`, async () => {
      await prepared();
      proxy.set({ kind: 'delay', ms: 50 });
      assert.equal(await outcome(), 'answered');
      proxy.set({ kind: 'delay', ms: 2000 });
      assert.equal(await outcome(), 'timeout unknown headers');
    });

    test(`drip ${on}`, async () => {
      await prepared();
      proxy.set({ kind: 'drip', bytes: 1, everyMs: 20 });
      assert.match(await outcome(), /^timeout (unknown|answered) (headers|body)$/);
    });

    test(`cut ${on}: in the head and in the body`, async () => {
      await prepared();
      proxy.set({ kind: 'cut', afterBytes: 10 });
      assert.equal(await outcome(), 'disconnected answered headers');
      proxy.set({ kind: 'cut', afterBytes: 1000 });
      assert.equal(await outcome(), 'disconnected answered body');
      assert.equal(await outcome(true), 'disconnected answered body');
    });

    test(`reset ${on} while the answer is awaited`, async () => {
      await prepared();
      proxy.set({ kind: 'black-hole' });
      const call = outcome();
      await eventually(() => proxy.connections === 1 && transport.stats().inUse === 1);
      proxy.reset();
      assert.equal(await call, 'disconnected unknown headers');
    });

    test(`black hole ${on}, whole and streamed, and what was lost does not come back`, async () => {
      await prepared();
      proxy.set({ kind: 'black-hole' });
      assert.equal(await outcome(), 'timeout unknown headers');
      assert.equal(await outcome(true), 'timeout unknown headers');
      proxy.set({ kind: 'none' });
      assert.equal(await outcome(), 'answered');
    });

    test(`half open ${on}`, async () => {
      await prepared();
      if (!warm) proxy.set({ kind: 'black-hole' });
      const call = warm ? undefined : outcome();
      await eventually(() => proxy.connections === 1);
      proxy.halfOpen();
      assert.equal(await (call ?? outcome()), 'timeout unknown headers');
    });
  }

  test('nothing of all that is left', async () => {
    proxy.set({ kind: 'black-hole' });
    await Promise.all(Array.from({ length: 20 }, () => outcome()));
    await eventually(() => transport.stats().connections === 0);
    // The hole has swallowed our goodbyes too.
    proxy.set({ kind: 'none' });
    await eventually(() => proxy.connections === 0);
  });
});
