// What goes over the wire of a header that a caller gives, the same for every transport.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { type ConnectionConfig, HTTPConnection, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import { closing, Heard } from './support/connections';
import { converse } from './support/http';

const REFUSAL = 'HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

const TRANSPORTS = [
  { scheme: 'http', create: (config: ConnectionConfig) => new HTTPConnection(config) },
  { scheme: 'http', create: (config: ConnectionConfig) => new SSEConnection(config) },
  { scheme: 'ws', create: (config: ConnectionConfig) => new WebSocketConnection(config) },
];

before(() => setLogger({}));
after(() => setLogger(undefined));

for (const { scheme, create } of TRANSPORTS) {
  describe(create({ url: `${scheme}://h` }).constructor.name, () => {
    /** What a server reads of the header, byte by byte, and the errors that are told. */
    async function sent(t: Parameters<typeof closing>[0], value: string) {
      const heads: string[] = [];
      const server = await converse((socket, head) => {
        heads.push(head);
        socket.end(REFUSAL);
      });
      t.after(() => server.close());
      const url = server.url.replace('http', scheme);
      const customHeaders = { 'X-Name': value };
      const connection = closing(t, create({ url, customHeaders, retryCount: 0, monitoring: false }));
      const heard = new Heard(connection);
      let error: unknown;
      if (connection instanceof HTTPConnection) await connection.request({}).catch((thrown) => (error = thrown));
      else assert.equal(await connection.connect(), false);
      error ??= heard.of('error').at(-1)?.data?.['error'];
      return { values: heads.map((head) => /x-name: ?(.*)\r/i.exec(head)?.[1]), error: error as Error };
    }

    test('customHeaders are Latin-1, a byte for each character', async (t) => {
      assert.deepEqual((await sent(t, 'café')).values, ['café']);
    });

    test('customHeaders with a character beyond Latin-1 are refused before anything is sent', async (t) => {
      const { values, error } = await sent(t, '日本');
      assert.deepEqual(values, []);
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /headers\.x-name has a character beyond Latin-1/i);
    });
  });
}
