// Taking a free connection and giving it back. Nothing is dialled while the clock runs, so this is the price
// of the pool itself.
import genericPool from 'generic-pool';
import tarn from 'tarn';

import { bench, load } from './harness.mjs';

const { TursoPool } = load('moorline');
const SIZE = 5;

/** Each pool has opened a connection before it is measured, and must still have just that one at the end. */
async function contestants() {
  const ours = new TursoPool({ url: ':memory:', poolSize: SIZE });
  const generic = genericPool.createPool(
    { create: async () => ({ open: true }), destroy: async () => undefined },
    { max: SIZE },
  );
  const theirs = new tarn.Pool({
    create: async () => ({ open: true }),
    destroy: () => undefined,
    validate: () => true,
    min: 0,
    max: SIZE,
  });
  const check = (connection) => {
    if (!connection) throw new Error('no connection was handed out');
  };
  const checkTotal = (total) => {
    if (total !== 1) throw new Error(`${total} connections for one borrower at a time`);
  };
  return [
    {
      name: 'moorline',
      async operation() {
        const client = await ours.getConnection();
        check(client);
        ours.releaseConnection(client);
      },
      async close() {
        checkTotal(ours.getStats().total);
        await ours.drain();
      },
    },
    {
      name: 'generic-pool',
      async operation() {
        const resource = await generic.acquire();
        check(resource);
        await generic.release(resource);
      },
      async close() {
        checkTotal(generic.size);
        await generic.drain();
        await generic.clear();
      },
    },
    {
      name: 'tarn',
      async operation() {
        const resource = await theirs.acquire().promise;
        check(resource);
        theirs.release(resource);
      },
      async close() {
        checkTotal(theirs.numUsed() + theirs.numFree());
        await theirs.destroy();
      },
    },
  ];
}

await bench('pool', [{ name: 'acquire+release', operations: 100_000, contestants }]);
