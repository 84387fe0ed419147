import type { BreakerOptions, RetryOptions } from '../resilience';
import type { NixtlaTls } from '../runtime/tls';
import type { SSHTunnel } from '../ssh';
import type { TypesOption } from './types/sets';

/** The connection that a password is asked for. */
export interface PasswordTarget {
  /** The host, or the directory of the socket. */
  host: string;
  /** The port. */
  port: number;
  /** The database. */
  database: string;
  /** The user. */
  user: string;
}

/** A function that gives the password, called for each connection whose server asks for one. */
export type PasswordFunction = (target: PasswordTarget) => string | Uint8Array | PromiseLike<string | Uint8Array>;

/** How much TLS is wanted, as libpq means it: `require` checks no certificate, unless an authority is given. */
export type SSLMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Certificates and other material for TLS. */
export interface PostgresTLSOptions extends NixtlaTls {
  /** The same as `serverName`, as Node calls it. */
  servername?: string | undefined;
}

/** Which of several servers is wanted, by what its sessions can do. */
export type TargetSessionAttrs = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';

/** Where servers are, who logs in there, and how the connection is secured. */
export interface PostgresConnectionOptions {
  /**
   * A connection string as libpq reads it: `postgres://…`, `postgresql://…`, or `key=value …`. Options come before what it says, and
   * that before the environment variables `PGHOST`, `PGUSER`, `PGPASSFILE` and the others of libpq.
   */
  connectionString?: string | undefined;
  /**
   * The host of the server, or the directory of its Unix socket; several with commas between them are tried in turn. Default:
   * `localhost`; through a tunnel, its `remoteHost`, which loopback with the tunnel's `localPort` stands for, too.
   */
  host?: string | undefined;
  /** The IP address that is dialled, in place of the host's own; the certificate is still that of `host`. */
  hostaddr?: string | undefined;
  /** The port of the server, or several, as many as there are hosts. Default: 5432; through a tunnel, its `remotePort`. */
  port?: number | string | undefined;
  /** The user. Default: that of the system. */
  user?: string | undefined;
  /** The password, or a function that gives it. Default: that of the password file. */
  password?: string | Uint8Array | PasswordFunction | undefined;
  /** The password file, as libpq reads it. Default: `~/.pgpass`; on Windows `%APPDATA%\postgresql\pgpass.conf`. */
  passfile?: string | undefined;
  /** The database. Default: that of the user's name. */
  database?: string | undefined;
  /** The name under which the server shows the connections. Default: `moorline`. */
  applicationName?: string | undefined;
  /** Settings of each session, as on the command line of a server: `-c statement_timeout=5s`. */
  options?: string | undefined;
  /** Whether the password may be sent in plain text, or as an MD5 hash, without TLS. Default: false. */
  allowPlainPassword?: boolean | undefined;
  /** Whether TLS is spoken and certificates are checked, a mode, or an object with certificates, which are checked. */
  ssl?: boolean | SSLMode | PostgresTLSOptions | undefined;
  /** How much TLS is wanted. Default: `verify-full`; on this machine and through a tunnel, `prefer`. */
  sslmode?: SSLMode | undefined;
  /** Whether TLS is spoken at once (`direct`), without asking for it. Default: `postgres`. */
  sslnegotiation?: 'postgres' | 'direct' | undefined;
  /** The file of the authorities that are trusted, or `system`. Default: those of the system. */
  sslrootcert?: string | undefined;
  /** The file of the certificate of the user; needs `sslkey`. */
  sslcert?: string | undefined;
  /** The file of its private key. */
  sslkey?: string | undefined;
  /** The oldest version of TLS that is spoken: `TLSv1.2` or `TLSv1.3`. Default: `TLSv1.2`. */
  sslMinProtocolVersion?: string | undefined;
  /** Whether the login is bound to the TLS session below it. Default: `prefer`. */
  channelBinding?: 'disable' | 'prefer' | 'require' | undefined;
  /** Which of several servers is wanted. Default: `any`. */
  targetSessionAttrs?: TargetSessionAttrs | undefined;
  /** Whether servers are tried in an order of chance (`random`). Default: `disable`. */
  loadBalanceHosts?: 'disable' | 'random' | undefined;
  /** Whether the system asks a silent server whether it is still there. Default: true. */
  keepAlive?: boolean | undefined;
  /** The time of silence before it is asked; `Infinity`: as the system has it. Default: 30 000. */
  keepAliveInitialDelayMillis?: number | undefined;
  /** The time between two such questions; `Infinity`: as the system has it. Default: 10 000. */
  keepAliveIntervalMs?: number | undefined;
  /** The questions without an answer after which the connection is lost; `Infinity`: as the system has it. Default: 3. */
  keepAliveCount?: number | undefined;
  /** How long what was sent may go without an acknowledgement, on Linux; `Infinity`: as the system has it. Default: 60 000. */
  tcpUserTimeoutMs?: number | undefined;
  /** The tunnel to the server; `false`: none. Default: the shared tunnel of {@link SSHTunnel.getInstance}. */
  tunnel?: SSHTunnel | false | undefined;
}

