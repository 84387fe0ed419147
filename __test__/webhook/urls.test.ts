// The signed URL is the configured one, however gateways and routers rewrite the request.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { describe, test } from 'node:test';

import { receiveWebhook, setLogger, webhookMiddleware, WebhookVerifier } from 'moorline';

import { peer, peersMissing } from '../support/peers';
import { listen } from '../support/ports';

const secret = 'tok';
const body = 'A=1';
const twilio = (url: string) => createHmac('sha1', secret).update(`${url}A1`).digest('base64');
const square = (url: string) =>
  createHmac('sha256', secret)
    .update(url + body)
    .digest('base64');

/** The headers of a provider that signs `url`. */
const SCHEMES = {
  twilio: (url: string) => ({ 'x-twilio-signature': twilio(url) }),
  square: (url: string) => ({ 'x-square-hmacsha256-signature': square(url) }),
} as const;

/** A configured and signed URL, and the path that arrives at the server. */
const REWRITES: [name: string, url: string, path: string][] = [
  ['a gateway takes a prefix away', 'https://api.example.com/prod/hook', '/hook'],
  ['a quote in the query is escaped', "https://api.example.com/hook?n=O'Neil", '/hook?n=O%27Neil'],
  ['a space in the query is escaped', 'https://api.example.com/hook?n=a b', '/hook?n=a%20b'],
  ['a letter beyond ASCII is escaped', 'https://api.example.com/hook?n=é', '/hook?n=%C3%A9'],
  ['the query is taken away', 'https://api.example.com/hook?n=1', '/hook'],
];

