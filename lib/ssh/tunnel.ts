import { EventEmitter } from 'node:events';
import { inspect, type InspectOptions } from 'node:util';

import { invalidState } from '../runtime/argument-error';
import { emitGuarded, type EventName, type EventSource, eventSource, publishEvent } from '../runtime/emitter';
import type { MoorlineEvent } from '../runtime/emitter';
import { failureRecord, toMoorlineError, type MoorlineError } from '../runtime/error';
import { messageOf } from '../runtime/error-message';
import { log } from '../runtime/logger';
import { type CredentialRequests, type Handle, native, type NativeObject, type SshTunnel } from '../runtime/native';
import { call, weakListener } from '../runtime/native-call';
import { singleton } from '../runtime/singleton';
import { loadEnvironmentFile, variables } from './environment';
import {
  copyOptions,
  type CredentialFunctions,
  functionsOf,
  type ResolvedTunnelConfig,
  type SSHPrompt,
  type TunnelConfig,
  type TunnelEnvironmentOptions,
} from './options';

/** The states of a tunnel, as its `state` events name them. */
export type TunnelState = 'disconnected' | 'connected' | 'reconnecting';

/** The figures of a tunnel. */
export interface TunnelStats {
  /** Open sessions. */
  sessions: number;
  /** Sessions that are being opened. */
  openingSessions: number;
  /** Open channels, one for each socket. */
  channels: number;
  /** Channels that the server was asked for and has not answered about. */
  openingChannels: number;
  /** Callers that wait for a session, or for room in one. */
  waiting: number;
  /** Bytes received, with all that the protocol adds. */
  receivedBytes: number;
  /** Bytes sent. */
  sentBytes: number;
  /** Losses after which the tunnel was connected again. */
  reconnects: number;
  /** The last round trip to the server that was measured, in milliseconds. */
  roundTripMs?: number;
}

/** The facts of the events of an {@link SSHTunnel}. */
export interface TunnelFacts {
  /** After a loss: the attempts that it took to connect again, and how long the tunnel was down. */
  open: { attempts?: number; downMs?: number };
  close: object;
  /** A session was lost while others are open. */
  destroy: { openSessions: number; error: MoorlineError };
  retry: { attempt: number; delayMs: number };
  state: { from: TunnelState; to: TunnelState };
  health: { healthy: boolean; roundTripMs?: number; error?: MoorlineError };
}

/** The arguments of the events of an {@link SSHTunnel}: its own, and any that its users emit on it. */
export interface TunnelEvents {
  open: [event: MoorlineEvent & TunnelFacts['open']];
  close: [event: MoorlineEvent];
  destroy: [event: MoorlineEvent & TunnelFacts['destroy']];
  retry: [event: MoorlineEvent & TunnelFacts['retry']];
  state: [event: MoorlineEvent & TunnelFacts['state']];
  health: [event: MoorlineEvent & TunnelFacts['health']];
  error: [error: MoorlineError];
  maxRetriesExceeded: [];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [name: string | symbol]: any[];
}

/** An event of the addon. */
type NativeEvent =
  | { event: 'open' | 'close' }
  | { event: 'lost'; openSessions: number; failure: string }
  | { event: 'retry'; attempt: number; delayMs: number }
  | { event: 'reconnected'; attempts: number; downMs: number }
  | { event: 'retriesExceeded'; attempts: number; failure: string }
  | { event: 'refused' | 'sessionFailed' | 'localPortFailed'; failure: string }
  | { event: 'checked'; roundTripMs: number | null }
  | { event: 'insecureHostKey'; host: string }
  | { event: 'unknownMarker'; line: string }
  | { event: 'banner'; host: string; text: string };

/** A request of the addon for a credential. */
type NativeRequest = { requestId: number; hop: number; host: string; username: string } & (
  | { request: 'password' | 'passphrase' }
  | { request: 'keyboardInteractive'; name: string; instruction: string; prompts: SSHPrompt[] }
);

