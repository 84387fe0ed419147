import { invalidType, invalidValue } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { isObject } from '../runtime/shape';
import type { PostgresPoolConfig } from '../postgres/options';
import type { SSHTunnel } from '../ssh';
import { readConnectionString, sslOfMode } from './connection-string';
import { type Defaults, defaults } from './defaults';
import type { ClientConfig } from './options';

/** The options of our pool, with the names of libpq's parameters that are options there, too. */
export interface PoolSettings extends PostgresPoolConfig {
  connectionString?: string;
  [parameter: string]: unknown;
}

/** Where a client is connected to. */
export interface Target {
  host: string;
  port: number;
  user: string | undefined;
  database: string | undefined;
}

/** The options that are declared as refused. */
export type Refused = 'stream' | 'binary' | 'replication' | 'Promise' | 'log' | 'verify';

/** @internal The options of a client, or of a pool. */
export type Known = KnownOptions<Record<string, unknown>>;

/** @internal */
export const CLIENT: KnownOptions<Omit<ClientConfig, Refused>> = {
  connectionString: true,
  host: true,
  port: true,
  user: true,
  password: true,
  database: true,
  ssl: true,
  sslnegotiation: true,
  enableChannelBinding: true,
  application_name: true,
  fallback_application_name: true,
  options: true,
  client_encoding: true,
  statement_timeout: true,
  lock_timeout: true,
  idle_in_transaction_session_timeout: true,
  query_timeout: true,
  connectionTimeoutMillis: true,
  keepAlive: true,
  keepAliveInitialDelayMillis: true,
  pipeline: true,
  types: true,
  tunnel: true,
  allowPlainPassword: true,
};

/** Why an option of `pg` is refused. */
const REFUSED: Record<Refused | 'scramMaxIterations' | 'connection', string> = {
  stream: 'connections are made in native code; the option tunnel leads them through SSH',
  binary: 'values are sent as texts',
  replication: 'a replication connection has a protocol of its own',
  Promise: 'promises are those of Node.js',
  log: 'setLogger of moorline receives records',
  verify: 'onConnect can reject a connection',
  scramMaxIterations: 'the iterations of a login are bounded here',
  connection: 'connections are made in native code',
};
/** Options of Node's TLS that a connection to PostgreSQL does not take here. */
const REFUSED_TLS: Record<string, string> = {
  checkServerIdentity:
    'sslmode=verify-ca with uselibpqcompat=true in connectionString checks the certificate without its name',
  passphrase: 'decrypt the key with `openssl pkey`',
  pfx: 'use cert and key',
};

/** Settings that a session begins with. */
const SESSION_TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** The options as they are given, those of the string among them; those that a string alone has are apart. */
interface Given {
  config: ClientConfig;
  libpq: Record<string, string>;
}

/** The options of a client, which are those of a pool of one connection. */
export function readClientConfig(given: string | ClientConfig | undefined): { settings: PoolSettings; target: Target } {
  return readSettings(given, CLIENT);
}

/** @internal The settings of our pool that options are, of which those in `known` are there. */
export function readSettings(
  given: string | ClientConfig | undefined,
  known: Known,
): { settings: PoolSettings; target: Target } {
  const { config, libpq } = readGiven(given, known);
  const pick = <Key extends keyof ClientConfig & keyof Defaults>(key: Key, variable: string) =>
    config[key] || process.env[variable] || defaults[key];
  const target: Target = {
    host: String(pick('host', 'PGHOST')),
    port: Number.parseInt(String(pick('port', 'PGPORT')), 10),
    user: (pick('user', 'PGUSER') || systemUser()) as string | undefined,
    database: pick('database', 'PGDATABASE') as string | undefined,
  };
  const password = pick('password', 'PGPASSWORD') as ClientConfig['password'];
  const name = (config.application_name || process.env['PGAPPNAME'] || defaults.application_name) as string | undefined;
  const settings: PoolSettings = {
    ...target,
    ...(password && { password: password as string }),
    ...readTls(config, libpq),
    applicationName: name || config.fallback_application_name,
    options: sessionOptions(config, (pick('options', 'PGOPTIONS') as string | undefined) ?? ''),
    ...(libpq['connect_timeout'] === undefined && { connectionTimeoutMillis: Infinity }),
    ...(config.connectionTimeoutMillis && { connectionTimeoutMillis: config.connectionTimeoutMillis }),
    queryTimeoutMs: config.query_timeout || defaults.query_timeout || Infinity,
    ...(config.keepAlive !== undefined && { keepAlive: config.keepAlive }),
    ...(config.keepAliveInitialDelayMillis && { keepAliveInitialDelayMillis: config.keepAliveInitialDelayMillis }),
    ...(config.types && { types: config.types }),
    ...(config.tunnel && { tunnel: config.tunnel as SSHTunnel }),
    ...(config.allowPlainPassword && { allowPlainPassword: true }),
    ...(Object.keys(libpq).length > 0 && { connectionString: stringOf(libpq) }),
    // As in `pg`, nothing but its own limits bounds it.
    profile: false,
    maxWaiters: Infinity,
    maxLifetimeMs: Infinity,
    leakAfterMs: Infinity,
  };
  return { settings, target };
}

