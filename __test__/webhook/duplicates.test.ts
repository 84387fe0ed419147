// A webhook that arrives more than once: it is handled once, and only what was handled counts as such.
import assert from 'node:assert/strict';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';

import {
  MemoryReplayStore,
  receiveWebhook,
  setLogger,
  webhookMiddleware,
  WebhookVerifier,
  type LogRecord,
  type ReceiveAndHandleOptions,
  type WebhookReplayStore,
} from 'moorline';

import { eventually } from '../support/eventually';
import { peer, peersMissing } from '../support/peers';
import { listen } from '../support/ports';

const secret = 's';
const body = '{"event":"paid"}';
const signature = new WebhookVerifier({ secret }).sign(body);
const headers = { 'x-webhook-signature': signature };
const HANDLED = 'Verification error: this request was accepted before';
const PENDING = 'Verification error: this request is being handled';

let records: LogRecord[];
beforeEach(() => {
  records = [];
  const keep = (record: LogRecord) => records.push(record);
  setLogger({ info: keep, warn: keep, error: keep });
});
afterEach(() => setLogger(undefined));

/** A promise, and what settles it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** A store as one behind a network: it answers later, and forgets what has expired. */
function remoteStore(): Required<WebhookReplayStore> {
  const expiry = new Map<string, number>();
  const later = () => new Promise<void>((resolve) => setImmediate(resolve));
  const isKnown = (key: string) => (expiry.get(key) ?? 0) > performance.now();
  return {
    remember: async (key, ttlMs) => {
      await later();
      if (isKnown(key)) return false;
      expiry.set(key, performance.now() + ttlMs);
      return true;
    },
    has: async (key) => {
      await later();
      return isKnown(key);
    },
    forget: async (key) => {
      await later();
      expiry.delete(key);
    },
  };
}

const stores: Record<string, () => Required<WebhookReplayStore>> = {
  'a MemoryReplayStore': () => new MemoryReplayStore(),
  'a store that answers later': remoteStore,
};

