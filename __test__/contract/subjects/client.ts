import { createClient } from 'moorline/libsql';

import type { Subject } from '../contract';

/** The client with the API of `@libsql/client`, of a database in memory. */
export const client: Subject = {
  name: 'createClient',
  service: 'libsql',
  lacks: {
    gracefulClose: 'its close is synchronous, and interrupts at once what is going on',
    refuse: 'it refuses what comes after its close',
  },
  start(_, concurrency = 1) {
    const client = createClient({ url: ':memory:', concurrency, connectionTimeoutMs: 1000 });
    return {
      operate: (options) => client.execute('SELECT 1', undefined, options),
      fail: () => client.execute('SELECT * FROM nowhere'),
      async stall(options) {
        const held = await Promise.all(Array.from({ length: concurrency }, () => client.transaction('deferred')));
        try {
          await client.execute('SELECT 1', undefined, options);
        } finally {
          for (const transaction of held) transaction.close();
        }
      },
      async hold() {
        const transaction = await client.transaction('deferred');
        return { finish: () => transaction.close() };
      },
      close: async () => client.close(),
    };
  },
};
