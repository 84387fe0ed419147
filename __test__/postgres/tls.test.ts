// TLS with a PostgreSQL server: what each mode accepts is what psql accepts; certificates that change; cancellations.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';

import { SSHTunnel } from 'moorline';

import type * as Tunnel from '../../lib/ssh/tunnel';

import { Authority, type Certificate } from '../support/certificates';
import { debianBinary } from '../support/debian';
import { eventually } from '../support/eventually';
import { load, native } from '../support/native';
import { listen } from '../support/ports';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { Sshd, skipWithoutSshd } from '../support/sshd';

const { withTunnel } = load<typeof Tunnel>('ssh/tunnel');

type Options = Record<string, unknown>;

const psql = debianBinary('psql', 'postgresql');
const IS_SECURE = 'SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
/** An SSLRequest: its length and its code. */
const SSL_REQUEST = '0000000804d2162f';
const MODES = [undefined, 'disable', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** The first value of the first row. */
const query = async (pool: unknown, text: string, timeoutMs?: number): Promise<string> => {
  const result = await native.postgresQuery(pool as never, undefined, [text, undefined, true], timeoutMs);
  return (JSON.parse(String(result).split('\n')[1]!) as { values: string[] }).values[0]!;
};

/** The sessions that sleep for so long. */
const sleeping = (seconds: number): string =>
  `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(${seconds})'`;

const open = (options: Options) => native.postgresOpen(options, {}, () => undefined);

/** What comes of it: how the connection is, or that there is none. */
async function connectBy(connectionString: string, tunnel?: SSHTunnel): Promise<string> {
  const pool = open(withTunnel({ connectionString, connectionTimeoutMillis: 10_000, tunnel }));
  try {
    return (await query(pool, IS_SECURE)) === 'true' ? 'TLS' : 'plain';
  } catch {
    return 'refused';
  } finally {
    await native.postgresDrain(pool, 1_000);
  }
}

/** What comes of it in libpq. */
function connectByPsql(connectionString: string): string {
  if (!('path' in psql)) throw new Error(psql.missing);
  // Neither a password file nor certificates of the user's.
  const env = { ...psql.env, HOME: '/nonexistent', PATH: process.env['PATH'] };
  const { status, stdout } = spawnSync(psql.path, [connectionString, '-XAtc', IS_SECURE], { env, encoding: 'utf8' });
  if (status !== 0) return 'refused';
  return stdout.trim() === 'true' ? 'TLS' : 'plain';
}

describe('TLS with PostgreSQL', { skip: skipWithoutPostgres() }, () => {
  const [authority, other] = [new Authority(), new Authority()];
  const directory = mkdtempSync(join(tmpdir(), 'moorline-postgres-tls-'));
  const good = authority.issue(['IP:127.0.0.1']);
  let postgres: Postgres;
  let sshd: Sshd | undefined;
  /** The ways to the server: directly, and through a tunnel where there is an sshd. */
  const ways: (SSHTunnel | undefined)[] = [undefined];

  /** Writes a file at once, as who renews certificates does. */
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    // As libpq wants a key to be.
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return path;
  };

  const writePair = (name: string, pair: Certificate) => ({
    cert: write(`${name}.crt`, pair.cert),
    key: write(`${name}.key`, pair.key),
  });

  /** The certificate that the server shows now. */
  const shown = (): string => {
    const args = ['s_client', '-connect', `127.0.0.1:${postgres.port}`, '-starttls', 'postgres'];
    const text = execFileSync('openssl', args, { input: '', encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
    return new X509Certificate(text.slice(text.indexOf('-----BEGIN'))).fingerprint256;
  };

  /** Has the server show this certificate, and trust these authorities. */
  const present = async ({ cert, key }: Certificate, trusted = authority.cert): Promise<void> => {
    postgres.file('data/server.crt', cert);
    postgres.file('data/server.key', key);
    postgres.file('data/ca.crt', trusted);
    postgres.psql('SELECT pg_reload_conf()');
    await eventually(() => shown() === new X509Certificate(cert).fingerprint256, 10_000);
  };

  const base = (port = postgres.port, user = 'anybody') =>
    `host=127.0.0.1 port=${port} user=${user} password=pw dbname=postgres`;

  before(async () => {
    const host = (kind: string, user: string, rest = '') => `${kind} all ${user} 127.0.0.1/32 scram-sha-256 ${rest}`;
    postgres = await Postgres.start({
      hba: [
        'local all all trust',
        host('hostssl', 'certified', 'clientcert=verify-ca'),
        host('hostssl', 'either', 'clientcert=verify-ca'),
        host('hostnossl', 'either'),
        host('host', 'anybody'),
      ],
    });
    for (const user of ['certified', 'either', 'anybody']) postgres.psql(`CREATE USER ${user} PASSWORD 'pw'`);
    postgres.file('data/server.crt', good.cert);
    postgres.file('data/server.key', good.key);
    postgres.file('data/ca.crt', authority.cert);
    postgres.psql("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'");
    if (skipWithoutSshd() !== false) return;
    sshd = await Sshd.start();
    ways.push(new SSHTunnel({ ...sshd.config }));
  });

  after(async () => {
    for (const tunnel of ways) await tunnel?.disconnect();
    await sshd?.stop();
    await postgres?.stop();
    for (const one of [authority, other]) one.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Compares all modes on all ways, with these authorities and these certificates of ours. */
  async function compare(
    user: string,
    roots: (string | undefined)[],
    clients: ({ cert: string; key: string } | undefined)[],
  ) {
    const rows = MODES.flatMap((mode) => roots.flatMap((root) => clients.map((client) => ({ mode, root, client }))));
    const strings = rows.map(({ mode, root, client }) =>
      [
        base(postgres.port, user),
        mode && `sslmode=${mode}`,
        root && `sslrootcert=${root}`,
        client && `sslcert=${client.cert} sslkey=${client.key}`,
      ]
        .filter(Boolean)
        .join(' '),
    );
    for (const string of strings) {
      const expected = connectByPsql(string);
      for (const way of ways)
        assert.equal(await connectBy(string, way), expected, `${string}${way ? ' (tunnel)' : ''}`);
    }
  }

  test('a server without TLS is accepted as psql accepts it', async () => {
    await compare('anybody', [undefined, authority.file], [undefined]);
  });

  test('a self-signed certificate is accepted as psql accepts it', async () => {
    postgres.psql('ALTER SYSTEM SET ssl = on');
    for (const extension of [['-addext', 'subjectAltName=IP:127.0.0.1'], []]) {
      const [cert, key] = [join(directory, 'self.crt'), join(directory, 'self.key')];
      const kind = ['-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1', '-days', '2'];
      execFileSync('openssl', ['req', '-x509', ...kind, ...extension, '-keyout', key, '-out', cert], { stdio: 'pipe' });
      await present({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') });
      const others = extension.length > 0 ? [undefined, authority.file] : [];
      await compare('anybody', [...others, cert], [undefined]);
    }
  });

  test('a certificate of a private authority is accepted as psql accepts it', async () => {
    await present(good);
    await compare('anybody', [undefined, authority.file, other.file], [undefined]);
  });

  test('a certificate for another name is accepted as psql accepts it', async () => {
    await present(authority.issue(['DNS:db.test']));
    await compare('anybody', [undefined, authority.file, other.file], [undefined]);
  });

  test('a certificate of ours that is asked for is accepted as in psql', async () => {
    await present(good);
    const ours = writePair('ours', authority.issue(['DNS:ours'], 'clientAuth'));
    const strange = writePair('strange', other.issue(['DNS:ours'], 'clientAuth'));
    for (const user of ['certified', 'either']) {
      await compare(user, [undefined, authority.file], [undefined, ours, strange]);
    }
  });

  test(
    'through a tunnel a login is bound to TLS, and statements are cancelled',
    { skip: skipWithoutSshd() },
    async () => {
      await present(good);
      const tunnel = ways[1];
      assert.equal(await connectBy(`${base()} sslmode=require channel_binding=require`, tunnel), 'TLS');
      const connectionString = `${base()} sslmode=verify-full sslrootcert=${authority.file}`;
      const pool = open(withTunnel({ connectionString, connectionTimeoutMillis: 10_000, tunnel }));
      await assert.rejects(query(pool, 'SELECT pg_sleep(61)', 500));
      await eventually(() => postgres.psql(sleeping(61)) === '0', 5_000);
      await native.postgresDrain(pool, 1_000);
    },
  );

  test('a login is bound to TLS where that is required', async () => {
    await present(good);
    const required = `${base()} sslmode=require channel_binding=require`;
    assert.equal(await connectBy(required), 'TLS');
    assert.equal(await connectBy(`${base()} sslmode=disable channel_binding=require`), 'refused');
    // A TLS of somebody between, whose certificate is not checked: the binding finds out.
    const between = createTlsServer(other.issue(['IP:127.0.0.1']), (client) => {
      const server = connect(postgres.port, '127.0.0.1');
      client.on('error', () => server.destroy());
      server.on('error', () => client.destroy());
      server.pipe(client).pipe(server);
    });
    const port = await listen(between);
    const front = createServer((client) => {
      // It takes the question about TLS, and has a session of its own with the client.
      client.once('data', () => client.write('S', () => relay(client, port)));
      client.on('error', () => undefined);
    });
    try {
      const through = `${base(await listen(front))} sslmode=require`;
      assert.equal(await connectBy(`${through} channel_binding=disable`), 'plain', 'the server knows of no TLS');
      assert.equal(await connectBy(`${through} channel_binding=require`), 'refused');
    } finally {
      front.close();
      between.close();
    }
  });

  test('TLS that is spoken at once needs a server that chose the protocol', async () => {
    for (const [protocols, expected] of [
      [['postgresql'], 'plain'],
      [undefined, 'refused'],
    ] as const) {
      const options = { ...good, ...(protocols && { ALPNProtocols: [...protocols] }) };
      const server = createTlsServer(options, (client) => relay(client, postgres.port));
      try {
        const direct = `${base(await listen(server))} sslnegotiation=direct sslrootcert=${authority.file}`;
        assert.equal(await connectBy(`${direct} sslmode=verify-full`), expected, String(protocols));
      } finally {
        server.close();
      }
    }
  });

  test('a statement is cancelled over TLS, too', async () => {
    await present(good);
    const first: string[] = [];
    const proxy = createServer((client) => {
      client.once('data', (bytes) => first.push(bytes.toString('hex').slice(0, 16)));
      relay(client, postgres.port);
    });
    const port = await listen(proxy);
    const pool = open({ connectionString: `${base(port)} sslmode=verify-full sslrootcert=${authority.file}` });
    try {
      await assert.rejects(query(pool, 'SELECT pg_sleep(60)', 200));
      await eventually(() => postgres.psql(sleeping(60)) === '0', 5_000);
      assert.equal(await query(pool, IS_SECURE), 'true');
      assert.ok(first.length >= 2, 'a session and a cancellation');
      assert.ok(
        first.every((bytes) => bytes === SSL_REQUEST),
        first.join(),
      );
    } finally {
      await native.postgresDrain(pool, 1_000);
      proxy.close();
    }
  });

  test('certificates are renewed on disk under load without a failed call', async () => {
    await present(good);
    const ca = write('trusted.crt', authority.cert);
    const { cert, key } = writePair('renewed', authority.issue(['DNS:ours'], 'clientAuth'));
    const options = { ...postgres.config, user: 'certified', password: 'pw', ssl: { ca, cert, key } };
    const pools = ways.map((tunnel) =>
      open(withTunnel({ ...options, max: 4, connectionTimeoutMillis: 10_000, ...(tunnel && { tunnel }) })),
    );
    const serial = 'SELECT client_serial::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const seen = pools.map(() => new Set<string>());
    const running = { now: true };
    const load = Array.from({ length: 4 * pools.length }, async (_, worker) => {
      const [pool, serials] = [pools[worker % pools.length]!, seen[worker % pools.length]!];
      while (running.now) {
        const lease = await native.postgresAcquire(pool, undefined, undefined);
        const result = await native.postgresQuery(pool, lease, [serial, undefined, true], 5_000);
        serials.add((JSON.parse(String(result).split('\n')[1]!) as { values: string[] }).values[0]!);
        // Each connection is a new one.
        native.postgresRelease(pool, lease, false);
      }
    });
    try {
      const both = authority.cert + other.cert;
      write('trusted.crt', both);
      const renewed = other.issue(['DNS:ours'], 'clientAuth');
      // The files are looked at once in a second; a server's reload comes when its clients know the new authority.
      await eventually(() => seen.every(({ size }) => size === 1), 10_000);
      const looked = performance.now();
      await eventually(() => performance.now() - looked > 1_500, 5_000);
      await present(other.issue(['IP:127.0.0.1']), both);
      writePair('renewed', renewed);
      const expected = BigInt(`0x${new X509Certificate(renewed.cert).serialNumber}`).toString();
      await eventually(() => seen.every((serials) => serials.has(expected)), 10_000);
    } finally {
      running.now = false;
      const settled = await Promise.allSettled(load);
      for (const pool of pools) await native.postgresDrain(pool, 1_000);
      assert.deepEqual(
        settled.filter(({ status }) => status === 'rejected'),
        [],
      );
    }
  });
});

/** Passes bytes on, both ways, until either end has gone. */
function relay(client: Socket, port: number): void {
  const server = connect(port, '127.0.0.1');
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
  client.on('close', () => server.destroy());
  client.pipe(server).pipe(client);
}
