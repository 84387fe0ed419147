// What may happen between a manager and its PostgreSQL, each under fifty calls, directly and through a tunnel: all of them end, the
// pool comes back by itself, and what it tells of their effects is what the server has.
import assert from 'node:assert/strict';

import { PostgresConnectionManager, setLogger, SSHTunnel } from 'moorline';

import { eventually } from '../../support/eventually';
import { FaultProxy } from '../../support/fault-proxy';
import { Postgres } from '../../support/postgres';
import { Sshd } from '../../support/sshd';
import { CALLS_IN_FLIGHT, type Limits, MAX_CONNECTIONS, PostgresLoad } from './postgres-load';

/** Calls succeed again within this, once the server can be reached. */
const RECOVERY_MS = 5000;
const KEEP_ALIVE = { keepAliveIntervalMs: 500, keepAliveCount: 3 };
const NAME = 'moorline under faults';

export type Way = 'directly' | 'through a tunnel';
export const WAYS: Way[] = ['directly', 'through a tunnel'];

/** What is there in a round. */
interface Round {
  server: Postgres;
  load: PostgresLoad;
  /** Before the server. */
  near: FaultProxy;
  /** Through a tunnel: it, and what is between it and its server. */
  tunnelled?: { tunnel: SSHTunnel; sshd: Sshd; link: FaultProxy };
}

interface Fault {
  /** What it passes through; the server is reached directly by default. */
  through?: 'near' | 'link';
  ways?: Way[];
  limits?: Limits;
  /** The calls that fail by it at most. */
  failures?: number;
  /** Ends when calls may be expected to succeed again. */
  strike(round: Round): Promise<void>;
}

const LIMITS: Limits = { connectionTimeoutMillis: 1500, queryTimeoutMs: 1500 };
/** Where none of the others is to fail because the machine is busy. */
const PATIENT: Limits = { connectionTimeoutMillis: 20_000, queryTimeoutMs: 20_000 };

/** Waits until so many more calls have failed. */
async function untilFailed({ load }: Round, calls: number): Promise<void> {
  const before = load.failures().length;
  await eventually(() => load.failures().length >= before + calls, 20_000);
}

export const FAULTS = {
  'PostgreSQL is stopped and started again': {
    async strike(round) {
      await round.server.end();
      await untilFailed(round, CALLS_IN_FLIGHT);
      await round.server.listen();
    },
  },
  'PostgreSQL crashes and is started again': {
    async strike(round) {
      await round.server.kill();
      await untilFailed(round, CALLS_IN_FLIGHT);
      await round.server.listen();
    },
  },
  'sshd is killed and started again': {
    ways: ['through a tunnel'],
    async strike(round) {
      const { sshd } = round.tunnelled!;
      await sshd.kill();
      await untilFailed(round, CALLS_IN_FLIGHT);
      await sshd.listen();
    },
  },
  'pg_terminate_backend ends all sessions': {
    failures: MAX_CONNECTIONS,
    limits: PATIENT,
    async strike({ server, load }) {
      server.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${NAME}'`);
      await eventually(() => load.failures().length > 0);
    },
  },
  'one connection to the server is reset': {
    through: 'near',
    failures: 1,
    limits: PATIENT,
    async strike({ near, load }) {
      // One that nobody uses at that moment fails nobody.
      while (load.failures().length === 0) {
        near.resetOne();
        await load.untilAllSucceed();
      }
    },
  },
  'the connections fall into a black hole': {
    through: 'near',
    async strike(round) {
      round.near.halfOpen();
      await untilFailed(round, 1);
    },
  },
  'the link goes down and comes back': {
    through: 'link',
    async strike(round) {
      const link = round.tunnelled?.link ?? round.near;
      link.set({ kind: 'black-hole' });
      await untilFailed(round, CALLS_IN_FLIGHT);
      link.set({ kind: 'none' });
    },
  },
} satisfies Record<string, Fault>;
export type FaultName = keyof typeof FAULTS;

/** The faults that there are this way. */
export function faultsOf(way: Way): FaultName[] {
  return (Object.keys(FAULTS) as FaultName[]).filter((name) => ((FAULTS[name] as Fault).ways ?? WAYS).includes(way));
}

/** What a round has come to. */
export interface RoundReport {
  calls: number;
  failed: number;
  /** Whose effect was not known. */
  unknown: number;
  /** From the end of the fault until a call has succeeded that began after it. */
  firstMs: number;
  /** Until one of each of the fifty has. */
  allMs: number;
  /** The most connections that the server had at once. */
  connections: number;
}