/** Posts to a local server, with a path as it is. */
async function post(port: number, path: string, headers: Record<string, string>): Promise<number | undefined> {
  const request = httpRequest({ host: '127.0.0.1', port, path, method: 'POST', headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

for (const [scheme, headersFor] of Object.entries(SCHEMES)) {
  describe(`the URL of ${scheme} is the configured one where`, () => {
    for (const [name, url, path] of REWRITES) {
      const verifier = new WebhookVerifier({ secret, scheme: scheme as keyof typeof SCHEMES, url });
      const headers = headersFor(url);

      test(`${name}, in a Fetch request`, async () => {
        const request = new Request(`http://10.0.0.3:3000${path}`, { method: 'POST', body, headers });
        const { valid, reason } = await receiveWebhook(verifier, request);
        assert.deepEqual([valid, reason], [true, undefined]);
        assert.equal(verifier.verifyRequest({ headers, body, url: path }).valid, true);
      });

      test(`${name}, through the middleware`, async () => {
        const receive = webhookMiddleware(verifier);
        const server = createServer((request, response) => receive(request, response, () => response.end()));
        try {
          assert.equal(await post(await listen(server), path, headers), 200);
        } finally {
          server.close();
        }
      });
    }
  });

  describe(`what was signed for another URL of ${scheme}`, () => {
    for (const [name, url, path] of [
      ['with another query', 'https://api.example.com/hook?tenant=a', '/hook?tenant=b'],
      ['with a query that adds to it', 'https://api.example.com/hook?tenant=a', '/hook?tenant=a&admin=1'],
      ['at another path', 'https://api.example.com/hooks/paid', '/hooks/refunded'],
      ['at a path that ends with it', 'https://api.example.com/hook', '/payments/hook'],
      ['at a path that hides it', 'https://api.example.com/hook', '/admin%3f/hook'],
    ] as const) {
      test(`is refused ${name}`, async () => {
        const verifier = new WebhookVerifier({ secret, scheme: scheme as keyof typeof SCHEMES, url });
        const request = new Request(`http://10.0.0.3${path}`, { method: 'POST', body, headers: headersFor(url) });
        assert.equal((await receiveWebhook(verifier, request)).reason, 'Signature mismatch');
      });
    }

    test('is refused at the origin of a request target that its sender chose', async () => {
      const [own, other] = ['https://api.example.com/hook', 'http://staging.example.com/hook'];
      for (const url of [own, undefined]) {
        const verifier = new WebhookVerifier({ secret, scheme: scheme as keyof typeof SCHEMES, url });
        const receive = webhookMiddleware(verifier);
        const server = createServer((request, response) => receive(request, response, () => response.end()));
        try {
          const port = await listen(server);
          assert.equal(await post(port, other, headersFor(other)), 401);
          if (url) assert.equal(await post(port, other, headersFor(url)), 200, 'only its path counts');
        } finally {
          server.close();
        }
      }
    });
  });
}

describe('the option url', () => {
  const url = 'https://api.example.com/hook?tenant=a';
  const verifier = new WebhookVerifier({ secret, scheme: 'twilio', url: 'https://api.example.com' });
  const request = () =>
    new Request('http://10.0.0.3/rewritten?x=1', { method: 'POST', body, headers: SCHEMES.twilio(url) });

  test('is the URL that was signed, whatever the request says', async () => {
    assert.equal((await receiveWebhook(verifier, request(), { url })).valid, true);
    assert.equal((await receiveWebhook(verifier, request())).valid, false);
  });

  test('is text', async () => {
    const wrong = { url: new URL(url) as never };
    await assert.rejects(receiveWebhook(verifier, request(), wrong), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => webhookMiddleware(verifier, wrong), { message: /^options\.url must be a string/ });
  });
});

describe('Express', { skip: peersMissing() }, () => {
  test('uses the URL of the verifier when its routers rewrite the path', async () => {
    const { default: express } = await peer('express');
    const url = "https://api.example.com/prod/hooks/sms?n=O'Neil";
    const app = express();
    const router = express.Router();
    router.use(webhookMiddleware(new WebhookVerifier({ secret, scheme: 'twilio', url })));
    router.post('/sms', (_: unknown, response: any) => response.end());
    app.use('/hooks', router);
    const server = createServer(app);
    setLogger({});
    try {
      const port = await listen(server);
      assert.equal(await post(port, '/hooks/sms?n=O%27Neil', SCHEMES.twilio(url)), 200);
      assert.equal(await post(port, '/hooks/sms?n=other', SCHEMES.twilio(url)), 401);
    } finally {
      server.close();
      setLogger(undefined);
    }
  });
});

describe('Twilio', () => {
  const isValid = (signature: string, url: string) =>
    new WebhookVerifier({ secret, scheme: 'twilio' }).verifyRequest({
      headers: { 'x-twilio-signature': signature },
      body,
      url,
    }).valid;
  const queries = { "O'Neil": 'O%27Neil', 'a b': 'a%20b', 'a"<>b': 'a%22%3C%3Eb', é: '%C3%A9' };

  for (const [raw, escaped] of Object.entries(queries)) {
    test(`may have signed ${raw} in the query where ${escaped} is seen by a parser`, () => {
      const [given, seen] = [`https://e.com/h?n=${raw}`, `https://e.com/h?n=${escaped}`];
      assert.equal(isValid(twilio(seen), given), true);
      assert.equal(isValid(twilio(`https://e.com:443/h?n=${escaped}`), given), true);
      assert.equal(isValid(twilio(`https://e.com/h?n=other`), given), false);
    });
  }

  test('may have signed a quote as it is where a parser has escaped it', () => {
    assert.equal(isValid(twilio("https://e.com/h?n=O'Neil&m=a%20b"), 'https://e.com/h?n=O%27Neil&m=a%20b'), true);
  });

  for (const [what, signed, seen] of [
    ['without the port that a proxy adds', 'https://e.com/h', 'https://e.com:1234/h'],
    ['with the port that everybody leaves out', 'http://e.com:80/h', 'http://e.com/h'],
    ['with credentials and a port', 'https://user:pass@e.com:443/h', 'https://user:pass@e.com/h'],
    ['with a user alone', 'https://user@e.com/h', 'https://user@e.com:443/h'],
  ] as const) {
    test(`may have signed the URL ${what}`, () => {
      assert.equal(isValid(twilio(signed), seen), true);
      assert.equal(isValid(twilio(signed.replace('e.com', 'f.com')), seen), false);
    });
  }

  test('signs the URL it is given, port and all', () => {
    for (const url of ['http://localhost:3000/hook', 'https://e.com/h', 'https://e.com:443/h']) {
      assert.equal(new WebhookVerifier({ secret, scheme: 'twilio', url }).sign(body), twilio(url));
    }
    const published =
      'CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212';
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
    const signature = new WebhookVerifier({ secret: '12345', scheme: 'twilio', url }).sign(published);
    assert.equal(signature, '0/KCTR6DLpKmkAf8muzZqo1nDgQ=');
  });

  test('signs with SHA-256 under a shared key', () => {
    const url = 'https://e.com/h';
    const signature = createHmac('sha256', secret).update(`${url}A1`).digest('base64');
    const settings = 'key=k,algorithm=HMAC_SHA256';
    const headers = { 'x-twilio-signature': signature, 'x-twilio-webhooks-signature-settings': settings };
    const verifiers = {
      named: new WebhookVerifier({ secret, scheme: 'twilio' }),
      detecting: new WebhookVerifier({ secret }),
    };
    for (const verifier of Object.values(verifiers)) {
      assert.equal(verifier.verifyRequest({ headers, body, url }).valid, true);
      assert.equal(verifier.verifyRequest({ headers, body: 'A=2', url }).reason, 'Signature mismatch');
    }
  });
});
