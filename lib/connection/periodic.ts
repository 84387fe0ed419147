import { HealthMonitor } from '../health';
import { log } from '../logger';

/** The periodic checks of all connections of this JavaScript environment: one timer serves them. */
let monitor: HealthMonitor | undefined;
let registered = 0;

/** A check that runs every now and then in the background, and keeps no process alive. */
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

  /** Runs `check` from now on; what it throws is logged. */
  start(check: () => Promise<unknown>): void {
    if (this.#running) return;
    this.#running = true;
    registered += 1;
    monitor ??= new HealthMonitor({ historyCapacity: 1 });
    const options = { intervalMs: this.#intervalMs, timeoutMs: this.#timeoutMs };
    const run = () => check().then(() => true);
    monitor.register(this.#name, () => run().catch((error: unknown) => this.#complain(error)), options);
    monitor.start();
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

  #complain(error: unknown): boolean {
    log('warn', 'connection.check-failed', this.#name, () => ({ error: String(error) }));
    return false;
  }
}
