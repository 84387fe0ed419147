// Tokens for servers: one that cannot be sent is refused by its name, and never shown.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { TursoPool, type TursoPoolConfig } from 'moorline';
import { createClient } from 'moorline/libsql';

const url = 'libsql://db.example.com';
const open = {
  createClient: (config: TursoPoolConfig) => createClient({ ...config }),
  TursoPool: (config: TursoPoolConfig) => new TursoPool(config),
};

for (const [name, make] of Object.entries(open)) {
  describe(`${name} refuses a token`, () => {
    for (const token of ['marker\nmarker', 'marker\r\nX-Evil: 1', 'marker marker', 'märker', 'marker\0']) {
      const refused = (message: string) => (error: Error & { code?: string }) => {
        assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_VALUE']);
        assert.equal(error.message, message);
        return true;
      };

      test(`as authToken: ${JSON.stringify(token)}`, () => {
        assert.throws(
          () => make({ url, authToken: token }),
          refused('options.authToken must be a token of visible ASCII characters'),
        );
      });

      test(`in the query of its URL: ${JSON.stringify(token)}`, () => {
        assert.throws(
          () => make({ url: `${url}?authToken=${encodeURIComponent(token)}` }),
          refused('options.url has an "authToken" that is not a token of visible ASCII characters'),
        );
      });
    }
  });
}
