// Bodies that come as something else than bytes: text is named as such, and never judged; bytes of any kind are bytes.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';

import { receiveWebhook, setLogger, webhookMiddleware, WebhookVerifier, type FetchRequest } from 'moorline';

import { listen } from '../support/ports';

const verifier = new WebhookVerifier({ secret: 's', scheme: 'github' });
const body = '{"name":"Zoë — 東京 🦭"}';
const headers = verifier.signRequest({ body });

/** Posts the body to a server with `listener`, and gives the response. */
async function postTo(listener: Parameters<typeof createServer>[1]): Promise<Response> {
  const server = createServer(listener!);
  try {
    const url = `http://127.0.0.1:${await listen(server)}/`;
    return await fetch(url, { method: 'POST', body, headers });
  } finally {
    server.close();
  }
}

for (const encoding of ['utf8', 'latin1', 'hex', 'base64', 'utf16le'] as const) {
  describe(`a request that was decoded as ${encoding}`, () => {
    test('is a result that names what to change', async () => {
      const response = await postTo(async (request, answer) => {
        request.setEncoding(encoding);
        const { body: _, ...result } = await receiveWebhook(verifier, request, { limitBytes: 1 });
        answer.end(JSON.stringify(result));
      });
      const { valid, status, reason } = (await response.json()) as Record<string, unknown>;
      assert.deepEqual([valid, status], [false, 500]);
      assert.match(String(reason), /decoded to text already.*before setEncoding\(\) or a decoder$/);
    });

    test('is answered by the middleware', async () => {
      setLogger({});
      try {
        const receive = webhookMiddleware(verifier);
        const response = await postTo((request, answer) => {
          request.setEncoding(encoding);
          receive(request, answer, () => assert.fail('it must not pass'));
        });
        assert.deepEqual([response.status, await response.json()], [500, { error: 'The webhook could not be read' }]);
      } finally {
        setLogger(undefined);
      }
    });
  });
}

describe('a request like that of Fetch', () => {
  /** A request whose body comes in these chunks. */
  function requestOf(...chunks: unknown[]): FetchRequest {
    async function* inTurn() {
      yield* chunks as Uint8Array[];
    }
    const url = 'http://localhost/';
    return { method: 'POST', url, headers: Object.entries(headers), body: inTurn(), bodyUsed: false };
  }
  const bytes = Buffer.from(body);
  const copy = new Uint8Array(bytes).buffer;
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);

  test('with chunks of text is a result that names it', async () => {
    for (const chunks of [[body], [bytes.subarray(0, 5), body.slice(5)], [null], [7]]) {
      const { valid, status, reason } = await receiveWebhook(verifier, requestOf(...chunks));
      assert.deepEqual([valid, status], [false, 500]);
      assert.match(reason!, /decoded to text already/);
    }
  });

  const kinds: Record<string, unknown[]> = {
    'buffers of any length': [bytes.subarray(0, 3), Buffer.alloc(0), bytes.subarray(3)],
    'an ArrayBuffer': [copy],
    'a SharedArrayBuffer': [shared],
    'a DataView': [new DataView(copy, 0, 4), new DataView(copy, 4)],
  };
  for (const [kind, chunks] of Object.entries(kinds)) {
    test(`with ${kind} is verified by its bytes, and limited by their number`, async () => {
      const received = await receiveWebhook(verifier, requestOf(...chunks), { limitBytes: bytes.length });
      assert.deepEqual([received.valid, received.body.toString()], [true, body]);
      const { status } = await receiveWebhook(verifier, requestOf(...chunks), { limitBytes: bytes.length - 1 });
      assert.equal(status, 413);
    });
  }
});
