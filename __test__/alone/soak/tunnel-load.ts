// Calls of every kind through one tunnel, fifty at a time, each counted at its end and at its target.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';

import { HTTPConnection, MoorlineError, type SSHTunnel, TursoPool, WebSocketConnection } from 'moorline';

import { socketServer, type SocketServer } from '../../support/connections';
import { type RunningServer, serve, startServer } from '../../support/http';
import { type Sqld, startSqld } from '../../support/servers';
import { CallLoad, type CallStep, describeCall } from './call-load';

/** The time limit of each call, unless told otherwise. */
const DEADLINE_MS = 1500;

const HTTP_CALLS = 42;
const SQL_CALLS = 4;
const SOCKET_CALLS = 2;
const LOCAL_CALLS = 2;
export const CALLS_IN_FLIGHT = HTTP_CALLS + SQL_CALLS + SOCKET_CALLS + LOCAL_CALLS;

type What = 'http' | 'sql' | 'socket' | 'local';

/** What the calls lead to; it outlives the faults of a tunnel. */
export class Targets {
  http!: RunningServer;
  sockets!: SocketServer;
  echo!: RunningServer;
  sqld!: Sqld;
  /** How often each request has come to the server of HTTP. */
  readonly requests = new Map<number, number>();
  /** Answers that are under way at the server of HTTP, by the sockets that they are to go to. */
  readonly answering = new Set<{ reset(): void }>();

  static async start(): Promise<Targets> {
    const targets = new Targets();
    targets.http = await serve((request, response) => {
      const id = Number(request.url!.slice(1));
      targets.requests.set(id, (targets.requests.get(id) ?? 0) + 1);
      const answer = { reset: () => request.socket.resetAndDestroy() };
      targets.answering.add(answer);
      response.on('close', () => targets.answering.delete(answer));
      request.resume().on('end', () => setTimeout(() => response.end(`${id}`.padEnd(4000)), (id % 10) * 10));
    });
    targets.sockets = await socketServer();
    targets.echo = await startServer(
      createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)),
      'tcp',
    );
    targets.sqld = await startSqld();
    const pool = new TursoPool({ url: targets.sqld.url });
    await pool.execute('CREATE TABLE calls (id INTEGER)');
    await pool.drain();
    return targets;
  }

  /** How often each statement has had its effect. */
  async statements(): Promise<Map<number, number>> {
    const pool = new TursoPool({ url: this.sqld.url });
    const { rows } = await pool.execute('SELECT id, count(*) AS times FROM calls GROUP BY id');
    await pool.drain();
    return new Map(rows.map(({ id, times }) => [id as number, times as number]));
  }

  /** The sockets that SSH servers have opened to them and not closed. */
  openSockets(): number {
    return this.http.openConnections() + this.sockets.openConnections() + this.echo.openConnections();
  }

  async close(): Promise<void> {
    await Promise.all([this.http, this.sockets, this.echo].map((server) => server.close()));
    await this.sqld.stop();
  }
}

export interface LoadOptions {
  deadlineMs?: number | undefined;
  /** Whether some of the calls open a channel each, by the local port. */
  opensChannels?: boolean | undefined;
}

/** Fifty calls at any time, until it is stopped. */
export class TunnelLoad extends CallLoad<What> {
  readonly #targets: Targets;
  readonly #tunnel: SSHTunnel;
  readonly #http: HTTPConnection;
  readonly #pool: TursoPool;
  readonly #sockets: WebSocketConnection[];
  readonly #deadlineMs: number;
  readonly #localCalls: number;

  /** `tunnel` leads to the echo by its local port. */
  constructor(tunnel: SSHTunnel, targets: Targets, { deadlineMs = DEADLINE_MS, opensChannels = true }: LoadOptions) {
    super();
    this.#localCalls = opensChannels ? LOCAL_CALLS : 0;
    this.#targets = targets;
    this.#tunnel = tunnel;
    this.#deadlineMs = deadlineMs;
    const quiet = { monitoring: false, auditLogging: false, autoRetry: false, circuitBreaker: false } as const;
    this.#http = new HTTPConnection({ ...quiet, tunnel, url: targets.http.url, maxConnections: CALLS_IN_FLIGHT });
    this.#pool = new TursoPool({ url: targets.sqld.url, tunnel, poolSize: SQL_CALLS });
    const again = { retryDelay: 50, backoffMultiplier: 1, timeout: deadlineMs };
    const open = () => new WebSocketConnection({ ...quiet, ...again, tunnel, url: targets.sockets.url });
    this.#sockets = Array.from({ length: SOCKET_CALLS }, open);
  }

