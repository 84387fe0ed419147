import { TursoPool } from 'moorline';

import type { Subject } from '../contract';

/** A pool of one connection to a database in memory. */
export const tursoPool: Subject = {
  name: 'TursoPool',
  service: 'libsql',
  start() {
    const pool = new TursoPool({ url: ':memory:', poolSize: 1, connectionTimeoutMs: 1000 });
    return {
      operate: (options) => pool.withConnection((client) => client.execute('SELECT 1'), options),
      fail: () => pool.withConnection((client) => client.execute('SELECT * FROM nowhere')),
      async hold() {
        const client = await pool.getConnection();
        return { finish: () => pool.releaseConnection(client) };
      },
      async stall(options) {
        const client = await pool.getConnection();
        try {
          await pool.getConnection(options);
        } finally {
          pool.releaseConnection(client);
        }
      },
      close: (patienceMs) => pool.drain(patienceMs),
      held: () => pool.getStats().inUse,
    };
  },
};
