import type { ResolvedConnectionConfig } from '../config/config';
import type { ConnectionEventOptions } from '../observable';
import { PeriodicCheck } from '../../health/periodic-check';
import { redactUrl } from '../config/redaction';

/** What is needed of a connection with two addresses. */
interface FallbackOwner {
  readonly connectionId: string;
  readonly config: Readonly<ResolvedConnectionConfig>;
  emitEvent(eventType: string, options: ConnectionEventOptions): void;
}

/** Which of a connection's two addresses is in use. */
export class Fallback<Owner extends FallbackOwner> {
  readonly #owner: Owner;
  readonly #probe: (owner: Owner, url: string, signal: AbortSignal) => Promise<boolean>;
  /** Looks for the first address; made when that is left. */
  #check: PeriodicCheck | undefined;
  #active = false;

  /** `probe` says whether the first address of `owner` answers again. */
  constructor(owner: Owner, probe: (owner: Owner, url: string, signal: AbortSignal) => Promise<boolean>) {
    this.#owner = owner;
    this.#probe = probe;
  }

  /** Whether there is another address that is not in use yet. */
  get available(): boolean {
    return this.#owner.config.fallbackUrl !== undefined && !this.#active;
  }

  get active(): boolean {
    return this.#active;
  }

  /** The address in use. */
  get currentUrl(): string {
    const { url, fallbackUrl } = this.#owner.config;
    return (this.#active ? fallbackUrl : url) ?? '';
  }

  /** Goes over to `fallbackUrl`, until `url` answers again. */
  activate(reason: string): void {
    if (!this.available) return;
    this.#active = true;
    const { connectionId, config } = this.#owner;
    const data = { url: redactUrl(config.fallbackUrl) };
    this.#owner.emitEvent('fallback_activated', { severity: 'warning', message: reason, data });
    // A listener of the event may have ended it.
    if (!this.#active) return;
    this.#check ??= new PeriodicCheck(`${connectionId}:url`, config.healthCheckInterval, config.healthCheckTimeout);
    this.#check.start((signal) => this.#checkPrimary(signal));
  }

  /** Forgets that `url` did not answer: the next one tries it first. */
  reset(): void {
    this.#check?.stop();
    this.#active = false;
  }

  async #checkPrimary(signal: AbortSignal): Promise<void> {
    const isReachable = await this.#probe(this.#owner, this.#owner.config.url ?? '', signal).catch(() => false);
    // It may have been stopped meanwhile.
    if (!isReachable || signal.aborted) return;
    this.reset();
    this.#owner.emitEvent('fallback_restored', { data: { url: redactUrl(this.#owner.config.url) } });
  }
}