function stringOf(parameters: Record<string, string>): string {
  const pairs = Object.entries(parameters).map((pair) => pair.map(encodeURIComponent).join('='));
  return `postgres:///?${pairs.join('&')}`;
}

function readGiven(given: string | ClientConfig | undefined, known: Known): Given {
  const config = typeof given === 'string' ? { connectionString: given } : given;
  if (config === undefined || config === null) return { config: {}, libpq: {} };
  if (!isObject(config)) throw invalidType('config', 'a string or an object', config);
  // What `pg` keeps from being printed is not enumerable.
  const options: Record<string, unknown> = { ...config, password: config.password };
  for (const key of Object.keys(options)) {
    // What turns something off that is not there.
    if (!options[key] && (options[key] === null || Object.hasOwn(REFUSED, key))) delete options[key];
  }
  const refused: Record<string, string> = { ...REFUSED };
  checkOptions('config', options, known, refused);
  checkWords(options);
  const string = options['connectionString'];
  if (!string) return { config: options, libpq: {} };
  if (typeof string !== 'string') throw invalidType('config.connectionString', 'a string', string);
  const said = readConnectionString(string);
  for (const [key, value] of Object.entries(said.options))
    if (value !== '' && value !== undefined) options[key] = value;
  return { config: options, libpq: said.libpq };
}

/** What is a number, a flag or a function in `pg`, where another value would be taken for something else. */
function checkWords(options: Record<string, unknown>): void {
  const encoding = options['client_encoding'];
  if (encoding && !/^utf-?8$|^unicode$|^auto$/i.test(String(encoding))) {
    throw invalidValue('config.client_encoding is not supported but as UTF8');
  }
  for (const key of ['keepAlive', 'pipeline', 'allowExitOnIdle', 'enableChannelBinding']) {
    const flag = options[key];
    if (flag !== undefined && typeof flag !== 'boolean') throw invalidType(`config.${key}`, 'a boolean', flag);
  }
}

/** The variables that are left to our pool: where the password file is. */
export function fileVariables(): Record<string, string | undefined> {
  const { HOME, APPDATA, PGPASSFILE } = process.env;
  return { HOME, APPDATA, PGPASSFILE };
}

function systemUser(): string | undefined {
  return defaults.user ?? (process.platform === 'win32' ? process.env['USERNAME'] : process.env['USER']);
}

/** `-c name=value` for each setting that `pg` sends when a session begins. */
function sessionOptions(config: ClientConfig, given: string): string {
  const settings = SESSION_TIMEOUTS.flatMap((name) => {
    const time = config[name] || defaults[name];
    return time ? [`-c ${name}=${Number.parseInt(String(time), 10)}`] : [];
  });
  return [given, ...settings].filter(Boolean).join(' ');
}

function readTls(config: ClientConfig, libpq: Record<string, string>): Record<string, unknown> {
  const mode = process.env['PGSSLMODE'];
  const { sslnegotiation = process.env['PGSSLNEGOTIATION'], enableChannelBinding } = config;
  const binding = enableChannelBinding === false && { channelBinding: 'disable' };
  const direct = sslnegotiation && { sslnegotiation };
  // The string asks for a mode as libpq means it.
  if (libpq['sslmode']) return { ...binding, ...direct };
  const given = config.ssl ?? (mode ? sslOfMode(mode) : defaults.ssl);
  return { ...binding, ...direct, ssl: readSsl(given) };
}

function readSsl(given: unknown): unknown {
  if (typeof given === 'string') return sslOfMode(given);
  if (!isObject(given)) return given;
  const entries = Object.entries({ ...given, key: given['key'] }).filter(([, value]) => value != null);
  for (const [key] of entries) {
    if (Object.hasOwn(REFUSED_TLS, key))
      throw invalidValue(`config.ssl.${key} is not a known option; ${REFUSED_TLS[key]}`);
  }
  return Object.fromEntries(entries);
}
