// A libSQL server behind TLS: the version of HTTP that it speaks, and the connections that a pool leaves.
import assert from 'node:assert/strict';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import type { Server } from 'node:tls';
import { after, before, describe, test } from 'node:test';

import { type LibsqlError, TursoPool } from 'moorline';

import { Authority } from '../support/certificates';
import { eventually } from '../support/eventually';
import { listen } from '../support/ports';

const authority = new Authority();
const certificate = authority.issue(['IP:127.0.0.1']);
const result = { cols: [{ name: 'one' }], rows: [[{ type: 'integer', value: '1' }]], affected_row_count: 0 };
const ANSWER = JSON.stringify({
  baton: null,
  base_url: null,
  results: [
    { type: 'ok', response: { type: 'execute', result } },
    { type: 'ok', response: { type: 'get_autocommit', is_autocommit: true } },
  ],
});

interface SeenRequest {
  httpVersion: string;
  headers: { authorization?: string | undefined };
}

/** Opens a pool, runs 20 statements at once, closes it, and returns what the server saw. */
async function traffic(create: (onRequest: (request: SeenRequest, respond: () => unknown) => void) => Server) {
  const seen: SeenRequest[] = [];
  const open = { now: 0, inAll: 0 };
  const server = create((request, respond) => {
    seen.push(request);
    respond();
  });
  server.on('secureConnection', (socket) => {
    open.now++;
    open.inAll++;
    socket.on('close', () => open.now--);
  });
  const url = `libsql://127.0.0.1:${await listen(server)}`;
  const pool = new TursoPool({ url, authToken: 'hunter2', poolSize: 20 });
  try {
    const rows = await Promise.all(Array.from({ length: 20 }, () => pool.execute('SELECT 1 AS one')));
    assert.ok(rows.every((read) => read.rows[0]!['one'] === 1));
    await pool.drain();
    await eventually(() => open.now === 0);
  } finally {
    await pool.drain(0);
    server.close();
  }
  assert.ok(seen.every(({ headers }) => headers.authorization === 'Bearer hunter2'));
  return { versions: [...new Set(seen.map(({ httpVersion }) => httpVersion))], connections: open.inAll };
}

describe('a server behind TLS', () => {
  // It is read when the first connection is made, and process.env is the environment of the process.
  before(() => void (process.env['NODE_EXTRA_CA_CERTS'] = authority.file));
  after(() => authority.remove());

  test('is spoken to over HTTP/2 on one connection where it speaks that', async () => {
    const seen = await traffic((onRequest) =>
      createSecureServer(certificate, (request, response) => {
        onRequest(request, () => response.end(ANSWER));
      }),
    );
    assert.deepEqual(seen, { versions: ['2.0'], connections: 1 });
  });

  test('is spoken to over HTTP/1.1 otherwise', async () => {
    const seen = await traffic((onRequest) =>
      createServer(certificate, (request, response) => {
        request.resume().on('end', () => onRequest(request, () => response.end(ANSWER)));
      }),
    );
    assert.deepEqual(seen.versions, ['1.1']);
  });

  test('is refused, before anything is sent, when its certificate is not trusted', async () => {
    const stranger = new Authority();
    const server = createServer(stranger.issue(['IP:127.0.0.1']), () => assert.fail('a request came'));
    const pool = new TursoPool({ url: `https://127.0.0.1:${await listen(server)}` });
    const error = (await pool.execute('SELECT 1').catch((caught: LibsqlError) => caught)) as LibsqlError;
    await pool.drain();
    server.close();
    stranger.remove();
    // The two authorities have one name, so that it is the signature that is wrong.
    const seen = [error.kind, error.code, error.delivery, error.detail?.['phase']];
    assert.deepEqual(seen, ['tls', 'CERT_SIGNATURE_FAILURE', 'none', 'tls']);
  });
});