  async start(): Promise<void> {
    assert.ok((await Promise.all(this.#sockets.map((socket) => socket.connect()))).every(Boolean));
    const deadlineMs = this.#deadlineMs;
    const kinds = [
      ...Array<What>(HTTP_CALLS + LOCAL_CALLS - this.#localCalls).fill('http'),
      ...Array<What>(SQL_CALLS).fill('sql'),
      ...Array<What>(this.#localCalls).fill('local'),
    ];
    const steps = kinds.map((what): CallStep<What> => [what, (id) => this.#call(what, id)]);
    const sockets = this.#sockets.map((socket): CallStep<What> => ['socket', (id) => exchange(socket, id, deadlineMs)]);
    await this.repeat([...steps, ...sockets]);
  }

  override async stop(): Promise<void> {
    await super.stop();
    await Promise.all([...this.#sockets, this.#http].map((connection) => connection.disconnect()));
    await this.#pool.drain();
  }

  /** What was late, or told of its delivery what the servers know to be wrong. To be asked once nothing is under way. */
  async problems(): Promise<string[]> {
    const statements = await this.#targets.statements();
    const limitMs = this.limitMs(this.#deadlineMs);
    return this.ended.flatMap((call) => {
      const name = `${call.what} ${call.id}, ${describeCall(call.error)}`;
      const late = call.tookMs > limitMs ? [`${name}: after ${call.tookMs} ms`] : [];
      if (call.what !== 'http' && call.what !== 'sql') return late;
      const seen = (call.what === 'http' ? this.#targets.requests : statements).get(call.id) ?? 0;
      return [...late, ...deliveryProblems(call.error, seen).map((problem) => `${name}: ${problem}`)];
    });
  }

  async #call(what: What, id: number): Promise<void> {
    if (what === 'local') return this.#exchangeLocally(id);
    if (what === 'sql') return this.#insert(id);
    const body = Buffer.alloc(id % 7 === 0 ? 60_000 : 500, 'x');
    const answer = await this.#http.request({ method: 'POST', url: `/${id}`, body, timeoutMs: this.#deadlineMs });
    assert.equal(answer.text(), `${id}`.padEnd(4000));
  }

  async #insert(id: number): Promise<void> {
    try {
      await this.#pool.execute('INSERT INTO calls VALUES (?)', [id], { timeoutMs: this.#deadlineMs });
    } catch (error) {
      // The database was locked by another of them.
      if (error instanceof MoorlineError && error.kind === 'overloaded') return this.#insert(id);
      throw error;
    }
  }

  /** As somebody who knows nothing of the tunnel. */
  async #exchangeLocally(id: number): Promise<void> {
    const port = this.#tunnel.localPort;
    if (port === undefined) throw new Error('there is no local port');
    const socket = connect(port, '127.0.0.1');
    const limit = setTimeout(() => socket.destroy(new Error('too late')), this.#deadlineMs);
    socket.end(`${id}`);
    try {
      assert.equal(await text(socket), `${id}`);
    } finally {
      clearTimeout(limit);
    }
  }
}

/** Sends a number and waits for it to come back; what was lost before does not. */
async function exchange(socket: WebSocketConnection, id: number, deadlineMs: number): Promise<void> {
  const began = performance.now();
  if (!(await socket.send({ id }))) throw new Error('not sent');
  for (;;) {
    const timeoutMs = Math.max(deadlineMs - (performance.now() - began), 1);
    const message: { id: number } | null = await socket.receive({ timeoutMs });
    if (message === null) throw new Error('no answer');
    assert.ok(message.id <= id, 'an answer that was not asked for');
    if (message.id === id) return;
  }
}

/** The kinds of failure that a fault of the network may lead to. */
const KINDS = ['connect', 'disconnected', 'timeout'];

function deliveryProblems(error: unknown, seen: number): string[] {
  if (error === undefined) return seen === 1 ? [] : [`was delivered ${seen} times`];
  if (!(error instanceof MoorlineError) || !KINDS.includes(error.kind)) return ['is no fault of the network'];
  if (seen > 1) return [`was delivered ${seen} times`];
  const before = error.kind === 'connect' || error.detail?.['phase'] === 'tunnel';
  if (before && error.delivery !== 'none') return ['nothing was sent, which is not said'];
  if (error.delivery === 'none' && seen > 0) return ['was delivered'];
  if (error.delivery === 'answered' && seen === 0) return ['was not delivered'];
  return [];
}
