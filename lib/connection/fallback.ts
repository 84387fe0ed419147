import type { ResolvedConnectionConfig } from './config';
import type { ConnectionEventOptions } from './life';
import { PeriodicCheck } from './periodic';
import { shownUrl } from './redaction';

/** Which of a connection's two addresses is in use. */
export class Fallback {
  readonly #config: Readonly<ResolvedConnectionConfig>;
  readonly #check: PeriodicCheck;
  readonly #probe: (url: string) => Promise<boolean>;
  readonly #tell: (eventType: string, options: ConnectionEventOptions) => void;
  #active = false;

  /** `probe` says whether the first address answers again. */
  constructor(
    id: string,
    config: Readonly<ResolvedConnectionConfig>,
    probe: (url: string) => Promise<boolean>,
    tell: (eventType: string, options: ConnectionEventOptions) => void,
  ) {
    this.#config = config;
    this.#probe = probe;
    this.#tell = tell;
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
  get url(): string {
    const { url, fallbackUrl } = this.#config;
    return (this.#active ? fallbackUrl : url) ?? '';
  }

  /** Goes over to `fallbackUrl`, until `url` answers again. */
  activate(reason: string): void {
    if (!this.available) return;
    this.#active = true;
    const data = { url: shownUrl(this.#config.fallbackUrl) };
    this.#tell('fallback_activated', { severity: 'warning', message: reason, data });
    this.#check.start(async () => {
      if (await this.#probe(this.#config.url ?? '')) this.restore();
    });
  }

  /** Goes back. */
  restore(): void {
    this.stop();
    if (!this.#active) return;
    this.#active = false;
    this.#tell('fallback_restored', { data: { url: shownUrl(this.#config.url) } });
  }

  /** Does not look for the first address any more. */
  stop(): void {
    this.#check.stop();
  }
}
