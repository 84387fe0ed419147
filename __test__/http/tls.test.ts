// TLS, HTTP/2 and proxies, by Node's own servers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer, type ServerOptions } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createSecureContext } from 'node:tls';

import { MoorlineError } from 'moorline';

import { Authority } from '../support/certificates';
import { eventually } from '../support/eventually';
import { HttpTransport, type RunningServer, serve, startServer } from '../support/http';
import { HttpFixture } from '../support/http-fixture';
import { freePort } from '../support/ports';

const authority = new Authority();
const untrustedAuthority = new Authority();
const loopback = ['IP:127.0.0.1', 'DNS:localhost'];
const directory = mkdtempSync(join(tmpdir(), 'moorline-http-'));
const fixture = new HttpFixture();

after(() => {
  authority.remove();
  untrustedAuthority.remove();
  rmSync(directory, { recursive: true });
});
function open(tls: Record<string, unknown> = { ca: authority.cert }, more = {}): HttpTransport {
  return fixture.open({ tls, ...more });
}

const startHttpsServer = (options: ServerOptions = authority.issue(loopback)) =>
  fixture.autoClose(
    startServer(createServer(options, (request, response) => request.resume().on('end', () => response.end('secure')))),
  );

/** OpenSSL's own server, which tells why it refuses a client's certificate; Node's just goes away. */
async function startOpensslServer(version: string): Promise<string> {
  const port = await freePort();
  const { cert, key } = authority.issue(loopback);
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const files = ['-cert', certFile, '-key', keyFile, '-CAfile', authority.file];
  const demands = ['-Verify', '1', '-verify_return_error', version];
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...files, ...demands, '-www', '-quiet'], {
    stdio: 'ignore',
  });
  fixture.undoAfter(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  await eventually(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    return true;
  });
  return `https://127.0.0.1:${port}`;
}

async function failureSummary(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MoorlineError, String(error));
  return [error.kind, error.code, error.delivery, error.detail?.['phase']].join(' ');
}

describe('TLS', () => {
  test('a certificate is checked: its authority, its name and its time', async () => {
    const server = await startHttpsServer();
    assert.equal((await open().request({ url: server.url })).text(), 'secure');
    const byName = `https://localhost:${server.port}/`;
    assert.equal((await open().request({ url: byName })).text(), 'secure');
    const unknown = await failureSummary(open({}).request({ url: server.url }));
    assert.equal(unknown, 'tls UNABLE_TO_GET_ISSUER_CERT_LOCALLY none tls');
    const unchecked = open({ rejectUnauthorized: false });
    assert.equal((await unchecked.request({ url: server.url })).text(), 'secure');

    const other = await startHttpsServer(authority.issue(['DNS:other.example']));
    const misnamed = await failureSummary(open().request({ url: other.url }));
    assert.equal(misnamed, 'tls ERR_TLS_CERT_ALTNAME_INVALID none tls');
    const renamed = open({ ca: authority.cert, serverName: 'other.example' });
    assert.equal((await renamed.request({ url: other.url })).text(), 'secure');

    const checked: string[] = [];
    const named = authority.issue(['DNS:db.internal.example']);
    const SNICallback: ServerOptions['SNICallback'] = (name, done) => {
      checked.push(name);
      done(null, name === 'db.internal.example' ? createSecureContext(named) : undefined);
    };
    const both = await startHttpsServer({ ...authority.issue(loopback), SNICallback });
    const calling = open({ ca: authority.cert, serverName: 'db.internal.example' });
    assert.equal((await calling.request({ url: both.url })).text(), 'secure');
    assert.deepEqual(checked, ['db.internal.example']);

    const old = await startHttpsServer(authority.issue(loopback, 'serverAuth', -1));
    assert.equal(await failureSummary(open().request({ url: old.url })), 'tls CERT_HAS_EXPIRED none tls');
  });

  test('versions that do not meet, and a server without TLS', async () => {
    const old = await startHttpsServer({ ...authority.issue(loopback), maxVersion: 'TLSv1.2' });
    assert.equal((await open().request({ url: old.url })).text(), 'secure');
    const strict = open({ ca: authority.cert, minVersion: 'TLSv1.3' });
    assert.match(await failureSummary(strict.request({ url: old.url })), /^tls \S+ none tls$/);
    const plain = await fixture.autoClose(serve((_, response) => response.end('plain')));
    const refused = await failureSummary(open().request({ url: plain.url.replace('http:', 'https:') }));
    assert.match(refused, /^tls \S+ none tls$/);
  });

  test('a client certificate is shown where it is wanted', async () => {
    const options = { ...authority.issue(loopback), ca: authority.cert, requestCert: true, rejectUnauthorized: true };
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const server = await startHttpsServer({ ...options, maxVersion });
      const known = open({ ca: authority.cert, ...authority.issue(['DNS:client'], 'clientAuth') });
      assert.equal((await known.request({ url: server.url })).text(), 'secure');
    }
  });

  test('that our certificate is refused is a matter of credentials', async () => {
    const theirs = untrustedAuthority.issue(['DNS:client'], 'clientAuth');
    const table = [
      ['-tls1_3', {}, /^auth ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED /],
      ['-tls1_3', theirs, /^auth ERR_SSL_TLSV1_ALERT_UNKNOWN_CA /],
      ['-tls1_2', theirs, /^auth ERR_SSL_TLSV1_ALERT_UNKNOWN_CA none tls$/],
      ['-tls1_2', {}, /^tls ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE none tls$/],
    ] as const;
    for (const [version, identity, expected] of table) {
      const url = await startOpensslServer(version);
      assert.match(await failureSummary(open({ ca: authority.cert, ...identity }).request({ url })), expected);
    }
  });

  test('a file that is replaced is believed from the next connection on', async () => {
    const file = join(directory, 'ca.pem');
    copyFileSync(untrustedAuthority.file, file);
    const server = await startHttpsServer();
    const transport = open({ ca: file });
    assert.match(await failureSummary(transport.request({ url: server.url })), /^tls /);
    writeFileSync(file, authority.cert);
    const answer = await eventually(() => transport.request({ url: server.url }));
    assert.equal(answer.text(), 'secure');
  });
});