/** The options of a tunnel that the environment describes. */
class TunnelEnvironment {
  constructor(readonly given: Partial<TunnelConfig>) {}
}

/** Tunnels that were opened and not closed: they stay, though nobody may hold them but a local port. */
const connectedTunnels = new Set<SSHTunnel>();

/** @internal A tunnel, as an option of what dials. */
let optionOf: (tunnel: SSHTunnel) => Handle<NativeObject>;

/**
 * A tunnel through an SSH server, which connections of this package go through by their option `tunnel`, each in a channel of
 * its own. No port is opened, unless `localPort` is given for other clients.
 *
 * The host key is verified before anything is sent. A lost session is replaced: at once, then with growing delays, `maxRetries` times;
 * after that, whenever somebody needs the tunnel. An idle tunnel does not keep the process alive.
 *
 * Emits `open`, `close`, `retry` before each attempt to connect again, `state`, `health` for each check, `destroy` when one of
 * several sessions was lost, `maxRetriesExceeded`, and `error` with the error itself when the tunnel is lost, or refused when it
 * connects again. An `error` without a listener is not thrown. Any other event may be emitted on it.
 *
 * @example
 * ```ts
 * import { HTTPConnection, SSHTunnel } from 'moorline';
 *
 * const tunnel = new SSHTunnel({ sshHost: 'bastion.example.com', sshUsername: 'deploy', sshKeyPath: '~/.ssh/id_ed25519' });
 * await tunnel.connect();
 * const service = new HTTPConnection({ url: 'https://api.example.com', tunnel });
 * console.log((await service.request({ url: '/orders' })).status); // 200
 * await service.disconnect();
 * await tunnel.disconnect();
 * ```
 */
export class SSHTunnel extends EventEmitter<TunnelEvents> {
  readonly #handle: Handle<SshTunnel>;
  readonly #requests: Handle<CredentialRequests>;
  readonly #functions: CredentialFunctions[];
  readonly #source: EventSource;
  #option: Handle<NativeObject> | undefined;
  #state: TunnelState = 'disconnected';

  /**
   * Opens nothing yet.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: TunnelConfig) {
    super();
    const isEnvironment = (config as unknown) instanceof TunnelEnvironment;
    const given = copyOptions(isEnvironment ? (config as unknown as TunnelEnvironment).given : config);
    this.#requests = native.sshCredentialRequests(weakListener(this, SSHTunnel.#onRequest));
    this.#handle = native.sshOpen(
      given,
      variables(),
      isEnvironment,
      this.#requests,
      weakListener(this, SSHTunnel.#onEvent),
    );
    this.#functions = functionsOf(given);
    const { sshHost, sshPort } = this.options();
    this.#source = eventSource('ssh', `${sshHost}:${sshPort}`);
  }

  static {
    optionOf = (tunnel) => (tunnel.#option ??= native.sshAsOption(tunnel.#handle));
  }

  /**
   * Returns the shared tunnel of this JavaScript environment, which the first call creates with `config`; that of later calls is
   * ignored.
   */
  static initializeInstance(config: TunnelConfig): SSHTunnel {
    return shared.get({ config });
  }

  /**
   * Returns the shared tunnel; if there is none, it is created by the environment variables `SSH_HOST`, `SSH_USER`, `SSH_KEY_PATH`
   * and others, and by a file that gives those that are not set: the nearest `.env.local` in the working directory or above it, up to the
   * nearest package.json.
   *
   * @throws TypeError `Missing required environment variables: …`, `SSH key file not found at path: …`
   */
  static initializeFromEnv(options: TunnelEnvironmentOptions = {}): SSHTunnel {
    return shared.get({ environment: options });
  }

  /**
   * Returns the shared tunnel.
   *
   * @throws TypeError `SSHTunnel not initialized. …` if there is none.
   */
  static getInstance(): SSHTunnel {
    return shared.get();
  }

