import { HealthMonitor } from './monitor';
import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';

/** The periodic checks of all connections of this JavaScript environment: one timer serves them. */
let monitor: HealthMonitor | undefined;
let registered = 0;

/** A check that runs every now and then in the background, for the first time after one interval. */
export class PeriodicCheck {
  readonly #name: string;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #running = false;

  constructor(name: string, intervalMs: number, timeoutMs: number) {
    this.#name = name;
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs `check` from now on; what it throws is logged. Its signal is aborted by `stop`, and when it takes too long. */
  start(check: (signal: AbortSignal) => Promise<unknown>): void {
    if (this.#running || this.#intervalMs === Infinity) return;
    monitor ??= new HealthMonitor({ historyCapacity: 1 });
    const run = async ({ signal }: { signal: AbortSignal }) => {
      await check(signal).catch((error: unknown) => this.#logError(error));
      return true;
    };
    const intervalMs = this.#intervalMs;
    monitor.register(this.#name, run, { intervalMs, initialDelayMs: intervalMs, timeoutMs: this.#timeoutMs });
    monitor.start();
    this.#running = true;
    registered += 1;
  }

  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    registered -= 1;
    monitor?.unregister(this.#name);
    if (registered > 0) return;
    monitor?.stop();
    monitor = undefined;
  }

  #logError(error: unknown): void {
    log('warn', 'connection.check-failed', this.#name, () => ({ error: messageOf(error) }));
  }
}
