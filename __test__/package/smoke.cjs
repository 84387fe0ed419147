// What a user does first with the installed package, in plain JavaScript that every runtime understands. Prints
// `ok` at its end, and must then exit by itself.
const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const { createServer } = require('node:http');

const moorline = require('moorline');

async function checkPool() {
  const pool = new moorline.TursoPool({ url: ':memory:', poolSize: 3 });
  await pool.execute('CREATE TABLE ship (name TEXT, berth INTEGER)');
  await Promise.all(
    ['Aurora', 'Borea', 'Cirrus', 'Dione'].map((name, berth) =>
      pool.withConnection((client) => client.execute('INSERT INTO ship VALUES (?, ?)', [name, berth])),
    ),
  );
  const { rows } = await pool.execute('SELECT name FROM ship WHERE berth > :berth ORDER BY berth', { berth: 1 });
  assert.deepEqual(
    rows.map((row) => row.name),
    ['Cirrus', 'Dione'],
  );
  await assert.rejects(pool.execute('SELECT * FROM nowhere'), { kind: 'rejected', code: 'SQLITE_ERROR' });
  await pool.drain();
  await assert.rejects(pool.execute('SELECT 1'), moorline.MoorlineError);
}

function checkWebhook() {
  const verifier = new moorline.WebhookVerifier({ secret: 'a secret' });
  const signature = verifier.sign('payload');
  assert.equal(verifier.verify('payload', signature).valid, true);
  assert.equal(verifier.verify('Payload', signature).valid, false);
}

async function checkHealth() {
  const monitor = new moorline.HealthMonitor();
  monitor.register('up', () => true);
  monitor.register('down', () => Promise.reject(new Error('no answer')), false);
  const report = await monitor.checkAll();
  assert.equal(report.status, 'degraded');
  assert.equal(report.checks[1].error, 'no answer');
}

async function checkForecast() {
  delete process.env.NIXTLA_API_KEY;
  const client = new moorline.NixtlaClient({ fallback: 'local' });
  const month = (index) => new Date(Date.UTC(2015, index, 1)).toISOString().slice(0, 10);
  const timeseries = Array.from({ length: 72 }, (_, index) => ({
    timestamp: month(index),
    value: 100 + index + 20 * Math.sin((index * Math.PI) / 6),
  }));
  const { predictions, modelInfo } = await client.forecast({ timeseries, horizon: 6 });
  assert.equal(predictions.length, 6);
  assert.ok(predictions.every(({ value }) => value > 130 && value < 220));
  assert.equal(modelInfo.source, 'local');
}

/** Answers requests, and sends one event to whoever asks for events. */
function answer(request, response) {
  const isStream = request.url === '/events';
  response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
  if (isStream) response.write('id: 1\ndata: {"berth":7}\n\n');
  else response.end('{"ships":2}');
}
/** Opens a WebSocket, and sends one message. */
function upgrade(request, socket) {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  const text = '{"berth":8}';
  socket.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]));
}

async function checkConnections() {
  const server = createServer(answer).on('upgrade', upgrade);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const host = `127.0.0.1:${server.address().port}`;
  const api = new moorline.HTTPConnection({ url: `http://${host}` });
  assert.equal((await api.request({ url: '/ships' })).data.ships, 2);
  const feed = new moorline.SSEConnection({ url: `http://${host}/events` });
  assert.equal(await feed.connect(), true);
  assert.equal((await feed.receive()).json().berth, 7);
  const socket = new moorline.WebSocketConnection({ url: `ws://${host}` });
  assert.equal(await socket.connect(), true);
  assert.equal((await socket.receive()).berth, 8);
  server.closeAllConnections();
  server.close();
  await Promise.all([api, feed, socket].map((connection) => connection.disconnect()));
}

async function checkPolicy() {
  const policy = new moorline.Policy({ retry: { baseDelayMs: 1 }, breaker: true });
  assert.equal(await policy.run(({ attempt }) => (attempt < 3 ? Promise.reject(new Error('not yet')) : attempt)), 3);
}

/** Errors and `inspect` show the name of a class: it must not have got another one on its way into the package. */
function checkNames() {
  for (const [name, value] of Object.entries(moorline)) if (typeof value === 'function') assert.equal(value.name, name);
}

(async () => {
  checkNames();
  await checkPool();
  checkWebhook();
  await checkHealth();
  await checkForecast();
  await checkConnections();
  await checkPolicy();
  console.log('ok');
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
