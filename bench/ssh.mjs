// The way to a service through one sshd: moorline beside `ssh2`. Every byte of an answer is checked.
//
// What a user calls is measured, in two ways. Requests of HTTP: an HTTPConnection with a tunnel, and the stream of ssh2's
// `forwardOut` given to undici. Bytes, in the cases whose name ends in `local port`: a socket to the port
// that a tunnel opens, as moorline and tunnel-ssh have it, and beside them the stream of `forwardOut` itself, without a port.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

import { bench, load, skipBench } from './harness.mjs';
import { ASK_DOWNLOAD, download, LINE_BYTES } from './servers/ssh-target.mjs';
import { startSshd } from './servers/sshd.mjs';

const { HTTPConnection, SSHTunnel } = load('moorline');
const { default: ssh2 } = await import('ssh2');
const { createTunnel } = await import('tunnel-ssh');
const undici = await import('undici');

const HOST = '127.0.0.1';
/** The connections of an HTTPConnection by default; undici has as many. */
const CONNECTIONS = 10;

const sshd = await startSshd().catch((error) => skipBench('ssh', error.stderr?.toString() || error.message));
const target = fork(new URL('./servers/ssh-target.mjs', import.meta.url), { stdio: 'inherit' });
const [ports] = await once(target, 'message');
const expected = download();

const openTunnel = async (more) => {
  const { port, username, keyPath, fingerprint } = sshd;
  const login = { sshHost: HOST, sshPort: port, sshUsername: username, sshKeyPath: keyPath };
  const tunnel = new SSHTunnel({ ...login, hostKeyFingerprint: fingerprint, ...more });
  await tunnel.connect();
  return tunnel;
};

const openClient = async () => {
  const client = new ssh2.Client();
  client.connect({ host: HOST, port: sshd.port, username: sshd.username, privateKey: sshd.privateKey });
  await once(client, 'ready');
  // Without it, every round trip of ssh2 takes the 40 ms of a delayed acknowledgement.
  return client.setNoDelay(true);
};

/** Checks bytes as they come; throws at the first that is wrong. */
function checker(name) {
  let at = 0;
  return {
    check(chunk) {
      if (!chunk.equals(expected.subarray(at, at + chunk.length))) throw new Error(`${name} read wrong bytes at ${at}`);
      at += chunk.length;
    },
    isDone: () => at === expected.length,
  };
}

async function readDownload(name, stream) {
  const { check, isDone } = checker(name);
  for await (const chunk of stream) check(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
  if (!isDone()) throw new Error(`${name} read too few bytes`);
}

/** Contestants that make requests; `ask` gives the parsed answer to one, `read` the stream of the download. */
async function requesters() {
  const url = `http://${HOST}:${ports.http}`;
  const tunnel = await openTunnel();
  const connection = new HTTPConnection({ url, tunnel });
  const client = await openClient();
  const pool = new undici.Pool(url, {
    connections: CONNECTIONS,
    connect: (_, callback) => void client.forwardOut(HOST, 0, HOST, ports.http, callback),
  });
  return [
    {
      name: 'moorline',
      ask: async (path) => (await connection.request({ url: path })).data,
      read: async () => (await connection.request({ url: '/download', stream: true })).stream,
      close: async () => {
        await connection.disconnect();
        await tunnel.disconnect();
      },
    },
    {
      name: 'ssh2 + undici',
      ask: async (path) => (await pool.request({ path, method: 'GET' })).body.json(),
      read: async () => (await pool.request({ path: '/download', method: 'GET' })).body,
      close: async () => {
        await pool.close();
        client.end();
      },
    },
  ];
}

const asking = async () => {
  let number = 0;
  return (await requesters()).map(({ name, ask, close }) => ({
    name,
    close,
    async operation() {
      const path = `/${(number += 1)}`;
      if ((await ask(path)).path !== path) throw new Error(`${name} answered wrong`);
    },
  }));
};

const downloading = async () =>
  (await requesters()).map(({ name, read, close }) => ({
    name,
    close,
    operation: async () => readDownload(name, await read()),
  }));

/** Contestants that open a stream to the server of lines. */
async function streamers() {
  const tunnel = await openTunnel({ remoteHost: HOST, remotePort: ports.lines, localPort: 0 });
  const socket = async (port) => {
    const opened = connect({ port, host: HOST, noDelay: true });
    await once(opened, 'connect');
    return opened;
  };
  const login = { host: HOST, port: sshd.port, username: sshd.username, privateKey: sshd.privateKey };
  const [server, connection] = await createTunnel({ autoClose: false }, { host: HOST, port: 0 }, login, {
    srcAddr: HOST,
    srcPort: 0,
    dstAddr: HOST,
    dstPort: ports.lines,
  });
  connection.setNoDelay(true);
  const client = await openClient();
  return [
    { name: 'moorline', open: () => socket(tunnel.localPort), close: () => tunnel.disconnect() },
    {
      name: 'tunnel-ssh',
      open: () => socket(server.address().port),
      close: () => {
        server.close();
        connection.end();
      },
    },
    {
      name: 'ssh2',
      open: () =>
        new Promise((resolve, reject) =>
          client.forwardOut(HOST, 0, HOST, ports.lines, (error, stream) => (error ? reject(error) : resolve(stream))),
        ),
      close: () => client.end(),
    },
  ];
}

/** Reads from a stream until `isDone`, by `check`. */
function reading(stream, check, isDone) {
  return new Promise((resolve, reject) => {
    const onData = (chunk) => {
      try {
        check(chunk);
        if (!isDone()) return;
        stream.off('data', onData).off('error', reject);
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    stream.on('data', onData).on('error', reject);
  });
}

/** So many streams of each, which are opened beforehand; an operation uses one that is free. */
const streaming = (count, operate) => async () => {
  const contestants = await streamers();
  return Promise.all(
    contestants.map(async ({ name, open, close }) => {
      const free = await Promise.all(Array.from({ length: count }, open));
      const all = [...free];
      const operation = async () => {
        const stream = free.pop();
        await operate(name, stream);
        free.push(stream);
      };
      const end = () => {
        for (const stream of all)
          stream
            .removeAllListeners('error')
            .on('error', () => undefined)
            .destroy();
        return close();
      };
      return { name, operation, close: end };
    }),
  );
};

let lines = 0;
async function echoLine(name, stream) {
  const line = Buffer.from(String((lines += 1)).padStart(LINE_BYTES, '-'));
  let echoed = Buffer.alloc(0);
  const done = reading(
    stream,
    (chunk) => (echoed = echoed.length > 0 ? Buffer.concat([echoed, chunk]) : chunk),
    () => echoed.length >= LINE_BYTES,
  );
  stream.write(line);
  await done;
  if (!echoed.equals(line)) throw new Error(`${name} read a wrong line`);
}

async function readBytes(name, stream) {
  const { check, isDone } = checker(name);
  const done = reading(stream, check, isDone);
  stream.write(Buffer.of(ASK_DOWNLOAD));
  await done;
}

await bench('ssh', [
  { name: 'round trip c=1', operations: 1000, contestants: asking },
  { name: 'round trip c=64', operations: 3000, concurrency: 64, contestants: asking },
  { name: 'download 64 MB', operations: 1, contestants: downloading },
  { name: 'round trip c=1 local port', operations: 1000, contestants: streaming(1, echoLine) },
  { name: 'round trip c=64 local port', operations: 3000, concurrency: 64, contestants: streaming(64, echoLine) },
  { name: 'download 64 MB local port', operations: 1, contestants: streaming(1, readBytes) },
]);
target.disconnect();
sshd.stop();