for (const [name, make] of Object.entries(stores)) {
  describe(`receiveWebhook with ${name}`, () => {
    let verifier: WebhookVerifier;
    beforeEach(() => (verifier = new WebhookVerifier({ secret, replayStore: make() })));

    const receive = (options?: ReceiveAndHandleOptions) =>
      receiveWebhook(verifier, new Request('http://localhost/', { method: 'POST', body, headers }), options);

    test('handles a webhook once, and says of the next copy that it is a duplicate', async () => {
      const handled: string[] = [];
      const handle: ReceiveAndHandleOptions['handle'] = (webhook) => handled.push(webhook.body.toString());
      const first = await receive({ handle });
      assert.deepEqual([first.valid, first.status, first.duplicate], [true, 200, undefined]);
      const { valid, status, duplicate, reason } = await receive({ handle });
      assert.deepEqual(
        { valid, status, duplicate, reason },
        { valid: false, status: 200, duplicate: true, reason: HANDLED },
      );
      assert.equal((await receive({ handle, duplicateStatus: 208 })).status, 208);
      assert.deepEqual(handled, [body]);
    });

    test('remembers nothing of a webhook whose handler failed', async () => {
      const failure = new Error('the database is away');
      const failed = await receive({ handle: () => Promise.reject(failure) });
      assert.deepEqual([failed.valid, failed.status, failed.error], [true, 500, failure]);
      assert.deepEqual(
        records.map(({ level, event, data }) => [level, event, data['error']]),
        [['error', 'webhook.handler-failed', 'the database is away']],
      );
      const thrown = () => {
        throw failure;
      };
      assert.equal((await receive({ handle: thrown })).error, failure);
      const retried = await receive({ handle: () => undefined });
      assert.deepEqual([retried.status, retried.duplicate, retried.error], [200, undefined, undefined]);
    });

    test('handles one of two copies that arrive at the same time', async () => {
      const { opened, open } = gate();
      let handled = 0;
      const handle = async () => {
        handled += 1;
        await opened;
      };
      const copies = [receive({ handle }), receive({ handle })];
      const second = await Promise.race(copies);
      assert.deepEqual([second.valid, second.status, second.duplicate, second.reason], [false, 409, true, PENDING]);
      open();
      const statuses = (await Promise.all(copies)).map(({ status }) => status);
      assert.deepEqual([statuses.sort(), handled], [[200, 409], 1]);
      assert.equal((await receive({ handle })).status, 200);
      assert.equal(handled, 1);
    });

    test('handles a copy when whoever had the first one is gone', async () => {
      let handled = 0;
      const claimed = gate();
      const hang = () => {
        claimed.open();
        return new Promise(() => undefined);
      };
      void receive({ handle: hang, claimMs: 20 });
      await claimed.opened;
      await eventually(async () => (await receive({ handle: () => (handled += 1) })).status === 200);
      assert.equal(handled, 1);
    });

    test('leaves alone the claim of another copy when its own has lapsed', async () => {
      const [slow, next, begun, claimed] = [gate(), gate(), gate(), gate()];
      const failing = async () => {
        claimed.open();
        await slow.opened;
        throw new Error('late');
      };
      const first = receive({ handle: failing, claimMs: 20 });
      await claimed.opened;
      let second: Promise<unknown> | undefined;
      let isBegun = false;
      const handle = () => {
        isBegun = true;
        begun.open();
        return next.opened;
      };
      await eventually(async () => {
        second = receive({ handle });
        await Promise.race([second, begun.opened]);
        return isBegun;
      });
      slow.open();
      assert.equal((await first).status, 500);
      assert.equal((await receive({ handle: () => assert.fail('it is being handled') })).status, 409);
      next.open();
      await second;
    });

    test('without a handler remembers it at once, until it is forgotten', async () => {
      const store = make();
      verifier = new WebhookVerifier({ secret, replayStore: store });
      const { valid, replayKey } = await receive();
      assert.equal(valid, true);
      const again = await receive();
      assert.deepEqual([again.valid, again.status, again.duplicate], [false, 200, true]);
      await store.forget(replayKey!);
      assert.equal((await receive()).valid, true);
    });

    test('remembers no check of the endpoint, and hands none to the handler', async () => {
      const check = '{"type":"url_verification","challenge":"abc"}';
      const slack = new WebhookVerifier({ secret, scheme: 'slack', replayStore: make() });
      const signed = slack.signRequest({ body: check });
      for (let n = 0; n < 2; n++) {
        const request = new Request('http://localhost/', { method: 'POST', body: check, headers: signed });
        const { challenge, status } = await receiveWebhook(slack, request, { handle: () => assert.fail() });
        assert.deepEqual([challenge, status], [{ challenge: 'abc' }, 200]);
      }
    });
  });
}

describe('a replay store', () => {
  const receive = (replayStore: WebhookReplayStore, handle: () => unknown = () => undefined) => {
    const request = new Request('http://localhost/', { method: 'POST', body, headers });
    return receiveWebhook(new WebhookVerifier({ secret, replayStore }), request, { handle });
  };

  test('that can only remember does so before the webhook is handled', async () => {
    const known = new Set<string>();
    const store = { remember: (key: string) => !known.has(key) && Boolean(known.add(key)) };
    assert.equal((await receive(store, () => Promise.reject(new Error('failed')))).status, 500);
    const again = await receive(store);
    assert.deepEqual([again.status, again.duplicate], [200, true]);
  });

  test('that can remember and forget lets a webhook be handled again that was not', async () => {
    const known = new Set<string>();
    const store = {
      remember: (key: string) => !known.has(key) && Boolean(known.add(key)),
      forget: (key: string) => known.delete(key),
    };
    assert.equal((await receive(store, () => Promise.reject(new Error('failed')))).status, 500);
    assert.equal((await receive(store)).duplicate, undefined);
    assert.equal((await receive(store)).duplicate, true);
  });

  const failing: Record<string, WebhookReplayStore> = {
    throws: {
      remember: () => {
        throw new Error('away');
      },
    },
    rejects: { remember: () => Promise.reject(new Error('away')) },
    'answers neither true nor false': { remember: () => 'OK' as never },
    'cannot be asked twice': { ...remoteStore(), has: () => Promise.reject(new Error('away')) },
  };
  for (const [how, store] of Object.entries(failing)) {
    test(`that ${how} is a reason to try again later, and the handler is not called`, async () => {
      const { valid, status, duplicate, reason } = await receive(store, () => assert.fail('it is not known to be new'));
      assert.deepEqual([valid, status, duplicate], [false, 503, undefined]);
      assert.match(reason!, /^Verification error: the replay store failed: (away|replayStore\.remember must return)/);
    });
  }

  test('that fails when the webhook is handled changes nothing of that, and is logged', async () => {
    let calls = 0;
    const store: WebhookReplayStore = {
      ...remoteStore(),
      remember: () => (++calls === 1 ? true : Promise.reject(new Error('away'))),
    };
    const { valid, status } = await receive(store);
    assert.deepEqual([valid, status], [true, 200]);
    assert.deepEqual(
      records.map(({ level, event, data }) => [level, event, data['error']]),
      [['error', 'webhook.replay-store-failed', 'away']],
    );
  });

  test('makes verify and verifyRequest say that they have met a duplicate', () => {
    const verifier = new WebhookVerifier({ secret, replayStore: new MemoryReplayStore() });
    assert.equal(verifier.verify(body, signature).duplicate, undefined);
    for (const found of [verifier.verify(body, signature), verifier.verifyRequest({ headers, body })]) {
      assert.deepEqual([found.valid, found.duplicate, found.reason], [false, true, HANDLED]);
    }
    assert.equal(verifier.verify(`${body} `, signature).duplicate, undefined);
  });

  test('of this process knows what it has', () => {
    const store = new MemoryReplayStore();
    assert.equal(store.has('a'), false);
    store.remember('a', 60_000);
    assert.equal(store.has('a'), true);
    store.forget('a');
    assert.equal(store.has('a'), false);
  });
});

