// A process that makes transfers for ledger.ts, which tells it what to do and hears how far it is.
import { setTimeout as sleep } from 'node:timers/promises';

import {
  MoorlineError,
  PostgresConnectionManager,
  type PostgresManagerConfig,
  SSHTunnel,
  type TunnelConfig,
} from 'moorline';

export const ACCOUNTS = 8;
/** The transfers of a process at once, each on a connection of its own. */
export const CONCURRENCY = 4;

/** What a process is to do. */
export interface Order {
  name: string;
  transfers: number;
  /** After each, so that it can be seen. */
  pauseMs: number;
  tunnel: TunnelConfig;
  postgres: PostgresManagerConfig;
}

/** How far it is. */
export interface Progress {
  done: number;
  /** Transactions that met another one, and were done again. */
  repeated: number;
  /** Attempts that have failed while PostgreSQL ended, and was away. */
  failed: number;
  isHealthy: boolean;
  stats: ReturnType<PostgresConnectionManager['stats']>;
}

const REPORT_MS = 40;

/** Makes the transfers of an order; each happens once. */
export async function runWorker(order: Order): Promise<void> {
  await using tunnel = new SSHTunnel(order.tunnel);
  const { transfers, pauseMs, postgres } = order;
  await using manager = new PostgresConnectionManager({
    ...postgres,
    tunnel,
    max: CONCURRENCY,
    applicationName: order.name,
    healthCheckIntervalMs: 200,
    connectionLog: true,
  });
  const progress = { done: 0, repeated: 0, failed: 0, isHealthy: false };
  manager.on('healthCheck', ({ healthy }) => (progress.isHealthy = healthy));
  const report = () => process.send?.({ ...progress, stats: manager.stats() } satisfies Progress);
  const timer = setInterval(report, REPORT_MS);
  let next = 0;
  const work = async () => {
    while (next < transfers) {
      await transferOnce(manager, `${order.name} ${next++}`, progress);
      progress.done += 1;
      await sleep(pauseMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
  } finally {
    clearInterval(timer);
    report();
  }
}

/** Makes a transfer until it is known to have happened. */
async function transferOnce(
  manager: PostgresConnectionManager,
  id: string,
  progress: Progress | Omit<Progress, 'stats'>,
) {
  const [from, to] = twoAccounts();
  const amount = 1 + Math.floor(Math.random() * 20);
  for (;;) {
    try {
      return await transfer(manager, { id, from, to, amount }, () => (progress.repeated += 1));
    } catch (error) {
      if (!(error instanceof MoorlineError)) throw error;
      // The commit whose answer was lost has been done: its number is there already.
      if (error.code === '23505') return;
      // Other failures are for people to look at.
      if (!error.retryable && error.delivery !== 'unknown') throw error;
      progress.failed += 1;
      await sleep(50);
    }
  }
}

interface Transfer {
  id: string;
  from: number;
  to: number;
  amount: number;
}

async function transfer(manager: PostgresConnectionManager, one: Transfer, onRepeated: () => void): Promise<void> {
  let calls = 0;
  await manager.withTransaction(
    async (client) => {
      if (++calls > 1) onRepeated();
      await client.query('INSERT INTO transfers (id, amount) VALUES ($1, $2)', [one.id, one.amount]);
      const text = 'SELECT balance FROM accounts WHERE id = $1';
      const [source, target] = [await client.query(text, [one.from]), await client.query(text, [one.to])];
      // What was read is written: without `serializable`, two of them would lose money.
      const update = 'UPDATE accounts SET balance = $2 WHERE id = $1';
      await client.query(update, [one.from, source.rows[0].balance - one.amount]);
      await client.query(update, [one.to, target.rows[0].balance + one.amount]);
    },
    { isolation: 'serializable', retry: 50 },
  );
}

function twoAccounts(): [number, number] {
  const from = Math.floor(Math.random() * ACCOUNTS);
  return [from, (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS];
}
