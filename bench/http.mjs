// JSON over HTTP/1.1 keep-alive from one server process, by the usual clients. Every answer is parsed and checked.
import { fork } from 'node:child_process';
import { Agent as HttpAgent, createServer } from 'node:http';

import { bench, load, skipBench } from './harness.mjs';

const KB = 1024;

/** JSON of about so many bytes, with a key to check. */
function document(bytes) {
  const rows = [];
  for (let id = 0, size = 40; size < bytes; id++) {
    const row = { id, name: `user ${id}`, email: `user${id}@example.com`, active: id % 2 === 0 };
    size += JSON.stringify(row).length + 1;
    rows.push(row);
  }
  return { key: 'right', count: rows.length, rows };
}

if (process.argv[2] === 'server') {
  const bodies = {
    '/1': Buffer.from(JSON.stringify(document(KB))),
    '/100': Buffer.from(JSON.stringify(document(100 * KB))),
  };
  const server = createServer((request, response) => {
    const body = bodies[request.url];
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json', 'content-length': body?.length ?? 0 });
    response.end(body);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit(0));
} else {
  const server = fork(new URL(import.meta.url), ['server'], { stdio: 'inherit' });
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve).once('exit', () => reject(new Error('its server ended')));
  }).catch((error) => skipBench('http', error.message));
  const base = `http://127.0.0.1:${port}`;

  const { HTTPConnection } = load('moorline');
  const { httpEngine } = await import('./engines.mjs');
  const undici = await import('undici');
  const { default: axios } = await import('axios');
  const { default: got } = await import('got');

  async function contestants(path, count) {
    const url = `${base}${path}`;
    const check = (name, { key, rows }) => {
      if (key !== 'right' || rows.length !== count) throw new Error(`${name} answered wrong`);
    };
    const connection = new HTTPConnection({ url: base });
    const engine = httpEngine();
    const agent = new HttpAgent({ keepAlive: true });
    const client = axios.create({ httpAgent: agent });
    const gotClient = got.extend({ agent: { http: agent }, retry: { limit: 0 } });
    return [
      {
        name: 'moorline',
        operation: async () => check('moorline', (await connection.request({ url: path })).data),
        close: () => connection.disconnect(),
      },
      { name: 'engine', operation: async () => check('engine', await engine.read(url)), close: engine.close },
      {
        name: 'undici.request',
        operation: async () => check('undici', await (await undici.request(url)).body.json()),
      },
      { name: 'fetch', operation: async () => check('fetch', await (await fetch(url)).json()) },
      { name: 'axios', operation: async () => check('axios', (await client.get(url)).data) },
      { name: 'got', operation: async () => check('got', await gotClient(url).json()), close: () => agent.destroy() },
    ];
  }

  const benchCase = (name, path, size, concurrency, operations) => ({
    name,
    concurrency,
    operations,
    contestants: () => contestants(path, document(size).count),
  });
  await bench('http', [
    benchCase('1 KB c=1', '/1', KB, 1, 2000),
    benchCase('1 KB c=16', '/1', KB, 16, 4000),
    benchCase('1 KB c=128', '/1', KB, 128, 5000),
    benchCase('100 KB c=16', '/100', 100 * KB, 16, 600),
  ]);
  await undici.getGlobalDispatcher().close();
  server.disconnect();
}
