// The HTTP transport against nginx and nghttpd, directly and through tinyproxy.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Authority } from '../support/certificates';
import { debianBinary, skipWithout } from '../support/debian';
import { DebianServers } from '../support/debian-servers';
import { HttpTransport } from '../support/http';
import { freePort } from '../support/ports';

const nginx = debianBinary('nginx', 'nginx');
const nghttpd = debianBinary('nghttpd', 'nghttp2-server');
const tinyproxy = debianBinary('tinyproxy', 'tinyproxy-bin');

describe('third-party servers', { skip: skipWithout(nginx, nghttpd, tinyproxy), timeout: 60_000 }, () => {
  const servers = new DebianServers();
  const { directory } = servers;
  const ports = { plain: 0, secure: 0, h2: 0, proxy: 0 };
  const big = 'moorline '.repeat(200_000);
  let authority: Authority;
  let transport: HttpTransport;

  before(async () => {
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    authority = new Authority();
    const { cert, key } = authority.issue(['IP:127.0.0.1', 'DNS:localhost']);
    const [certFile, keyFile] = [servers.file('cert.pem', cert), servers.file('key.pem', key)];
    servers.file('big.txt', big);
    servers.file('small.json', '{"small":true}');
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(directory, name)};`,
    );
    const config = servers.file(
      'nginx.conf',
      `daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
      events { worker_connections 512; }
      http {
        access_log off; root ${directory}; default_type application/octet-stream;
        types { application/json json; text/plain txt; }
        gzip on; gzip_min_length 10; gzip_types application/json text/plain; keepalive_requests 5;
        ${paths.join('\n')}
        server {
          listen 127.0.0.1:${ports.plain};
          listen 127.0.0.1:${ports.secure} ssl http2;
          ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};
          location = /busy { add_header Retry-After 7 always; return 503 'busy'; }
          location = /moved { return 308 /small.json; }
          location = /empty { return 204; }
          location = /early { client_max_body_size 10; proxy_pass http://127.0.0.1:1; }
        }
      }`,
    );
    await servers.start(
      nginx,
      ['-e', join(directory, 'error.log'), '-p', directory, '-c', config],
      [ports.plain, ports.secure],
    );
    await servers.start(nghttpd, ['-a', '127.0.0.1', '-d', directory, String(ports.h2), keyFile, certFile], [ports.h2]);
    const proxy = servers.file(
      'tinyproxy.conf',
      `Port ${ports.proxy}\nListen 127.0.0.1\nTimeout 20\nBasicAuth me secret\n`,
    );
    await servers.start(tinyproxy, ['-d', '-c', proxy], [ports.proxy]);
    transport = new HttpTransport({ tls: { ca: authority.cert } });
  });

  after(async () => {
    transport?.close();
    await servers.stop();
    authority?.remove();
  });

  const urls = () => ({
    'nginx, HTTP/1': `http://127.0.0.1:${ports.plain}`,
    'nginx, HTTP/2': `https://127.0.0.1:${ports.secure}`,
  });

  test('nginx: small and large, compressed and not, on connections it closes after five requests', async () => {
    for (const [name, url] of Object.entries(urls())) {
      const all = Array.from({ length: 40 }, () => transport.request({ url: `${url}/small.json` }));
      for (const answer of await Promise.all(all)) assert.deepEqual(answer.data, { small: true }, name);
      for (let turn = 0; turn < 12; turn++) {
        const posted = await transport.request({ url: `${url}/small.json` });
        assert.equal(posted.status, 200);
      }
      assert.equal((await transport.request({ url: `${url}/big.txt` })).text(), big, name);
      const streamed = await transport.request({ url: `${url}/big.txt`, stream: true });
      let length = 0;
      for await (const piece of streamed.stream) length += piece.length;
      assert.equal(length, big.length, name);
      const raw = await transport.request({ url: `${url}/big.txt`, settings: { decompress: false } });
      assert.equal(raw.headers['content-length'], String(big.length));
    }
  });

  test('nginx: refusals, redirects and nothing at all', async () => {
    for (const [name, url] of Object.entries(urls())) {
      const busy = await transport.request({ url: `${url}/busy` });
      assert.deepEqual(
        [busy.status, busy.ok, busy.headers['retry-after'], busy.text()],
        [503, false, '7', 'busy'],
        name,
      );
      const moved = await transport.request({ method: 'HEAD', url: `${url}/moved` });
      assert.deepEqual([moved.status, moved.text()], [200, ''], name);
      const empty = await transport.request({ url: `${url}/empty` });
      assert.deepEqual([empty.status, empty.text()], [204, ''], name);
      assert.equal((await transport.request({ url: `${url}/absent` })).status, 404);
      const early = await transport.request({ method: 'PUT', url: `${url}/early`, body: 'x'.repeat(1000) });
      assert.equal(early.status, 413, name);
    }
  });

  test('nghttpd: many streams on one connection', async () => {
    const own = new HttpTransport({ tls: { ca: authority.cert } });
    const url = `https://localhost:${ports.h2}`;
    const all = Array.from({ length: 200 }, (_, n) =>
      own.request({ url: `${url}/${n % 4 ? 'small.json' : 'big.txt'}` }),
    );
    (await Promise.all(all)).forEach((answer, n) => {
      assert.equal(answer.bytes().length, n % 4 ? '{"small":true}'.length : big.length);
    });
    assert.equal(own.stats().connections, 1);
    own.close();
  });

  test('tinyproxy: to both, with a login and without', async () => {
    for (const url of Object.values(urls())) {
      const proxy = `http://me:secret@127.0.0.1:${ports.proxy}`;
      const authenticated = new HttpTransport({ proxy, tls: { ca: authority.cert } });
      assert.deepEqual((await authenticated.request({ url: `${url}/small.json` })).data, { small: true });
      authenticated.close();
      const anonymous = new HttpTransport({ proxy: `http://127.0.0.1:${ports.proxy}` });
      await assert.rejects(anonymous.request({ url }), { kind: 'auth', delivery: 'none' });
      anonymous.close();
    }
  });
});
