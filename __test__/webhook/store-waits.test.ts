// A replay store that does not answer: the wait is bounded, and an answer that comes too late does no harm.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';

import {
  type LogRecord,
  MoorlineError,
  type ReceiveAndHandleOptions,
  receiveWebhook,
  setLogger,
  webhookMiddleware,
  WebhookVerifier,
  type WebhookReplayStore,
} from 'moorline';

import { eventually } from '../support/eventually';
import { listen } from '../support/ports';
import { runScript } from '../support/script';

const secret = 's';
const body = '{"event":"paid"}';
const headers = { 'x-webhook-signature': new WebhookVerifier({ secret }).sign(body) };
const LATE = /^Verification error: the replay store failed: replayStore\.(remember|has) did not answer within 20ms$/;

let records: LogRecord[];
beforeEach(() => {
  records = [];
  const keep = (record: LogRecord) => records.push(record);
  setLogger({ warn: keep, error: keep });
});
afterEach(() => setLogger(undefined));

/** A store of which one method, while it hangs, answers only when it is told to. */
class HangingStore implements Required<WebhookReplayStore> {
  readonly known = new Set<string>();
  readonly forgotten: string[] = [];
  hangs: keyof WebhookReplayStore | undefined;
  readonly #late: (() => void)[] = [];

  remember(key: string): Promise<boolean> {
    return this.#answer('remember', () => !this.known.has(key) && Boolean(this.known.add(key)));
  }

  has(key: string): Promise<boolean> {
    return this.#answer('has', () => this.known.has(key));
  }

  forget(key: string): Promise<void> {
    return this.#answer('forget', () => {
      this.known.delete(key);
      this.forgotten.push(key);
    });
  }

  /** Lets it answer what it was asked, and what it will be. */
  recover(): void {
    this.hangs = undefined;
    for (const answer of this.#late.splice(0)) answer();
  }

  #answer<T>(method: keyof WebhookReplayStore, act: () => T): Promise<T> {
    if (this.hangs !== method) return Promise.resolve(act());
    return new Promise((resolve) => this.#late.push(() => resolve(act())));
  }
}

const receive = (replayStore: WebhookReplayStore, options: ReceiveAndHandleOptions = {}) => {
  const request = new Request('http://localhost/', { method: 'POST', body, headers });
  return receiveWebhook(new WebhookVerifier({ secret, replayStore }), request, {
    replayStoreTimeoutMs: 20,
    ...options,
  });
};

const handle = () => undefined;
const mustNot = () => assert.fail('it is not known to be new');

