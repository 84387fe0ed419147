import { TursoPool } from 'moorline';

import type { RunningSubject, Subject } from '../contract';
import { skipWithoutSqld, startSqld } from '../../support/servers';

const lacks = { refuse: 'it refuses what comes after its close' };

/** A pool of connections to one database in memory. */
export const tursoPool: Subject = {
  name: 'TursoPool',
  service: 'libsql',
  lacks,
  start: (_, concurrency) => start(':memory:', concurrency),
};

/** A pool of streams of a server. */
export const remoteTursoPool: Subject = {
  name: 'TursoPool of a server',
  service: 'libsql',
  lacks,
  skipReason: skipWithoutSqld,
  serve: () => startSqld(),
  start,
};

function start(url: string, concurrency = 1): RunningSubject {
  const pool = new TursoPool({ url, poolSize: concurrency, connectionTimeoutMs: 1000 });
  return {
    operate: (options) => pool.withConnection((client) => client.execute('SELECT 1'), options),
    fail: () => pool.withConnection((client) => client.execute('SELECT * FROM nowhere')),
    async stall(options) {
      const held = await Promise.all(Array.from({ length: concurrency }, () => pool.getConnection()));
      try {
        await pool.getConnection(options);
      } finally {
        for (const client of held) pool.releaseConnection(client);
      }
    },
    async hold() {
      const client = await pool.getConnection();
      return { finish: () => pool.releaseConnection(client) };
    },
    heldCount: () => pool.getStats().inUse,
    close: (timeoutMs) => pool.drain(timeoutMs),
  };
}
