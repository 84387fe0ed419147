import { MoorlineError } from '../runtime/error';
import { URL } from '../runtime/node';
import { log, type LogLevel } from '../runtime/logger';
import { isError } from '../runtime/error-message';
import { native } from '../runtime/native';
import { handleOf, type ResolvedConnectionConfig } from './config/config';
import type { ConnectionEvent } from './event';
import { toError } from './error';
import { redactUrl } from './config/redaction';

/** Codes of errors of what the security level forbids, before anything is sent. */
const FORBIDDEN = new Set(['ERR_MOORLINE_PLAIN_TEXT_REFUSED', 'ERR_MOORLINE_ADDRESS_REFUSED', 'ERR_INSECURE_REDIRECT']);

/** The log of one connection: its events when it is debugged, and who connected where. */
export class AuditLog {
  /** Whether the options carry something to authenticate with. */
  readonly hasCredentials: boolean;
  readonly #id: string;
  readonly #config: ResolvedConnectionConfig;

  constructor(id: string, config: ResolvedConnectionConfig) {
    this.#id = id;
    this.#config = config;
    const { customHeaders, url } = config;
    const names = Object.keys(customHeaders);
    this.hasCredentials =
      typeof customHeaders === 'function' || names.some((name) => !native.isHarmlessHeader(name)) || hasUserInfo(url);
  }

  /** An event, where `debug` asks for it. */
  logEvent({ eventType, severity, message, data }: ConnectionEvent): void {
    if (!this.#config.debug) return;
    const level: LogLevel = severity === 'error' ? 'error' : severity === 'warning' ? 'warn' : 'debug';
    const fields = () => ({ connection: this.#config.name, message, ...withoutErrors(data) });
    log(level, `connection.${eventType}`, this.#id, fields, this.#config.logLevel);
  }

  /** Warns once where any server would be taken for the right one. */
  warnUncheckedCertificates(): void {
    const { name, connectionType, url } = this.#config;
    if (native.connectionChecksCertificates(handleOf(this.#config))) return;
    const fields = () => ({ connection: name, connectionType, url: redactUrl(url) });
    log('warn', 'connection.certificates-unchecked', this.#id, fields);
  }

  /** Audits an error that concerns security: what the level forbids, and an untrusted certificate. */
  auditSecurityError(error: unknown): void {
    if (!(error instanceof MoorlineError)) return;
    if (error.kind === 'tls' || FORBIDDEN.has(error.code)) this.audit('security', 'failure', error);
  }

  /**
   * Writes a record of who connected where, and with which outcome, if `auditLogging` is on: at `info`, and at `warn`, with
   * the reason, for a failure.
   */
  audit(action: string, outcome: 'success' | 'failure', error?: unknown): void {
    if (!this.#config.auditLogging) return;
    const { name, connectionType, url } = this.#config;
    const level = outcome === 'success' ? 'info' : 'warn';
    log(level, 'connection.audit', this.#id, () => ({
      action,
      outcome,
      connection: name,
      connectionType,
      url: redactUrl(url),
      ...(error !== undefined && messageAndCode(error)),
    }));
  }
}

/** The message and the code of an error. */
function messageAndCode(error: unknown): { reason: string; code?: string } {
  const { message, code } = toError(error) as NodeJS.ErrnoException;
  return { reason: message, ...(typeof code === 'string' && { code }) };
}

function hasUserInfo(url: string | undefined): boolean {
  if (url === undefined || !URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

/** Errors do not survive JSON; their message does, and stands in the event already. */
function withoutErrors(data: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => !isError(value)));
}