  /** Forgets the shared tunnel. If it is connected, it is closed in the background. */
  static resetInstance(): void {
    shared
      .reset()
      ?.disconnect()
      .catch(() => undefined);
  }

  /**
   * Connects. Does nothing if the tunnel is connected, and waits for an attempt that is under way.
   *
   * @throws MoorlineError of kind `auth` when the host or the user was refused, `connect` or `timeout` when there was no connection;
   * TypeError for a key file that is missing or has no key.
   */
  async connect(): Promise<void> {
    await call(() => native.sshConnect(this.#handle), undefined, toTunnelError);
  }

  /** Closes all sessions, channels and the local port. `connect` opens the tunnel again. */
  async disconnect(): Promise<void> {
    await call(() => native.sshDisconnect(this.#handle));
  }

  /** Whether a session is open. */
  isConnectedToTunnel(): boolean {
    return native.sshIsConnected(this.#handle);
  }

  /** Measures a round trip to the server; whether it answered. Never rejects. */
  async healthCheck(): Promise<boolean> {
    const facts = await call(() => native.sshPing(this.#handle)).then(
      (roundTripMs) => ({ healthy: true, roundTripMs }),
      (error: unknown) => ({ healthy: false, error }),
    );
    this.#publish('health', facts);
    return facts.healthy;
  }

  /** Returns the figures of the tunnel. */
  stats(): TunnelStats {
    const { roundTripMs, ...figures } = JSON.parse(native.sshStats(this.#handle)) as TunnelStats & {
      roundTripMs: number | null;
    };
    return roundTripMs === null ? figures : { ...figures, roundTripMs };
  }

  /** The local port, while it is open. */
  get localPort(): number | undefined {
    return native.sshLocalPort(this.#handle) ?? undefined;
  }

  /** Returns the options in force. Secrets are `[redacted]`. */
  options(): ResolvedTunnelConfig {
    // JSON has no Infinity: a limit that is off crosses as null.
    return JSON.parse(
      native.sshOptions(this.#handle),
      (_, value: unknown) => value ?? Infinity,
    ) as ResolvedTunnelConfig;
  }

  /** The same as `disconnect`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }

  /** The options in force, for JSON. Secrets are `[redacted]`. */
  toJSON(): ResolvedTunnelConfig {
    return this.options();
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const printable = { server: this.#source.name, connected: this.isConnectedToTunnel(), ...this.stats() };
    return `${this.constructor.name} ${inspect(printable, options)}`;
  }

  #publish(event: EventName, facts?: object, argumentOf?: (payload: MoorlineEvent) => unknown): void {
    publishEvent(this as EventEmitter, this.#source, event, () => facts ?? {}, argumentOf);
  }

  #publishError(error: unknown): void {
    this.#publish('error', { error }, (payload) => payload['error']);
  }

  #setState(to: TunnelState): void {
    const from = this.#state;
    this.#state = to;
    if (from !== to) this.#publish('state', { from, to });
  }

  static #onEvent(tunnel: SSHTunnel, text: string): void {
    tunnel.#onNativeEvent(JSON.parse(text) as NativeEvent);
  }

  #onNativeEvent(event: NativeEvent): void {
    switch (event.event) {
      case 'open':
        connectedTunnels.add(this);
        this.#setState('connected');
        return this.#publish('open');
      case 'close':
        connectedTunnels.delete(this);
        this.#setState('disconnected');
        return this.#publish('close');
      case 'lost':
        return this.#onLost(event.openSessions, toMoorlineError(event.failure));
      case 'retry':
        return this.#publish('retry', { attempt: event.attempt, delayMs: event.delayMs });
      case 'reconnected':
        this.#setState('connected');
        return this.#publish('open', { attempts: event.attempts, downMs: event.downMs });
      case 'retriesExceeded':
        this.#setState('disconnected');
        this.#log('Failed to reconnect after maximum retries', toMoorlineError(event.failure));
        return emitGuarded(this as EventEmitter, 'maxRetriesExceeded');
      case 'refused':
        this.#setState('disconnected');
        this.#log('Refused while connecting again', toMoorlineError(event.failure));
        return this.#publishError(toMoorlineError(event.failure));
      case 'checked':
        return this.#publish('health', healthFacts(event.roundTripMs));
      case 'sessionFailed':
        return this.#log('A further session could not be opened', toMoorlineError(event.failure));
      case 'localPortFailed':
        this.#log('The local port could not be opened again', toMoorlineError(event.failure));
        return this.#publish('health', { healthy: false, error: toMoorlineError(event.failure) });
      default:
        return this.#onNotice(event);
    }
  }

  #onLost(openSessions: number, error: unknown): void {
    if (openSessions > 0) return this.#publish('destroy', { openSessions, error });
    this.#setState('reconnecting');
    this.#publishError(error);
  }

  #onNotice(event: Extract<NativeEvent, { event: 'insecureHostKey' | 'unknownMarker' | 'banner' }>): void {
    const { event: name, ...facts } = event;
    if (name === 'banner') log('info', 'ssh.banner', this.#source.name, () => facts);
    else if (name === 'insecureHostKey') log('warn', 'ssh.host-key-unverified', this.#source.name, () => facts);
    else log('warn', 'ssh.known-hosts-line-skipped', this.#source.name, () => facts);
  }

  #log(reason: string, error: unknown): void {
    log('warn', 'ssh.failed', this.#source.name, () => ({ reason, error: messageOf(error) }));
  }

  async #answer(request: NativeRequest): Promise<void> {
    const { requestId, hop, host, username, request: option } = request;
    const path = hop < this.#functions.length - 1 ? `options.jumpHosts[${hop}].${option}` : `options.${option}`;
    try {
      const ask = this.#functions[hop]?.[option] as (...args: unknown[]) => unknown;
      const answers =
        request.request === 'keyboardInteractive'
          ? await ask(request.prompts, { host, username, name: request.name, instruction: request.instruction })
          : [await ask({ host, username })];
      native.sshAnswer(this.#requests, requestId, path, answers);
    } catch (error) {
      native.sshRefuse(this.#requests, requestId, path, messageOf(error));
    }
  }

  static #onRequest(tunnel: SSHTunnel, text: string): void {
    tunnel.#answer(JSON.parse(text) as NativeRequest).catch(() => undefined);
  }
}

function healthFacts(roundTripMs: number | null): TunnelFacts['health'] {
  return roundTripMs === null ? { healthy: false } : { healthy: true, roundTripMs };
}

/** The addon's codes of a programmer's mistake. */
const MISTAKES = /^ERR_INVALID_ARG_/;

/** A key file that is missing, and what a function returned that is no secret, are the caller's mistakes. */
function toTunnelError(rejection: unknown): unknown {
  const record = failureRecord(rejection);
  if (!record || !MISTAKES.test(record.code)) return toMoorlineError(rejection);
  const { message, code, cause } = record;
  return Object.assign(new TypeError(message, cause && { cause }), { code });
}

const shared = singleton('ssh', (given?: { config?: TunnelConfig; environment?: TunnelEnvironmentOptions }) => {
  if (given?.environment) {
    const { envFile, ...options } = given.environment;
    loadEnvironmentFile(envFile);
    return new SSHTunnel(new TunnelEnvironment(options) as object as TunnelConfig);
  }
  if (given) return new SSHTunnel(given.config!);
  throw invalidState('SSHTunnel not initialized. Call initializeInstance first.');
});

/** @internal Options whose `tunnel`, if it is one, is as the addon takes it. */
export function withTunnel<Options extends { tunnel?: unknown }>(options: Options): Options {
  const tunnel = (options as Options | null | undefined)?.tunnel;
  return tunnel instanceof SSHTunnel ? { ...options, tunnel: optionOf(tunnel) } : options;
}
