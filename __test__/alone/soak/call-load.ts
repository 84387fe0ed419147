// Calls that are made again and again while something happens to what they go through, each counted at its end.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { HTTPConnection, MoorlineError } from 'moorline';

import { eventually } from '../../support/eventually';
import { type RunningServer, startServer } from '../../support/http';

/** How much later a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;
/** Of calls that nobody answers, which tell how late the machine is. */
const SILENT_DEADLINE_MS = 100;
const SILENT_CALLS = 2;
/** After a call that failed, so that failures do not keep the processor busy. */
const PAUSE_MS = 10;

/** A call that has ended. */
export interface EndedCall<What extends string = string> {
  what: What;
  id: number;
  began: number;
  tookMs: number;
  error?: unknown;
}

/** A kind of call: rejects when it fails. */
export type CallStep<What extends string> = readonly [what: What, step: (id: number) => Promise<unknown>];

let lastId = 0;

/** Calls of each of several kinds at any time, until it is stopped. */
export class CallLoad<What extends string = string> {
  readonly ended: EndedCall<What>[] = [];
  /** How late the calls that nobody answers were at most. */
  #lateMs = 0;
  /** When each of them has last begun a call that succeeded. */
  #succeeded: number[] = [];
  #names: What[] = [];
  #workers: Promise<void>[] = [];
  #isStopped = false;
  #silent: RunningServer | undefined;
  #begin!: () => void;
  readonly #begun = new Promise<void>((resolve) => (this.#begin = resolve));

  /** Begins to repeat each of `steps`; done once each has succeeded. */
  protected async repeat(steps: CallStep<What>[]): Promise<void> {
    this.#silent = await startServer(createServer(), 'http');
    this.#succeeded = new Array<number>(steps.length).fill(0);
    this.#names = steps.map(([what]) => what);
    this.#workers = steps.map(([what, step], index) => this.#work(index, what, step));
    for (let call = 0; call < SILENT_CALLS; call++) this.#workers.push(this.#measureLateness(this.#silent.url));
    await eventually(() => this.#succeeded.every((began) => began > 0), 60_000);
    this.#begin();
  }

  /** Waits until each of them has succeeded with a call that was begun after this; how long that took, and the first one. */
  async untilAllSucceed(limitMs = 60_000): Promise<{ firstMs: number; allMs: number }> {
    const from = performance.now();
    await eventually(() => this.#succeeded.some((began) => began >= from), limitMs);
    const firstMs = performance.now() - from;
    await eventually(() => {
      const behind = this.#succeeded.flatMap((began, index) => (began < from ? [this.#names[index]] : []));
      if (behind.length > 0) throw new Error(`no success of ${behind.join()}: ${this.describeFailures()}`);
      return true;
    }, limitMs);
    return { firstMs, allMs: performance.now() - from };
  }

  /** What the last calls that failed have come to. */
  describeFailures(): string {
    return this.failures()
      .slice(-3)
      .map(({ what, tookMs, error }) => `${what} after ${tookMs} ms: ${describeCall(error)}`)
      .join('; ');
  }

  /** The calls that have failed. */
  failures(): EndedCall<What>[] {
    return this.ended.filter(({ error }) => error !== undefined);
  }

  /** Lets the calls that are under way end, and makes no more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#begin();
    await Promise.all(this.#workers);
    await this.#silent?.close();
    this.#silent = undefined;
  }

  /** How long a call with this deadline may take on this machine, as busy as it was. */
  protected limitMs(deadlineMs: number): number {
    // A pause of the machine is seen as shorter by as much as the calls that nobody answers still had.
    const pauseMs = this.#lateMs > SLACK_MS ? this.#lateMs + SILENT_DEADLINE_MS : this.#lateMs;
    return deadlineMs + SLACK_MS + pauseMs;
  }

  async #work(index: number, what: What, step: (id: number) => Promise<unknown>): Promise<void> {
    while (!this.#isStopped) {
      const id = ++lastId;
      const began = performance.now();
      const error: unknown = await step(id).then(
        () => undefined,
        (error: unknown) => error,
      );
      this.ended.push({ what, id, began, tookMs: performance.now() - began, error });
      if (error === undefined) this.#succeeded[index] = began;
      else await sleep(PAUSE_MS);
      // While sshd exchanges keys without a pause, it confirms no channel: nobody goes on before all have theirs.
      if (error === undefined) await this.#begun;
    }
  }

  async #measureLateness(url: string): Promise<void> {
    const direct = new HTTPConnection({
      url,
      monitoring: false,
      auditLogging: false,
      autoRetry: false,
      circuitBreaker: false,
    });
    while (!this.#isStopped) {
      const began = performance.now();
      await direct.request({ timeoutMs: SILENT_DEADLINE_MS }).catch(() => undefined);
      this.#lateMs = Math.max(this.#lateMs, performance.now() - began - SILENT_DEADLINE_MS);
      await sleep(PAUSE_MS);
    }
    await direct.disconnect();
  }
}

/** What an outcome was. */
export function describeCall(error: unknown): string {
  if (!(error instanceof MoorlineError)) return error === undefined ? 'answered' : String(error);
  return `${error.kind} ${error.code} ${error.delivery} in phase ${String(error.detail?.['phase'])}: ${error.message}`;
}
