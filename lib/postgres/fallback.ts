import { isError } from '../runtime/error-message';
import type { MoorlineError } from '../runtime/error';
import { repeat } from '../runtime/timers';
import type { PostgresHealthCheck } from './health';

/** The interval at which what is out of use is asked whether it is back. */
const PROBE_INTERVAL_MS = 1000;

/** What a {@link FallbackSwitch} tells its owner. */
export interface FallbackListener {
  onActivated(error: Error): void;
  onRestored(downMs: number): void;
  /** Asks whether the owner's own database is back. */
  probe(): Promise<PostgresHealthCheck>;
}

/** Which of two is in use: the owner's own database, or the fallback while that cannot be reached. */
export class FallbackSwitch<Fallback> {
  readonly fallback: Fallback;
  readonly #listener: FallbackListener;
  #activeSince: number | undefined;
  #stop = (): void => undefined;

  constructor(fallback: Fallback, listener: FallbackListener) {
    this.fallback = fallback;
    this.#listener = listener;
  }

  get isActive(): boolean {
    return this.#activeSince !== undefined;
  }

  /** Runs a call on what is in use; on the fallback, too, when it did not begin since nobody could be reached. */
  async run<T>(own: () => Promise<T>, other: (fallback: Fallback) => Promise<T>): Promise<T> {
    if (this.isActive) return other(this.fallback);
    try {
      return await own();
    } catch (error) {
      if (!this.onFailure(error)) throw error;
      return other(this.fallback);
    }
  }

  /** Goes over to the fallback where an error says that nobody can be reached; whether it did. */
  onFailure(error: unknown): boolean {
    if (!isUnreachable(error)) return false;
    if (this.isActive) return true;
    this.#activeSince = performance.now();
    this.#watch();
    this.#listener.onActivated(error);
    return true;
  }

  /** Goes back when a check says that the database is there. */
  onHealth({ healthy, error }: PostgresHealthCheck): void {
    if (!healthy) this.onFailure(error);
    if (!healthy || this.#activeSince === undefined) return;
    const downMs = performance.now() - this.#activeSince;
    this.stop();
    this.#listener.onRestored(downMs);
  }

  /** Looks no more for what is out of use. */
  stop(): void {
    this.#activeSince = undefined;
    this.#stop();
  }

  /** Nothing strong leads from the timer to this, or neither would be collected. */
  #watch(): void {
    const reference = new WeakRef(this);
    const stop = repeat(
      PROBE_INTERVAL_MS,
      async () => {
        const target = reference.deref();
        if (!target) return stop();
        const health = await target.#listener.probe();
        if (target.isActive) target.onHealth(health);
      },
      () => undefined,
    );
    this.#stop = stop;
  }
}

/** Whether a call was not even sent, as no server could be reached, or none that is of use. */
function isUnreachable(error: unknown): error is Error {
  if (!isError(error)) return false;
  const { kind, delivery, service } = error as Partial<MoorlineError>;
  if (delivery !== 'none') return false;
  // A tunnel that is down says so itself; whatever it was, the database is out of reach.
  return service === 'ssh' || kind === 'connect' || kind === 'timeout';
}
