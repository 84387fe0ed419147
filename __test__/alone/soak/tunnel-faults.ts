// What may happen between a tunnel and its server, each under fifty calls: all of them end, the tunnel comes back by itself, what
// it tells of that adds up, and nothing is left.
import assert from 'node:assert/strict';
import { connect } from 'node:net';

import { type MoorlineError, setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import { eventually } from '../../support/eventually';
import { FaultProxy } from '../../support/fault-proxy';
import { Sshd } from '../../support/sshd';
import { CALLS_IN_FLIGHT, type LoadOptions, Targets, TunnelLoad } from './tunnel-load';
import { isApart, mayBeApart, runRoundApart, setLink } from './tunnel-link';
import { measureUnreadDownload } from './unread-download';

/** Calls succeed again within this, once the server can be reached. */
const RECOVERY_MS = 5000;
const KEEP_ALIVE = { keepAliveIntervalMs: 500, keepAliveCount: 3 };
/** Channels of one session, by how many sessions there are to be. */
const CHANNELS = { one: 100, several: 12 };
export type Sessions = keyof typeof CHANNELS;

/** What is there in a round. */
interface Round {
  sshd: Sshd;
  proxy: FaultProxy;
  tunnel: SSHTunnel;
  load: TunnelLoad;
  targets: Targets;
  events: TunnelEventCounts;
}

interface Fault {
  /** Of sshd. */
  settings?: string[];
  /** What is lost: all sessions, all but perhaps not at once, or none. */
  loses: 'all' | 'each' | 'none';
  /** Whether the tunnel reaches its server without the proxy. */
  isDirect?: boolean;
  /** The calls that fail by it, where that is certain. */
  failures?: number;
  load?: LoadOptions;
  /** Ends when calls may be expected to succeed again. */
  strike(round: Round): Promise<void>;
}

/** The events of a tunnel. */
class TunnelEventCounts {
  readonly errors: MoorlineError[] = [];
  /** The attempts of each recovery. */
  readonly recoveries: number[] = [];
  /** The local port, as it was at each of them. */
  readonly ports: (number | undefined)[] = [];
  lostSessions = 0;
  retries = 0;
  exhausted = 0;

  constructor(tunnel: SSHTunnel) {
    tunnel.on('error', (error) => {
      this.errors.push(error);
      this.lostSessions += 1;
    });
    tunnel.on('destroy', () => (this.lostSessions += 1));
    tunnel.on('retry', () => (this.retries += 1));
    tunnel.on('maxRetriesExceeded', () => (this.exhausted += 1));
    tunnel.on('open', ({ attempts }) => {
      if (attempts !== undefined) this.recoveries.push(attempts);
    });
  }

  async untilLost(): Promise<void> {
    await eventually(() => this.errors.length > 0, 20_000);
  }
}

export const FAULTS = {
  'sshd is killed and started again': {
    loses: 'all',
    isDirect: true,
    async strike({ sshd, events, load }) {
      await sshd.kill();
      await events.untilLost();
      const failed = load.failures().length;
      await eventually(() => load.failures().length > failed + 50, 20_000);
      await sshd.listen();
    },
  },
  'one channel is reset': {
    loses: 'none',
    failures: 1,
    // None of the others is to fail because the machine is busy.
    load: { deadlineMs: 20_000 },
    async strike({ targets, load }) {
      const answer = await eventually(() => [...targets.answering][0]);
      answer.reset();
      await eventually(() => load.failures().length > 0);
    },
  },
  'the link goes down and comes back': {
    loses: 'all',
    isDirect: isApart,
    async strike({ proxy, events, tunnel }) {
      if (isApart) setLink('down');
      else proxy.set({ kind: 'black-hole' });
      await events.untilLost();
      assert.equal(tunnel.localPort, undefined);
      if (isApart) setLink('up');
      else proxy.set({ kind: 'none' });
    },
  },
  'the connections fall into a black hole': {
    loses: 'each',
    async strike({ proxy, events }) {
      const before = proxy.connections;
      proxy.halfOpen();
      await eventually(() => events.lostSessions === before, 20_000);
    },
  },
  'keys are exchanged anew each 64 KB': {
    loses: 'none',
    failures: 0,
    // It costs the servers of a busy machine much; and sshd, while it exchanges keys again and again without a pause, confirms no
    // channel that is opened meanwhile.
    load: { deadlineMs: 20_000, opensChannels: false },
    settings: ['RekeyLimit 64K', 'LogLevel DEBUG1'],
    async strike({ sshd, tunnel }) {
      const carried = () => tunnel.stats().receivedBytes + tunnel.stats().sentBytes;
      const from = { bytes: carried(), exchanges: keyExchanges(sshd) };
      await eventually(() => carried() > from.bytes + 1_000_000, 60_000);
      assert.ok(keyExchanges(sshd) > from.exchanges + 4, `${keyExchanges(sshd) - from.exchanges} exchanges`);
    },
  },
} satisfies Record<string, Fault>;
export type FaultName = keyof typeof FAULTS;

const keyExchanges = (sshd: Sshd) => sshd.log.split('SSH2_MSG_NEWKEYS received').length - 1;

/** What a round has come to. */
export interface RoundReport {
  calls: number;
  failed: number;
  /** From the end of the fault until a call has succeeded that began after it. */
  firstMs: number;
  /** Until one of each of the fifty has. */
  allMs: number;
}

/** One fault, under fifty calls, in one session or in several. The link is that of a network namespace, where one may be made. */
export function runRound(name: FaultName, sessions: Sessions, targets: Targets): Promise<RoundReport> {
  const isOfLink = name === 'the link goes down and comes back';
  return isOfLink && mayBeApart() ? runRoundApart(sessions) : runRoundHere(name, sessions, targets);
}

export async function runRoundHere(name: FaultName, sessions: Sessions, targets: Targets): Promise<RoundReport> {
  const fault: Fault = FAULTS[name];
  const sshd = await Sshd.start(...(fault.settings ?? []));
  const proxy = await FaultProxy.start(sshd.port);
  const config: TunnelConfig = {
    ...sshd.config,
    ...KEEP_ALIVE,
    sshPort: fault.isDirect ? sshd.port : proxy.port,
    maxPoolSize: CHANNELS[sessions],
    remoteHost: '127.0.0.1',
    remotePort: targets.echo.port,
    localPort: 0,
  };
  const tunnel = new SSHTunnel(config);
  const load = new TunnelLoad(tunnel, targets, fault.load ?? {});
  try {
    const events = new TunnelEventCounts(tunnel);
    const began = performance.now();
    await tunnel.connect();
    const localPort = tunnel.localPort!;
    await load.start();
    // What it takes on this machine, as busy as it is.
    const startMs = performance.now() - began;
    await eventually(() => tunnel.stats().openingSessions === 0);
    const before = tunnel.stats().sessions;
    assert.ok(sessions === 'one' ? before === 1 : before > 1, `${before} sessions`);
    await fault.strike({ sshd, proxy, tunnel, load, targets, events });
    const { firstMs, allMs } = await load.untilAllSucceed();
    assert.equal(tunnel.localPort, localPort, 'the local port is back');
    await load.stop();
    assert.deepEqual(await load.problems(), []);
    const failed = load.failures().length;
    if (fault.failures !== undefined)
      assert.equal(failed, fault.failures, `${failed} failed: ${load.describeFailures()}`);
    else assert.ok(failed > 0, 'the calls were not touched');
    assert.ok(allMs < RECOVERY_MS + startMs, `recovered after ${allMs} ms`);
    assertEventsAddUp(fault, before, events, tunnel);
    await assertNothingIsLeft({ sshd, proxy, tunnel, targets }, localPort);
    return { calls: load.ended.length, failed, firstMs, allMs };
  } finally {
    await load.stop();
    await tunnel.disconnect();
    await proxy.close();
    await sshd.stop();
  }
}

function assertEventsAddUp(fault: Fault, sessions: number, events: TunnelEventCounts, tunnel: SSHTunnel): void {
  const { errors, recoveries, retries, exhausted } = events;
  const codes = errors.map(({ kind, code }) => `${kind} ${code}`);
  assert.equal(recoveries.length, errors.length, `a recovery for each error: ${codes.join()}`);
  assert.equal(tunnel.stats().reconnects, recoveries.length);
  assert.equal(events.lostSessions, fault.loses === 'none' ? 0 : sessions, 'each lost session is told of once');
  if (fault.loses === 'all') assert.equal(errors.length, 1, codes.join());
  for (const code of codes) assert.match(code, /^disconnected (ECONNRESET|EPIPE|ETIMEDOUT)$/);
  const perSeries = tunnel.options().maxRetries + 1;
  const attempts = recoveries.reduce((sum, attempts) => sum + attempts, exhausted * perSeries);
  assert.equal(retries, attempts, 'a retry for each attempt');
}

async function assertNothingIsLeft(
  { sshd, proxy, tunnel, targets }: Pick<Round, 'sshd' | 'proxy' | 'tunnel' | 'targets'>,
  localPort: number,
): Promise<void> {
  await eventually(() => {
    const { channels, openingChannels, waiting } = tunnel.stats();
    return channels + openingChannels + waiting === 0;
  });
  await eventually(() => targets.openSockets() === 0, 10_000);
  await tunnel.disconnect();
  assert.equal(tunnel.stats().sessions + tunnel.stats().openingSessions, 0);
  await eventually(() => sshd.sessionProcesses().length === 0, 10_000);
  await eventually(() => proxy.connections === 0);
  assert.equal(await isListening(localPort), false);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

const SOAK_ROUNDS = 10;
/** With the keep-alive as it is by default. */
const SOAK_DOWNLOAD = { keepAliveIntervalMs: 15_000, durationMs: 120_000 };

/** `npm run soak -- ssh`: each fault so many times, then a download that nobody reads; a table of each. */
export async function soakTunnel(): Promise<void> {
  setLogger({});
  const targets = await Targets.start();
  try {
    console.log(
      `${CALLS_IN_FLIGHT} calls in flight\n| fault | sessions | rounds | calls | failed | first success within ms | all within |`,
    );
    console.log('|---|---|---|---|---|---|---|');
    for (const fault of Object.keys(FAULTS) as FaultName[]) {
      for (const sessions of Object.keys(CHANNELS) as Sessions[]) await soakFault(fault, sessions, targets);
    }
  } finally {
    await targets.close();
  }
  const { p99Ms, besideMs, grownBytes, sentBytes } = await measureUnreadDownload(SOAK_DOWNLOAD);
  console.log('\n| unread download | sent MB | MB more | p99 ms beside it | without it |\n|---|---|---|---|---|');
  const megabytes = [sentBytes, grownBytes].map((bytes) => (bytes / 2 ** 20).toFixed(1));
  console.log(`| ${[SOAK_DOWNLOAD.durationMs / 1000 + ' s', ...megabytes, besideMs, p99Ms].join(' | ')} |`);
}

async function soakFault(fault: FaultName, sessions: Sessions, targets: Targets): Promise<void> {
  const reports: RoundReport[] = [];
  for (let round = 0; round < SOAK_ROUNDS; round++) reports.push(await runRound(fault, sessions, targets));
  const sum = (of: 'calls' | 'failed') => reports.reduce((total, report) => total + report[of], 0);
  const slowest = (of: 'firstMs' | 'allMs') => Math.max(...reports.map((report) => report[of])).toFixed(0);
  const figures = [SOAK_ROUNDS, sum('calls'), sum('failed'), slowest('firstMs'), slowest('allMs')];
  console.log(`| ${[fault, sessions, ...figures].join(' | ')} |`);
}