describe('a replay store that does not answer', () => {
  for (const method of ['remember', 'has'] as const) {
    test(`whether it knows the webhook (${method}) is a reason to try again later, with a code`, async () => {
      const store = new HangingStore();
      store.hangs = method;
      const { valid, status, reason, error } = await receive(store, { handle: mustNot });
      assert.deepEqual([valid, status], [false, 503]);
      assert.match(reason!, LATE);
      assert.ok(error instanceof MoorlineError);
      assert.deepEqual(
        [error.kind, error.code, error.service, error.operation, error.retryable],
        ['timeout', 'ETIMEDOUT', 'webhook', method, true],
      );
      store.recover();
      await eventually(() => store.forgotten.length === 1 && store.known.size === 0);
      assert.equal((await receive(store, { handle })).status, 200, 'the sender’s repeat is handled');
    });
  }

  test('gives up what it remembers too late without a handler, too', async () => {
    const store = new HangingStore();
    store.hangs = 'remember';
    assert.equal((await receive(store)).status, 503);
    store.recover();
    await eventually(() => store.forgotten.length === 1);
    assert.equal((await receive(store)).valid, true);
  });

  test('leaves the claim of another copy alone when it says too late that it is not new', async () => {
    const store = new HangingStore();
    store.hangs = 'remember';
    assert.equal((await receive(store, { handle: mustNot })).status, 503);
    const waiting = receive(store, { handle: mustNot });
    assert.equal((await waiting).status, 503);
    store.recover();
    // Only the first of the two was new, and only that one is given up.
    await eventually(() => store.forgotten.length === 1);
    assert.equal(store.known.size, 0);
  });

  test('and cannot forget: what it remembers too late is told of', async () => {
    let answer!: (isNew: boolean) => void;
    const store = { remember: () => new Promise<boolean>((resolve) => (answer = resolve)) };
    assert.equal((await receive(store, { handle: mustNot })).status, 503);
    answer(true);
    const record = await eventually(() => records.find(({ event }) => event === 'webhook.replay-store-failed'));
    assert.match(String(record.data['error']), /^replayStore\.remember resolved after the timeout/);
  });

  for (const method of ['remember', 'forget'] as const) {
    test(`when the webhook is handled (${method}) changes nothing of that, and is logged`, async () => {
      const store = new HangingStore();
      const { status } = await receive(store, { handle: () => void (store.hangs = method) });
      assert.equal(status, 200);
      assert.deepEqual(
        records.map(({ level, event, data }) => [level, event, data['error']]),
        [['error', 'webhook.replay-store-failed', `replayStore.${method} did not answer within 20ms`]],
      );
      store.recover();
    });
  }

  test('may be given as long as it likes', async () => {
    const store = new HangingStore();
    store.hangs = 'remember';
    const received = receive(store, { handle, replayStoreTimeoutMs: Infinity });
    await new Promise<void>((resolve) => setImmediate(resolve));
    store.recover();
    assert.equal((await received).status, 200);
  });

  test('makes the middleware answer 503, and pass the sender’s repeat', async () => {
    const store = new HangingStore();
    store.hangs = 'remember';
    const verifier = new WebhookVerifier({ secret, replayStore: store });
    const receiving = webhookMiddleware(verifier, { replayStoreTimeoutMs: 20 });
    const server = createServer((request, response) => receiving(request, response, () => response.end('done')));
    const url = `http://127.0.0.1:${await listen(server)}`;
    const send = async () => {
      const answer = await fetch(url, { method: 'POST', body, headers });
      return [answer.status, await answer.text()];
    };
    assert.deepEqual(await send(), [503, '{"error":"Try again later"}']);
    const refused = records.find(({ event }) => event === 'webhook.refused');
    assert.match(String(refused?.data['reason']), LATE);
    store.recover();
    await eventually(() => store.known.size === 0);
    assert.deepEqual(await send(), [200, 'done']);
    server.close();
    server.closeAllConnections();
  });

  test('and fails afterwards does not end the process', async () => {
    const { code, stdout, stderr } = await runScript(`
      const { WebhookVerifier, receiveWebhook } = require('moorline');
      const late = [];
      const replayStore = { remember: () => new Promise((_, reject) => late.push(reject)) };
      const verifier = new WebhookVerifier({ secret: 's', replayStore });
      const headers = { 'x-webhook-signature': verifier.sign('b') };
      const request = new Request('http://localhost/', { method: 'POST', body: 'b', headers });
      receiveWebhook(verifier, request, { replayStoreTimeoutMs: 5 }).then(({ status }) => {
        for (const reject of late) reject(new Error('away'));
        setImmediate(() => console.log(status));
      });`);
    assert.deepEqual([code, stdout.trim()], [0, '503'], stderr);
  });
});

describe('replayStoreTimeoutMs', () => {
  for (const value of [0, -1, NaN, '5', null, 5n]) {
    test(`${typeof value} ${String(value)} is refused by its name`, async () => {
      const refused = {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: /^options\.replayStoreTimeoutMs must be/,
      };
      const wrong = { replayStoreTimeoutMs: value as number };
      await assert.rejects(receive(new HangingStore(), wrong), refused);
      assert.throws(() => webhookMiddleware(new WebhookVerifier({ secret }), wrong), refused);
    });
  }
});
