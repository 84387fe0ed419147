import {
  PostgresConnectionManager,
  type PostgresManagerConfig,
  setLogger,
  SSHTunnel,
  type TunnelConfig,
} from 'moorline';

import type { RunningSubject, Subject } from '../contract';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';
import { skipWithoutSshd, Sshd } from '../../support/sshd';

const lacks = { refuse: 'it refuses what comes after its close' };

/** What is in the fragment of a URL. */
interface Places {
  database: PostgresManagerConfig;
  tunnel?: TunnelConfig;
}

/** A pool of connections to a server of this machine; its options are in the fragment of the URL. */
export const postgresConnectionManager: Subject = {
  name: 'PostgresConnectionManager',
  service: 'postgres',
  lacks,
  skipReason: skipWithoutPostgres,
  async serve() {
    const server = await Postgres.start({ settings: { max_connections: 200 } });
    return { url: urlOf({ database: server.config }), stop: () => server.stop() };
  },
  start: (url, concurrency) => start(url, concurrency),
};

/** The same through an SSH server. */
export const tunnelledPostgresConnectionManager: Subject = {
  name: 'PostgresConnectionManager through a tunnel',
  service: 'postgres',
  lacks,
  skipReason: () => skipWithoutPostgres() || skipWithoutSshd(),
  async serve() {
    const [server, sshd] = await Promise.all([Postgres.start({ settings: { max_connections: 200 } }), Sshd.start()]);
    return {
      url: urlOf({ database: server.config, tunnel: sshd.config }),
      stop: async () => void (await Promise.all([server.stop(), sshd.stop()])),
    };
  },
  start: (url, concurrency) => start(url, concurrency),
};

const urlOf = (places: Places) => `postgres://127.0.0.1#${encodeURIComponent(JSON.stringify(places))}`;

async function start(url: string, concurrency = 1): Promise<RunningSubject> {
  setLogger({});
  const { database, tunnel: config } = JSON.parse(decodeURIComponent(new URL(url).hash.slice(1))) as Places;
  const tunnel = config !== undefined && tunnelTo(config);
  const manager = new PostgresConnectionManager({
    ...database,
    tunnel,
    max: concurrency,
    connectionTimeoutMillis: 1000,
    leakAfterMs: Infinity,
  });
  // A login takes its time, which is nobody's in what is tested.
  const opened = await Promise.all(Array.from({ length: concurrency }, () => manager.connect({ timeoutMs: 10_000 })));
  for (const client of opened) client.release();
  return {
    operate: (options) => manager.query({ text: 'SELECT $1::int AS n', values: [1], ...options }),
    fail: () => manager.query('SELECT * FROM nowhere'),
    async stall(options) {
      const held = await Promise.all(Array.from({ length: concurrency }, () => manager.connect()));
      try {
        await manager.connect(options);
      } finally {
        for (const client of held) client.release();
      }
    },
    async hold() {
      const client = await manager.connect();
      return { finish: () => client.release() };
    },
    heldCount: () => manager.stats().inUse,
    close: (timeoutMs) => manager.shutdown(timeoutMs),
  };
}

/** One for all managers of this process: it outlives them. */
let shared: SSHTunnel | undefined;

function tunnelTo(config: TunnelConfig): SSHTunnel {
  const isSame = shared?.options().sshPort === config.sshPort;
  return (shared = isSame ? shared! : new SSHTunnel({ ...config, maxPoolSize: 100 }));
}
