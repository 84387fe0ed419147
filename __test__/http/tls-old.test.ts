// Certificates of X.509 version 1: a server that has one is reached where certificates are not checked, and a client may
// have one.
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { after, before, describe, test } from 'node:test';

import { HTTPConnection, type MoorlineError, setLogger } from 'moorline';

import { Authority } from '../support/certificates';
import { closeAfter } from '../support/connections';
import { startServer } from '../support/http';
import { HttpFixture } from '../support/http-fixture';

const authority = new Authority();
const fixture = new HttpFixture();

before(() => setLogger({}));
after(() => {
  setLogger(undefined);
  authority.remove();
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const key of ['ec', 'rsa'] as const) {
    test(`a server that has one is reached at the level none, and at no other: ${version}, ${key}`, async (t) => {
      const certificate = { ...authority.issueOld(key), minVersion: version, maxVersion: version };
      const server = await fixture.autoClose(
        startServer(createServer(certificate, (_, response) => response.end('old'))),
      );
      const url = `https://localhost:${server.port}`;
      const common = { url, monitoring: false, retryCount: 0 };
      const open = closeAfter(t, new HTTPConnection({ ...common, securityLevel: 'none' }));
      assert.equal((await open.request({})).text(), 'old');
      const careful = closeAfter(t, new HTTPConnection({ ...common, tls: { ca: authority.cert } }));
      await assert.rejects(careful.request({}), (error: MoorlineError) => {
        assert.equal(error.kind, 'tls');
        assert.match((error.cause as Error).message, /UnsupportedCertVersion/);
        return true;
      });
    });
  }
}

describe('a client', () => {
  /** A server that wants a certificate of our authority, and tells whose it was. */
  const startServerWithDemands = () => {
    const demands = { requestCert: true, rejectUnauthorized: true, ca: authority.cert };
    const listening = createServer({ ...authority.issue(['DNS:localhost']), ...demands }, (request, response) =>
      response.end((request.socket as TLSSocket).getPeerCertificate().subject.CN),
    );
    return fixture.autoClose(startServer(listening));
  };

  for (const key of ['ec', 'rsa'] as const) {
    test(`may have one with a key of ${key}`, async (t) => {
      const { port } = await startServerWithDemands();
      const tls = { ca: authority.cert, ...authority.issueOld(key) };
      const url = `https://localhost:${port}`;
      const connection = closeAfter(t, new HTTPConnection({ url, monitoring: false, retryCount: 0, tls }));
      assert.equal((await connection.request({})).text(), 'localhost');
    });
  }

  test('whose key is that of another is refused with the reason', async (t) => {
    const { port } = await startServerWithDemands();
    const tls = { ca: authority.cert, cert: authority.issueOld().cert, key: authority.issueOld().key };
    const url = `https://localhost:${port}`;
    const connection = closeAfter(t, new HTTPConnection({ url, monitoring: false, retryCount: 0, tls }));
    await assert.rejects(connection.request({}), (error: MoorlineError) => {
      assert.match(error.message, /tls\.cert and tls\.key cannot be used/);
      assert.match((error.cause as Error).message, /KeyMismatch|inconsistent/i);
      return true;
    });
  });
});
