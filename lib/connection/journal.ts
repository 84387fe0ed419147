import { log, type LogLevel } from '../logger';
import type { ResolvedConnectionConfig } from './config';
import type { ConnectionEvent } from './state';

const SECRET_HEADER = /auth|token|key|secret|cookie|password|credential|signature/i;
const REDACTED = '[redacted]';

/** What is written down about a connection: its events when it is debugged, and who connected where. */
export class Journal {
  /** Whether the options carry something to authenticate with. */
  readonly hasCredentials: boolean;
  readonly #id: string;
  readonly #config: ResolvedConnectionConfig;

  constructor(id: string, config: ResolvedConnectionConfig) {
    this.#id = id;
    this.#config = config;
    this.hasCredentials =
      Object.keys(config.customHeaders).some((name) => SECRET_HEADER.test(name)) || hasUserInfo(config.url);
  }

  /** An event, where `debug` asks for it. */
  event({ eventType, severity, message, data }: ConnectionEvent): void {
    if (!this.#config.debug) return;
    const level: LogLevel = severity === 'error' ? 'error' : severity === 'warning' ? 'warn' : 'debug';
    const written = () => ({ connection: this.#config.name, message, ...withoutErrors(data) });
    log(level, `connection.${eventType}`, this.#id, written, this.#config.logLevel);
  }

  /** One record for whoever asks later who connected where, and how it came out; where `auditLogging` asks for it. */
  audit(action: string, outcome: 'success' | 'failure', reason?: string): void {
    if (!this.#config.auditLogging) return;
    const { name, connectionType, url } = this.#config;
    const record = () => ({
      action,
      outcome,
      connection: name,
      connectionType,
      url: shownUrl(url),
      ...(reason && { reason }),
    });
    log('info', 'connection.audit', this.#id, record, 'info');
  }
}

/** A configuration as it may be shown: without the values of headers that prove who somebody is. */
export function redacted(config: Readonly<ResolvedConnectionConfig>): ResolvedConnectionConfig {
  const customHeaders = Object.fromEntries(
    Object.entries(config.customHeaders).map(([name, value]) => [name, SECRET_HEADER.test(name) ? REDACTED : value]),
  );
  const shown = { ...config, customHeaders };
  if (shown.url !== undefined) shown.url = shownUrl(shown.url);
  if (shown.fallbackUrl !== undefined) shown.fallbackUrl = shownUrl(shown.fallbackUrl);
  return shown;
}

/** A URL without user, password and query. */
export function shownUrl(url: string | undefined): string {
  try {
    const { protocol, host, pathname } = new URL(url ?? '');
    return `${protocol}//${host}${pathname}`;
  } catch {
    return '';
  }
}

function hasUserInfo(url: string | undefined): boolean {
  try {
    return new URL(url ?? '').username !== '';
  } catch {
    return false;
  }
}

/** Errors do not survive JSON; their message does, and stands in the event already. */
function withoutErrors(data: Record<string, unknown> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => !(value instanceof Error)));
}
