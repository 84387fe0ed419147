import { TursoPool } from 'moorline';

import type { Subject } from '../contract';

/** A pool of connections to one database in memory. */
export const tursoPool: Subject = {
  name: 'TursoPool',
  service: 'libsql',
  start(room = 1) {
    const pool = new TursoPool({ url: ':memory:', poolSize: room, connectionTimeoutMs: 1000 });
    return {
      operate: (options) => pool.withConnection((client) => client.execute('SELECT 1'), options),
      fail: () => pool.withConnection((client) => client.execute('SELECT * FROM nowhere')),
      async hold() {
        const client = await pool.getConnection();
        return { finish: () => pool.releaseConnection(client) };
      },
      async stall(options) {
        const held = await Promise.all(Array.from({ length: room }, () => pool.getConnection()));
        try {
          await pool.getConnection(options);
        } finally {
          for (const client of held) pool.releaseConnection(client);
        }
      },
      close: (patienceMs) => pool.drain(patienceMs),
      held: () => pool.getStats().inUse,
    };
  },
};
