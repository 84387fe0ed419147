import { invalidTypeRedacted } from '../../runtime/argument-error';
import { isPlainObject } from '../../runtime/shape';
import type { CustomHeaders, ResolvedConnectionConfig } from './config';
import { timeoutFailure } from '../error';
import { traceHeaders } from '../../http/trace';
import type { Abortable } from '../../runtime/abort';
import { withTimeout } from '../../runtime/timers';

const PATH = 'options.customHeaders';

/**
 * The headers that go with a request or a handshake now: `customHeaders`, asked for anew where they are a function, and the
 * caller's trace. What the function throws comes out as it is; each of `signals` ends the wait for it.
 */
export function commonHeaders(
  config: Readonly<ResolvedConnectionConfig>,
  signals: readonly Abortable[],
): Record<string, string> | Promise<Record<string, string>> {
  const { customHeaders } = config;
  if (typeof customHeaders === 'function') return callCustomHeaders(customHeaders, config, signals);
  return { ...customHeaders, ...traceHeaders() };
}

async function callCustomHeaders(
  customHeaders: Extract<CustomHeaders, (...facts: never) => unknown>,
  { timeout, connectionType }: Readonly<ResolvedConnectionConfig>,
  signals: readonly Abortable[],
): Promise<Record<string, string>> {
  const timeoutError = () => timeoutFailure('timeout', timeout, connectionType, 'customHeaders');
  const given: unknown = await withTimeout(timeout, signals, (signal) => customHeaders({ signal }), timeoutError);
  if (!isPlainObject(given)) throw invalidTypeRedacted(`the result of ${PATH}`, 'a plain object', given);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string') throw invalidTypeRedacted(`${PATH}.${JSON.stringify(name)}`, 'a string', value);
  }
  return { ...(given as Record<string, string>), ...traceHeaders() };
}
