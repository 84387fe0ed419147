import type { ResolvedConnectionConfig } from '../config/config';
import type { ConnectionEventOptions } from '../observable';
import { PeriodicCheck } from '../../health/periodic-check';
import { redactUrl } from '../config/redaction';

/** Which of a connection's two addresses is in use. */
export class Fallback {
  readonly #config: Readonly<ResolvedConnectionConfig>;
  readonly #check: PeriodicCheck;
  readonly #probe: (url: string, signal: AbortSignal) => Promise<boolean>;
  readonly #emitEvent: (eventType: string, options: ConnectionEventOptions) => void;
  #active = false;

  /** `probe` says whether the first address answers again. */
  constructor(
    id: string,
    config: Readonly<ResolvedConnectionConfig>,
    probe: (url: string, signal: AbortSignal) => Promise<boolean>,
    emitEvent: (eventType: string, options: ConnectionEventOptions) => void,
  ) {
    this.#config = config;
    this.#probe = probe;
    this.#emitEvent = emitEvent;
    this.#check = new PeriodicCheck(`${id}:url`, config.healthCheckInterval, config.healthCheckTimeout);
  }

  /** Whether there is another address that is not in use yet. */
  get available(): boolean {
    return this.#config.fallbackUrl !== undefined && !this.#active;
  }

  get active(): boolean {
    return this.#active;
  }

  /** The address in use. */
  get currentUrl(): string {
    const { url, fallbackUrl } = this.#config;
    return (this.#active ? fallbackUrl : url) ?? '';
  }

  /** Goes over to `fallbackUrl`, until `url` answers again. */
  activate(reason: string): void {
    if (!this.available) return;
    this.#active = true;
    const data = { url: redactUrl(this.#config.fallbackUrl) };
    this.#emitEvent('fallback_activated', { severity: 'warning', message: reason, data });
    // A listener of the event may have ended it.
    if (this.#active) this.#check.start((signal) => this.#checkPrimary(signal));
  }

  /** Forgets that `url` did not answer: the next one tries it first. */
  reset(): void {
    this.#check.stop();
    this.#active = false;
  }

  async #checkPrimary(signal: AbortSignal): Promise<void> {
    const isReachable = await this.#probe(this.#config.url ?? '', signal).catch(() => false);
    // It may have been stopped meanwhile.
    if (!isReachable || signal.aborted) return;
    this.reset();
    this.#emitEvent('fallback_restored', { data: { url: redactUrl(this.#config.url) } });
  }
}