describe('HTTP/2', () => {
  const startHttp2Server = (allowHTTP1 = true) =>
    fixture.autoClose(
      startServer(
        createSecureServer({ ...authority.issue(loopback), allowHTTP1 }, (request, response) => {
          const chunks: Buffer[] = [];
          request.on('data', (chunk: Buffer) => chunks.push(chunk));
          request.on('end', () => {
            response.setHeader('content-type', 'application/json');
            const { httpVersion, headers } = request;
            response.end(JSON.stringify({ httpVersion, headers, body: Buffer.concat(chunks).toString() }));
          });
        }),
      ),
    );

  test('is spoken where the server offers it, over one connection for all', async () => {
    const server = await startHttp2Server();
    const transport = open();
    const body = (n: number) =>
      (async function* () {
        yield `a${n}`;
        yield 'b'.repeat(100_000);
      })();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        transport.request({ url: server.url, body: body(n), headers: { connection: 'close' } }),
      ),
    );
    answers.forEach((answer, n) => {
      assert.equal(answer.data.httpVersion, '2.0');
      assert.equal(answer.data.body.length, 100_001 + String(n).length);
    });
    assert.equal(server.acceptedConnections(), 1);
    const old = open({ ca: authority.cert }, { http2: false });
    assert.equal((await old.request({ url: server.url })).data.httpVersion, '1.1');
  });

  test('a connection that goes away is replaced, and one that is unused is closed', async () => {
    const server = await startHttp2Server();
    const transport = open({ ca: authority.cert }, { keepAliveTimeoutMs: 200 });
    await transport.request({ url: server.url });
    await eventually(() => transport.stats().connections === 0 && server.openConnections() === 0);
    await transport.request({ url: server.url });
    assert.equal(server.acceptedConnections(), 2);
  });
});

