// A ledger that only an SSH server reaches, used by two processes while its PostgreSQL is restarted: `npm run demo -- ledger`.
//
// Starts an SSH server (OpenSSH's sshd) and PostgreSQL on this machine. Two processes make transfers between the same accounts
// through tunnels of their own, in serializable transactions that are done again when they meet. In between PostgreSQL is ended, and
// started again a second later. At the end the sum is what it was, each transfer has happened once, and the log of connections
// tells what they have seen. Leaves no process and no file.
//
//   apt-get install openssh-server postgresql
//   npm install moorline
//   npx tsx ledger.ts
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { PostgresConnectionManager, SSHTunnel } from 'moorline';

import { picture, type WorkerView } from './ledger-screen.js';
import { type Servers, startServers } from './ledger-servers.js';
import { ACCOUNTS, CONCURRENCY, type Order, type Progress, runWorker } from './ledger-worker.js';
import { Screen } from './screen.js';
import { MissingServer } from './server-processes.js';

const WORKERS = ['one', 'two'];
const TRANSFERS = 60;
const BALANCE = 1000;
const OUTAGE_MS = 1000;
/** Marks a process that was started by this one. */
const VARIABLE = 'LEDGER_WORKER';

const TABLES = `
  CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
  INSERT INTO accounts SELECT id, ${BALANCE} FROM generate_series(0, ${ACCOUNTS - 1}) AS id;
  CREATE TABLE transfers (id text PRIMARY KEY, amount int NOT NULL)`;

/** A process that makes transfers. */
class Worker {
  readonly view: WorkerView;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(order: Order) {
    this.view = { name: order.name, transfers: order.transfers, connections: CONCURRENCY };
    this.#child = fork(process.argv[1]!, { env: { ...process.env, [VARIABLE]: '1' } });
    this.#child.on('message', (progress) => (this.view.progress = progress as Progress));
    // Its last message may come after its end.
    this.#ended = Promise.all([once(this.#child, 'exit'), once(this.#child, 'disconnect')]);
    this.#child.send(order);
  }

  get done(): number {
    return this.view.progress?.done ?? 0;
  }

  /** Waits until it has made all of its transfers. */
  async end(): Promise<void> {
    await this.#ended;
    const { exitCode } = this.#child;
    if (exitCode !== 0) throw new Error(`The process ${this.view.name} ended with ${String(exitCode)}`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Ends PostgreSQL once a third of the transfers were made, and starts it again. */
async function restart(
  servers: Servers,
  screen: Screen,
  workers: Worker[],
  state: { isUp: boolean },
  signal: AbortSignal,
) {
  const done = () => workers.reduce((sum, worker) => sum + worker.done, 0);
  while (done() < (WORKERS.length * TRANSFERS) / 3) await sleep(5, undefined, { signal });
  screen.log('kill', 'PostgreSQL is ended');
  state.isUp = false;
  await servers.endPostgres();
  await sleep(OUTAGE_MS, undefined, { signal });
  screen.log('start', 'PostgreSQL is started again');
  await servers.startPostgres();
  state.isUp = true;
}

/** What the ledger and the log of connections have at the end; throws when money or transfers are missing. */
async function checkLedger(manager: PostgresConnectionManager, screen: Screen): Promise<void> {
  const sums = 'SELECT sum(balance)::int AS sum, (SELECT count(*)::int FROM transfers) AS transfers FROM accounts';
  const [{ sum, transfers }] = (await manager.query<{ sum: number; transfers: number }>(sums)).rows as [
    { sum: number; transfers: number },
  ];
  if (sum !== ACCOUNTS * BALANCE) throw new Error(`The accounts have ${sum} in all, and had ${ACCOUNTS * BALANCE}`);
  if (transfers !== WORKERS.length * TRANSFERS) throw new Error(`${transfers} transfers have happened`);
  screen.log('sum', `${sum} on ${ACCOUNTS} accounts, after ${transfers} transfers`);
  const logged = 'SELECT status, count(*)::int AS rows FROM connection_logs GROUP BY status ORDER BY status';
  const { rows } = await manager.query<{ status: string; rows: number }>(logged);
  screen.log('log', rows.map(({ status, rows }) => `${status} ${rows}`).join(', '));
}

async function run(servers: Servers, signal: AbortSignal): Promise<void> {
  const { tunnel: config, postgres } = servers;
  await using tunnel = new SSHTunnel(config);
  await using manager = new PostgresConnectionManager({ ...postgres, tunnel, applicationName: 'ledger', max: 2 });
  await manager.query(TABLES);
  await manager.installConnectionLog();
  const state = { isUp: true };
  const workers: Worker[] = [];
  const screen = new Screen(() => {
    const views = workers.map(({ view }) => view);
    return picture({ sshPort: config.sshPort, databasePort: postgres.port, isUp: state.isUp, workers: views });
  });
  // In a terminal, slowly enough to be seen.
  const pauseMs = screen.isLive ? 60 : 1;
  screen.log('start', `sshd on port ${config.sshPort}, PostgreSQL on port ${postgres.port}`);
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    for (const name of WORKERS)
      workers.push(new Worker({ name, transfers: TRANSFERS, pauseMs, tunnel: config, postgres }));
    const stopped = once(either, 'abort').then(() => either.throwIfAborted());
    stopped.catch(() => undefined);
    const ended = Promise.all([
      ...workers.map((worker) => worker.end()),
      restart(servers, screen, workers, state, either),
    ]);
    await Promise.race([ended, stopped]);
    const sum = (of: 'repeated' | 'failed') => workers.reduce((all, { view }) => all + (view.progress?.[of] ?? 0), 0);
    screen.log(
      'done',
      `${sum('repeated')} transactions were done again, ${sum('failed')} attempts have failed without PostgreSQL`,
    );
    await checkLedger(manager, screen);
  } finally {
    failed.abort();
    await Promise.all(workers.map((worker) => worker.kill()));
    screen.close();
  }
  console.log(
    `${WORKERS.length * TRANSFERS} transfers by ${WORKERS.length} processes, over 1 restart of PostgreSQL: each happened once.`,
  );
}

async function main(): Promise<void> {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  try {
    const servers = await startServers();
    try {
      await run(servers, stopped.signal);
    } finally {
      await servers.stop();
    }
  } catch (error) {
    process.exitCode = stopped.signal.aborted ? 130 : 1;
    if (stopped.signal.aborted) console.error('Stopped; both servers are, too.');
    else console.error(error instanceof MissingServer ? `Cannot run: ${error.message}` : error);
  }
}

if (process.env[VARIABLE] === undefined) void main();
else
  process.once('message', (order) => {
    // A terminal's signal is for the process that has started this one, which ends it.
    process.on('SIGINT', () => undefined);
    void runWorker(order as Order).then(() => process.disconnect());
  });