describe('what is no option', () => {
  const request = () => new Request('http://localhost/', { method: 'POST', body, headers });
  const verifier = new WebhookVerifier({ secret });
  for (const [name, value, expected] of [
    ['claimMs', 0, 'a finite number > 0, got 0'],
    ['claimMs', Infinity, 'a finite number > 0, got Infinity'],
    ['duplicateStatus', 99, 'a status from 200 to 599, got 99'],
    ['duplicateStatus', '200', 'a status from 200 to 599, got 200'],
  ] as const) {
    test(`as ${name}: ${String(value)}, is refused`, async () => {
      const wrong = { [name]: value };
      await assert.rejects(receiveWebhook(verifier, request(), wrong), {
        name: 'RangeError',
        message: `options.${name} must be ${expected}`,
      });
      assert.throws(() => webhookMiddleware(verifier, wrong), { name: 'RangeError' });
    });
  }

  test('as handle, is refused: middleware has next for it', async () => {
    await assert.rejects(receiveWebhook(verifier, request(), { handle: {} as never }), {
      message: 'options.handle must be a function, got an instance of Object',
    });
    assert.throws(() => webhookMiddleware(verifier, { handle: () => undefined } as never), { name: 'TypeError' });
  });
});

describe('webhookMiddleware', () => {
  type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;
  let verifier: WebhookVerifier;
  beforeEach(() => (verifier = new WebhookVerifier({ secret, replayStore: remoteStore() })));

  /** Serves `handler` behind the middleware while `work` runs. */
  async function serving(handler: Handler, work: (port: number) => Promise<void>): Promise<void> {
    const receive = webhookMiddleware(verifier);
    const server = createServer((request, response) => receive(request, response, () => handler(request, response)));
    const port = await listen(server);
    try {
      await work(port);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  async function post(port: number): Promise<[status: number, text: string]> {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers });
    return [response.status, await response.text()];
  }

  /** Posts until the answer is not that another copy is still being handled. */
  async function settled(port: number): Promise<[status: number, text: string]> {
    let answer: [number, string] = [409, ''];
    await eventually(async () => (answer = await post(port))[0] !== 409);
    return answer;
  }

  test('answers the next copy of a webhook with 200 and that it is a duplicate', async () => {
    let handled = 0;
    await serving(
      (_, response) => response.end(`handled ${++handled}`),
      async (port) => {
        assert.deepEqual(await post(port), [200, 'handled 1']);
        assert.deepEqual(await settled(port), [200, '{"duplicate":true}']);
      },
    );
    const seen = records.filter(({ data }) => data['reason'] === HANDLED);
    assert.deepEqual(
      seen.map(({ level, event }) => [level, event]),
      [['info', 'webhook.duplicate']],
    );
  });

  const failing: Record<string, (response: ServerResponse) => unknown> = {
    'was answered with 500': (response) => response.writeHead(500).end('failed'),
    'was answered with 500 later': (response) => void setImmediate(() => response.writeHead(500).end('failed')),
    'has a handler that throws': () => {
      throw new Error('failed');
    },
    'has a handler that rejects': () => Promise.reject(new Error('failed')),
  };
  for (const [how, fail] of Object.entries(failing)) {
    test(`lets a copy pass of a webhook that ${how}`, async () => {
      let handled = 0;
      await serving(
        (_, response) => (++handled === 1 ? fail(response) : response.end('handled')),
        async (port) => {
          assert.equal((await post(port))[0], 500);
          assert.deepEqual(await settled(port), [200, 'handled']);
          assert.equal(handled, 2);
        },
      );
    });
  }

  test('lets one of two copies pass that arrive at the same time', async () => {
    const { opened, open } = gate();
    let handled = 0;
    await serving(
      async (_, response) => {
        handled += 1;
        await opened;
        response.end('handled');
      },
      async (port) => {
        const copies = [post(port), post(port)];
        assert.deepEqual(await Promise.race(copies), [409, '{"duplicate":true}']);
        open();
        const statuses = (await Promise.all(copies)).map(([status]) => status);
        assert.deepEqual([statuses.sort(), handled], [[200, 409], 1]);
      },
    );
  });

  /** Serves with `handle`; then, when the sender of a webhook has left while it was handled, a copy is sent, and `check` goes on. */
  async function abandoned(
    handle: (response: ServerResponse, handled: number) => unknown,
    check: (port: number, handled: () => number) => Promise<void>,
  ): Promise<void> {
    let handled = 0;
    let first: ServerResponse | undefined;
    await serving(
      (_, response) => {
        first ??= response;
        return handle(response, ++handled);
      },
      async (port) => {
        const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', headers });
        request.on('error', () => undefined);
        request.end(body);
        await eventually(() => handled === 1);
        const closed = once(first!, 'close');
        request.destroy();
        await closed;
        assert.deepEqual(await post(port), [409, '{"duplicate":true}']);
        await check(port, () => handled);
      },
    );
  }

  test('remembers a webhook whose sender left, once its handler is done', async () => {
    const { opened, open } = gate();
    await abandoned(
      () => opened,
      async (port, handled) => {
        open();
        assert.deepEqual(await settled(port), [200, '{"duplicate":true}']);
        assert.equal(handled(), 1);
      },
    );
  });

  test('lets a copy pass of a webhook whose sender left, when its handler would have answered with an error', async () => {
    const { opened, open } = gate();
    await abandoned(
      async (response, handled) => {
        if (handled > 1) return void response.end('handled');
        await opened;
        response.statusCode = 500;
      },
      async (port, handled) => {
        open();
        assert.deepEqual(await settled(port), [200, 'handled']);
        assert.equal(handled(), 2);
      },
    );
  });

  test('does not hand over a webhook whose sender left to another copy, as its handler may still be at it', async () => {
    await abandoned(
      () => undefined,
      async (_, handled) => assert.equal(handled(), 1),
    );
  });

  test('asks the sender to come back where the store fails', async () => {
    const replayStore = { remember: () => Promise.reject(new Error('away')) };
    verifier = new WebhookVerifier({ secret, replayStore });
    await serving(
      () => assert.fail('it is not known to be new'),
      async (port) => assert.deepEqual(await post(port), [503, '{"error":"Try again later"}']),
    );
  });

  test('remembers by the answers of Express', { skip: peersMissing() }, async () => {
    const { default: express } = await peer('express');
    const app = express();
    let handled = 0;
    app.use(webhookMiddleware(verifier));
    app.post('/', async (_: unknown, response: any) => {
      handled += 1;
      if (handled === 1) throw new Error('failed');
      response.json({ handled });
    });
    app.use((_error: Error, _request: unknown, response: any, _next: unknown) => response.status(500).end());
    const server = createServer(app);
    try {
      const port = await listen(server);
      assert.equal((await post(port))[0], 500);
      assert.deepEqual(await settled(port), [200, '{"handled":2}']);
      assert.deepEqual(await settled(port), [200, '{"duplicate":true}']);
      assert.equal(handled, 2);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