describe('a proxy', () => {
  interface ProxyRecord {
    targets: string[];
    logins: (string | undefined)[];
  }

  async function startProxy(): Promise<RunningServer & ProxyRecord> {
    const record: ProxyRecord = { targets: [], logins: [] };
    const server = createHttpServer();
    server.on('connect', (request, socket, head) => {
      record.targets.push(request.url ?? '');
      record.logins.push(request.headers['proxy-authorization']);
      if (request.headers['proxy-authorization'] === 'Basic no') return void socket.end('HTTP/1.1 407 No\r\n\r\n');
      const [host, port] = (request.url ?? '').split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    return Object.assign(await fixture.autoClose(startServer(server, 'http')), record);
  }

  test('is asked for the host by its name, and TLS goes through it to the end', async () => {
    const [proxy, server] = [await startProxy(), await startHttpsServer()];
    const url = `https://localhost:${server.port}/`;
    const transport = open({ ca: authority.cert }, { proxy: proxy.url.replace('//', '//me:p%40ss@') });
    assert.equal((await transport.request({ url })).text(), 'secure');
    assert.deepEqual(proxy.targets, [`localhost:${server.port}`]);
    assert.deepEqual(proxy.logins, [`Basic ${Buffer.from('me:p@ss').toString('base64')}`]);
  });

  test('is the one the environment names, unless the environment excepts the host', async () => {
    const [proxy, server] = [await startProxy(), await startHttpsServer()];
    const url = `https://localhost:${server.port}/`;
    const names = ['HTTPS_PROXY', 'NO_PROXY'] as const;
    const kept = names.map((name) => process.env[name]);
    fixture.undoAfter(() =>
      names.forEach((name, index) => {
        if (kept[index] === undefined) delete process.env[name];
        else process.env[name] = kept[index];
      }),
    );
    process.env['HTTPS_PROXY'] = proxy.url;
    delete process.env['NO_PROXY'];
    const through = open({ ca: authority.cert }, { proxy: 'environment' });
    assert.equal((await through.request({ url })).text(), 'secure');
    for (const list of ['localhost', `localhost:${server.port}`, 'a.test localhost', '*localhost', 'localhost.']) {
      process.env['NO_PROXY'] = list;
      const around = open({ ca: authority.cert }, { proxy: 'environment' });
      assert.equal((await around.request({ url })).text(), 'secure');
      assert.equal(proxy.targets.length, 1, list);
    }
    await open({ ca: authority.cert }).request({ url });
    assert.equal(proxy.targets.length, 1, 'nobody asked for it');
  });

  test('gets nothing in plain text that may go to this machine only', async () => {
    const [proxy, server] = [await startProxy(), await fixture.autoClose(serve((_, response) => response.end('here')))];
    const careful = open({}, { securityLevel: 'enhanced', proxy: proxy.url });
    const url = `http://localhost:${server.port}/`;
    assert.equal((await careful.request({ url })).text(), 'here');
    assert.deepEqual(proxy.targets, []);
  });

  test('that is not there or says no has delivered nothing', async () => {
    const proxy = await fixture.autoClose(
      startServer(
        createHttpServer().on('connect', (_, socket) => socket.end('HTTP/1.1 407 No\r\n\r\n')),
        'http',
      ),
    );
    const refused = open({}, { proxy: proxy.url });
    assert.equal(
      await failureSummary(refused.request({ url: 'https://h.invalid' })),
      'auth ERR_MOORLINE_AUTH none proxy',
    );
    await fixture.close(proxy);
    const gone = open({}, { proxy: proxy.url });
    assert.equal(await failureSummary(gone.request({ url: 'https://h.invalid' })), 'connect ECONNREFUSED none connect');
  });
});

test('addresses that are not public are refused when asked, a redirect there too', async () => {
  const server = await fixture.autoClose(serve((_, response) => response.end('inside')));
  const guarded = open({}, { publicAddressesOnly: true });
  const code = 'ERR_MOORLINE_ADDRESS_REFUSED';
  for (const url of [server.url, `http://localhost:${server.port}`, 'http://169.254.169.254/', 'http://[::1]/']) {
    await assert.rejects(guarded.request({ url }), { kind: 'connect', code, delivery: 'none', retryable: false });
  }
  const excepted = open({}, { publicAddressesOnly: true, allowedHosts: ['localhost'] });
  assert.equal((await excepted.request({ url: `http://localhost:${server.port}` })).text(), 'inside');
  const luring = await fixture.autoClose(
    serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end()),
  );
  const url = `http://localhost:${luring.port}`;
  await assert.rejects(excepted.request({ url }), { code });
});
