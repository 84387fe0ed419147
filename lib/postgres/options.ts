import type { SSHTunnel } from '../ssh';
import type { TypesOption } from './types/sets';

/**
 * Options of a {@link PostgresConnectionManager}, and of its fallback. Times are in milliseconds; `Infinity` turns a limit off.
 *
 * One that is not given is taken from `connectionString`, else from an environment variable, else from the profile.
 */
export interface PostgresPoolConfig {
  /** A string such as `postgres://user:password@host:5432/database?sslmode=require`, or `host=… dbname=…`. */
  connectionString?: string | undefined;
  /** The host of the server, or the directory of its Unix socket. Default: `localhost`; through a tunnel, its `remoteHost`. */
  host?: string | undefined;
  /** The port of the server. Default: 5432; through a tunnel, its `remotePort`. */
  port?: number | undefined;
  /** The user. */
  user?: string | undefined;
  /** The password. */
  password?: string | undefined;
  /** The database. Default: that of the user's name. */
  database?: string | undefined;
  /** The name under which the server shows the connections. Default: `moorline`. */
  applicationName?: string | undefined;
  /** Whether the password may be sent in plain text, or as an MD5 hash, without TLS. Default: false. */
  allowPlainPassword?: boolean | undefined;
  /** The tunnel to the server; `false`: none. Default: the shared tunnel of {@link SSHTunnel.getInstance}. */
  tunnel?: SSHTunnel | false | undefined;
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
