import type { ConnectionOptions } from 'node:tls';

import type { TypeFormat } from '../postgres/types/registry';

/** What has a parser for each type, such as `types`. */
export interface CustomTypesConfig {
  getTypeParser: (oid: number, format?: TypeFormat) => any;
}

/** An `SSHTunnel` of moorline. */
export interface Tunnel {
  isConnectedToTunnel(): boolean;
}

/** Options of a `Client`, with the names and units of `pg`. Times are in milliseconds; 0 turns a limit off. */
export interface ClientConfig {
  /** A string such as `postgres://user:password@host:5432/database`. What it says comes before the other options. */
  connectionString?: string | undefined;
  /** The host of the server, or the directory of its Unix socket. Default: `PGHOST`, else `localhost`. */
  host?: string | undefined;
  /** The port of the server. Default: `PGPORT`, else 5432. */
  port?: number | undefined;
  /** The user. Default: `PGUSER`, else the user of the process. */
  user?: string | undefined;
  /** The password, or a function that gives it for each connection. Default: `PGPASSWORD`, else that of the password file. */
  password?: string | (() => string | Promise<string>) | undefined;
  /** The database. Default: `PGDATABASE`, else that of the user's name. */
  database?: string | undefined;
  /** TLS; with `true` or an object the certificate is checked. Default: `PGSSLMODE`, else none. */
  ssl?: boolean | ConnectionOptions | undefined;
  /** `direct` begins with TLS without asking for it. Default: `PGSSLNEGOTIATION`, else `postgres`. */
  sslnegotiation?: 'postgres' | 'direct' | undefined;
  /** Whether a login is bound to the TLS session below it. Default: where the server can do it. */
  enableChannelBinding?: boolean | undefined;
  /** The name under which the server shows the connection. Default: `PGAPPNAME`, else `fallback_application_name`. */
  application_name?: string | undefined;
  /** The name of connections that have no `application_name`. */
  fallback_application_name?: string | undefined;
  /** Settings of the session, as they stand on a server's command line. Default: `PGOPTIONS`. */
  options?: string | undefined;
  /** The encoding of texts, which is UTF-8. */
  client_encoding?: string | undefined;
  /** The time limit of a statement on the server. */
  statement_timeout?: number | false | undefined;
  /** The time limit of waiting for a lock on the server. */
  lock_timeout?: number | false | undefined;
  /** The time after which the server ends a session that is idle in a transaction. */
  idle_in_transaction_session_timeout?: number | false | undefined;
  /** The time limit of a statement in this process; then it is cancelled on the server. */
  query_timeout?: number | false | undefined;
  /** The time limit of connecting, and of waiting for a connection of a pool. */
  connectionTimeoutMillis?: number | undefined;
  /** Whether the system asks a silent server if it is still there. Default: true. */
  keepAlive?: boolean | undefined;
  /** How long a server may be silent before that. Default: 30 000. */
  keepAliveInitialDelayMillis?: number | undefined;
  /** Whether statements are sent without waiting for the results of those before; they always are. */
  pipeline?: boolean | undefined;
  /** How values of results are read. Default: `types`. */
  types?: CustomTypesConfig | undefined;
  /** The tunnel to the server, an `SSHTunnel` of moorline. Default: none. */
  tunnel?: Tunnel | undefined;
  /** Whether the password may be sent in plain text, or as an MD5 hash, without TLS; of moorline alone. Default: false. */
  allowPlainPassword?: boolean | undefined;
  /** Refused: connections are made in native code; `tunnel` leads them through SSH. */
  stream?: never;
  /** Refused: values are sent as texts. */
  binary?: never;
  /** Refused: a replication connection has a protocol of its own. */
  replication?: never;
  /** Refused: promises are those of Node.js. */
  Promise?: never;
}