/** Options of the circuit breaker of a {@link PostgresConnectionManager}. */
export interface PostgresBreakerOptions extends Omit<BreakerOptions, 'excludedExceptions' | 'failureWeight'> {
  /** Whether each attempt is counted, or a call with all its retries. Default: `attempts`. */
  counts?: 'attempts' | 'calls' | undefined;
}

/** Options of a {@link PostgresConnectionManager}. Times are in milliseconds; `Infinity` turns a limit off. */
export interface PostgresPoolConfig extends PostgresConnectionOptions {
  /** The maximum number of connections. Default: that of the profile, else 20. */
  max?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  min?: number | undefined;
  /** The maximum number of free connections. Default: `max`. */
  maxIdle?: number | undefined;
  /** The maximum number of connections that are opened at once. Default: 4. */
  maxConnecting?: number | undefined;
  /** The maximum number of calls that wait for a connection; further ones are rejected with kind `overloaded`. Default: 10 000. */
  maxWaiters?: number | undefined;
  /** The time that a free connection is kept. Default: 30 000. */
  idleTimeoutMillis?: number | undefined;
  /** The time limit for waiting for a connection, and for connecting. Default: that of the profile, else 2000. */
  connectionTimeoutMillis?: number | undefined;
  /** The maximum age of a connection, ±25 %; a borrowed connection is not closed for its age. Default: 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /** The time after which a borrowed connection is reported. Default: 30 000, in production `Infinity`. */
  leakAfterMs?: number | undefined;
  /** The time limit for removing what a borrower has left on a connection; then it is replaced. Default: 5000. */
  recycleTimeoutMs?: number | undefined;
  /** The time limit of a statement. Default: 30 000. */
  queryTimeoutMs?: number | undefined;
  /**
   * `'unnamed'` sends a statement with a name as one without, and uses no state of a session, as behind a pooler that gives each
   * transaction another session. Default: `'named'`, until a statement shows that it is so.
   */
  statementMode?: 'named' | 'unnamed' | undefined;
  /**
   * Repeats what has not reached the server and may succeed later: `connect()`, and `query()` of the pool while there is no connection.
   * Default: false; `true` for the defaults of a {@link Policy}.
   */
  retry?: boolean | Omit<RetryOptions, 'retryableExceptions'> | undefined;
  /** A circuit breaker around the same calls, listed as `postgres-1` and so on. Default: false; `true` for the defaults. */
  breaker?: boolean | PostgresBreakerOptions | undefined;
  /**
   * The time after which a server that answers nothing, not even the system's keep-alive, counts as gone; `Infinity`: as the system
   * has it. Through a tunnel, its own keep-alive counts. Default: 60 000.
   */
  keepAliveTimeoutMs?: number | undefined;
  /** The interval of the health checks; `Infinity`: none. Default: that of the profile, else 60 000. */
  healthCheckIntervalMs?: number | undefined;
  /** `false` opens a connection for each borrower, and closes it when it is released. Default: true. */
  pooling?: boolean | undefined;
  /** `false` turns metrics, the records in the log and the connection log off. Default: true. */
  monitoring?: boolean | undefined;
  /** Whether what happens to connections is written to the table `connection_logs`. Default: false. */
  connectionLog?: boolean | undefined;
  /** The time for which rows of `connection_logs` are kept. Default: 2 592 000 000, which are 30 days. */
  connectionLogRetentionMs?: number | undefined;
  /** How values of results are read. Default: as `pg` reads them. */
  types?: TypesOption | undefined;
  /** The profile of {@link postgresProfiles} whose numbers are the defaults; `false`: none. Default: by the deployment. */
  profile?: 'development' | 'production' | false | undefined;
}

/** The options of a manager in force. A secret is not among them. */
export interface ResolvedPostgresPoolConfig {
  host: string;
  port: string;
  user: string;
  database: string;
  applicationName: string;
  sslmode: string;
  max: number;
  min: number;
  maxIdle: number;
  maxConnecting: number;
  maxWaiters: number;
  idleTimeoutMillis: number;
  connectionTimeoutMillis: number;
  maxLifetimeMs: number;
  leakAfterMs: number;
  recycleTimeoutMs: number;
  keepAliveTimeoutMs: number;
  queryTimeoutMs: number;
  healthCheckIntervalMs: number;
  pooling: boolean;
  monitoring: boolean;
  connectionLog: boolean;
  connectionLogRetentionMs: number;
}