/** One fault, under fifty calls. */
export async function runRound(
  name: FaultName,
  way: Way,
  server: Postgres,
  sshd: Sshd | undefined,
): Promise<RoundReport> {
  const fault: Fault = FAULTS[name];
  const near = await FaultProxy.start(server.port);
  const tunnelled = sshd && way === 'through a tunnel' ? await startTunnel(sshd, fault) : undefined;
  const usesNear = fault.through === 'near' || (fault.through === 'link' && !tunnelled);
  const limits = fault.limits ?? LIMITS;
  const manager = new PostgresConnectionManager({
    ...server.config,
    ...limits,
    tunnel: tunnelled?.tunnel ?? false,
    port: usesNear ? near.port : server.port,
    max: MAX_CONNECTIONS,
    recycleTimeoutMs: 1000,
    applicationName: NAME,
  });
  const load = new PostgresLoad(manager, server, limits);
  const counter = new ConnectionCounter(server);
  const round: Round = { server, load, near, ...(tunnelled && { tunnelled }) };
  try {
    const began = performance.now();
    await load.start();
    // What it takes on this machine, as busy as it is.
    const startMs = performance.now() - began;
    await fault.strike(round);
    const { firstMs, allMs } = await load.untilAllSucceed();
    await load.stop();
    const failed = load.failures().length;
    assert.deepEqual(load.problems(), []);
    assert.deepEqual(load.ledgerProblems(), []);
    assert.ok(failed > 0 && failed <= (fault.failures ?? Infinity), `${failed} calls have failed`);
    assert.ok(allMs < RECOVERY_MS + startMs, `recovered after ${allMs} ms`);
    const connections = await counter.stop();
    assert.ok(connections <= MAX_CONNECTIONS, `${connections} connections at once`);
    await manager.shutdown();
    await eventually(
      () => server.psql(`SELECT count(*) FROM pg_stat_activity WHERE application_name = '${NAME}'`) === '0',
    );
    const unknown = load
      .failures()
      .filter(({ error }) => (error as { delivery?: string }).delivery === 'unknown').length;
    return { calls: load.ended.length, failed, unknown, firstMs, allMs, connections };
  } finally {
    await load.stop();
    await counter.stop();
    await manager.shutdown();
    await tunnelled?.tunnel.disconnect();
    await tunnelled?.link.close();
    await near.close();
  }
}

async function startTunnel(sshd: Sshd, fault: Fault): Promise<NonNullable<Round['tunnelled']>> {
  const link = await FaultProxy.start(sshd.port);
  const sshPort = fault.through === 'link' ? link.port : sshd.port;
  const tunnel = new SSHTunnel({ ...sshd.config, ...KEEP_ALIVE, sshPort, retryDelay: 100, maxPoolSize: 100 });
  tunnel.on('error', () => undefined);
  await tunnel.connect();
  return { tunnel, sshd, link };
}

/** Asks the server again and again how many connections of ours it has. */
class ConnectionCounter {
  #most = 0;
  #isStopped = false;
  readonly #counting: Promise<void>;

  constructor(server: Postgres) {
    this.#counting = this.#count(server);
  }

  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#counting;
    return this.#most;
  }

  async #count(server: Postgres): Promise<void> {
    const manager = new PostgresConnectionManager({
      ...server.config,
      tunnel: false,
      max: 1,
      applicationName: 'count',
    });
    while (!this.#isStopped) {
      const text =
        'SELECT count(*)::int AS connections, pg_sleep(0.01) FROM pg_stat_activity WHERE application_name = $1';
      const counted = await manager.query({ text, values: [NAME], timeoutMs: 1000 }).catch(() => undefined);
      this.#most = Math.max(this.#most, counted?.rows[0].connections ?? 0);
      if (!counted) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await manager.shutdown();
  }
}

const SOAK_ROUNDS = 10;

/** `npm run soak -- postgres`: each fault so many times; a table. */
export async function soakPostgresFaults(): Promise<void> {
  setLogger({});
  const [server, sshd] = [await Postgres.start(SERVER), await Sshd.start()];
  try {
    console.log(
      `${CALLS_IN_FLIGHT} calls in flight\n| fault | way | rounds | calls | failed | unknown | first success within ms | all within | connections |`,
    );
    console.log('|---|---|---|---|---|---|---|---|---|');
    for (const way of WAYS) for (const fault of faultsOf(way)) await soakFault(fault, way, server, sshd);
  } finally {
    await sshd.stop();
    await server.stop();
  }
}

/** A server that keeps what it has acknowledged when it crashes. */
export const SERVER = { settings: { synchronous_commit: 'on', max_connections: 60 } };

async function soakFault(fault: FaultName, way: Way, server: Postgres, sshd: Sshd): Promise<void> {
  const reports: RoundReport[] = [];
  for (let round = 0; round < SOAK_ROUNDS; round++) reports.push(await runRound(fault, way, server, sshd));
  const sum = (of: 'calls' | 'failed' | 'unknown') => reports.reduce((total, report) => total + report[of], 0);
  const most = (of: 'firstMs' | 'allMs' | 'connections') => Math.max(...reports.map((one) => one[of])).toFixed(0);
  const figures = [sum('calls'), sum('failed'), sum('unknown'), most('firstMs'), most('allMs'), most('connections')];
  console.log(`| ${[fault, way, SOAK_ROUNDS, ...figures].join(' | ')} |`);
}
