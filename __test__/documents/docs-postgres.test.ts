// The code of docs/services/postgres.md compiles under `tsc --strict` and does what its page says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { metricsText, PostgresConnectionManager, resetHealthMonitor, setLogger, SSHTunnel } from 'moorline';

import type { Replacement } from '../specification/edits';
import { compilePage } from '../specification/page';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const place = (from: string, to: string): Replacement => ({ reason: 'host, port, path or secret', from, to });

describe('docs/services/postgres.md', { skip: skipWithoutPostgres() || skipWithoutSshd() }, () => {
  let server: Postgres;
  let sshd: Sshd;
  before(async () => {
    setLogger({});
    [server, sshd] = await Promise.all([Postgres.start(), Sshd.start()]);
    server.psql('CREATE TABLE accounts (id int PRIMARY KEY, balance int); CREATE TABLE notes (text text UNIQUE)');
    server.psql("INSERT INTO accounts VALUES (1, 100), (2, 100); INSERT INTO notes VALUES ('moved')");
  });
  after(async () => {
    SSHTunnel.resetInstance();
    resetHealthMonitor();
    await Promise.all([server?.stop(), sshd?.stop()]);
    setLogger(undefined);
  });

  test('its code does what it says', async () => {
    const { host, port, user, password, database } = server.config;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const own = [place("process.env['DATABASE_URL']", JSON.stringify(url))];
    const { sshKeyPath, sshPort, sshUsername, hostKeyFingerprint } = sshd.config;
    const login = { sshHost: '127.0.0.1', sshPort, sshUsername, sshKeyPath, hostKeyFingerprint };
    const free = "import type { PostgresConnectionManager } from 'moorline';";
    const [first, tunnelled, transaction, health, fallback, metrics, log] = compilePage('docs/services/postgres.md', [
      { replace: own, exposes: ['rows', 'manager'] },
      {
        replace: [
          place(
            "'postgres.internal', remotePort: 5432",
            `'127.0.0.1', remotePort: ${port}, ...${JSON.stringify(login)}`,
          ),
          place(
            "user: 'app', password: 'secret', database: 'orders'",
            `host: '${host}', port: ${port}, user: '${user}', password: '${password}'`,
          ),
        ],
        prelude: 'const said: unknown[] = []; const console = { log: (text: unknown) => said.push(text) };',
        exposes: ['said'],
      },
      { prelude: free, scope: 'run(manager: PostgresConnectionManager)', exposes: ['moved'] },
      { prelude: free, scope: 'run(manager: PostgresConnectionManager)', exposes: ['status'] },
      {
        replace: [...own, place("process.env['STANDBY_URL']", JSON.stringify(url))],
        exposes: ['manager'],
      },
      { replace: own },
      { replace: own },
    ]);
    assert.deepEqual((await first!.load())['rows'], [{ name: 'Aurora' }]);
    assert.deepEqual((await tunnelled!.load())['said'], [42]);
    await using manager = new PostgresConnectionManager({ ...server.config, tunnel: false });
    assert.equal((await (await transaction!.load())['run'](manager)).moved, 10);
    assert.equal(server.psql('SELECT string_agg(balance::text, $$,$$ ORDER BY id) FROM accounts'), '90,110');
    assert.equal((await (await health!.load())['run'](manager)).status, 'healthy');
    const { manager: doubled } = await fallback!.load();
    assert.deepEqual((await doubled.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    await doubled.shutdown();
    await metrics!.load();
    assert.match(metricsText(), /^moorline_postgres_health_check_failures_total\{pool="[^"]+"\} 1$/m);
    await log!.load();
    const rows = server.psql('SELECT status FROM connection_logs ORDER BY created_at, id').split('\n');
    assert.deepEqual(rows, ['connection_acquired', 'connection_released']);
  });
});
