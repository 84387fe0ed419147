// The code of docs/services/postgres.md compiles under `tsc --strict` and does what its page says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { metricsText } from 'moorline';

import { compilePage } from '../specification/page';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

describe('docs/services/postgres.md', { skip: skipWithoutPostgres() }, () => {
  let server: Postgres;
  before(async () => (server = await Postgres.start()));
  after(() => server?.stop());

  test('its code does what it says', async () => {
    const { host, port, user, password, database } = server.config;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const replace = [
      { reason: 'host, port, path or secret', from: "process.env['DATABASE_URL']", to: JSON.stringify(url) } as const,
    ];
    const [metrics, log] = compilePage('docs/services/postgres.md', [{ replace }, { replace }]);
    await metrics!.load();
    assert.match(metricsText(), /^moorline_postgres_health_check_failures_total\{pool="[^"]+"\} 1$/m);
    await log!.load();
    const rows = server.psql('SELECT status FROM connection_logs ORDER BY created_at, id').split('\n');
    assert.deepEqual(rows, ['connection_acquired', 'connection_released']);
  });
});
