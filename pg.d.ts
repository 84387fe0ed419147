/// <reference types="node" />
// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { EventEmitter } from 'node:events';
import { ConnectionOptions } from 'node:tls';

type TypeFormat = 'text' | 'binary';
type TypeParser<T = any, Value = string> = (value: Value) => T;
interface TypeParsers {
  /** The parser of a type, by its number. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
}
declare class TypeRegistry implements TypeParsers {
  #private;
  /** The numbers of types by their names. */
  readonly builtins: {
    readonly BOOL: 16;
    readonly BYTEA: 17;
    readonly CHAR: 18;
    readonly INT8: 20;
    readonly INT2: 21;
    readonly INT4: 23;
    readonly REGPROC: 24;
    readonly TEXT: 25;
    readonly OID: 26;
    readonly TID: 27;
    readonly XID: 28;
    readonly CID: 29;
    readonly JSON: 114;
    readonly XML: 142;
    readonly PG_NODE_TREE: 194;
    readonly SMGR: 210;
    readonly PATH: 602;
    readonly POLYGON: 604;
    readonly CIDR: 650;
    readonly FLOAT4: 700;
    readonly FLOAT8: 701;
    readonly ABSTIME: 702;
    readonly RELTIME: 703;
    readonly TINTERVAL: 704;
    readonly CIRCLE: 718;
    readonly MACADDR8: 774;
    readonly MONEY: 790;
    readonly MACADDR: 829;
    readonly INET: 869;
    readonly ACLITEM: 1033;
    readonly BPCHAR: 1042;
    readonly VARCHAR: 1043;
    readonly DATE: 1082;
    readonly TIME: 1083;
    readonly TIMESTAMP: 1114;
    readonly TIMESTAMPTZ: 1184;
    readonly INTERVAL: 1186;
    readonly TIMETZ: 1266;
    readonly BIT: 1560;
    readonly VARBIT: 1562;
    readonly NUMERIC: 1700;
    readonly REFCURSOR: 1790;
    readonly REGPROCEDURE: 2202;
    readonly REGOPER: 2203;
    readonly REGOPERATOR: 2204;
    readonly REGCLASS: 2205;
    readonly REGTYPE: 2206;
    readonly UUID: 2950;
    readonly TXID_SNAPSHOT: 2970;
    readonly PG_LSN: 3220;
    readonly PG_NDISTINCT: 3361;
    readonly PG_DEPENDENCIES: 3402;
    readonly TSVECTOR: 3614;
    readonly TSQUERY: 3615;
    readonly GTSVECTOR: 3642;
    readonly REGCONFIG: 3734;
    readonly REGDICTIONARY: 3769;
    readonly JSONB: 3802;
    readonly REGNAMESPACE: 4089;
    readonly REGROLE: 4096;
  };
  /** Reads texts of arrays. */
  readonly arrayParser: {
    create<T = string>(
      text: string,
      parse?: (element: string) => T,
    ): {
      parse(): unknown[];
    };
  };
  /** What it has no parser for, `base` has; without it the text is the value. */
  constructor(parsers?: Iterable<readonly [number, TypeParser]>, base?: TypeParsers);
  /** Sets the parser of a type for values in the text format, which all are but those of binary cursors. */
  setTypeParser(oid: number, parser: TypeParser): void;
  /** Sets the parser of a type for values in the text format. */
  setTypeParser(oid: number, format: 'text', parser: TypeParser): void;
  /** Sets the parser of a type for values in the binary format. */
  setTypeParser(oid: number, format: 'binary', parser: TypeParser<any, Buffer>): void;
  /** The parser of a type; of one without it, what gives the text, or the bytes. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
}
/** A column of a result, as the server describes it. */
export interface FieldDef {
  /** The name. */
  readonly name: string;
  /** The number of the table that it is of; 0 for none. */
  readonly tableID: number;
  /** The number of the column in it; 0 for none. */
  readonly columnID: number;
  /** The number of its type. */
  readonly dataTypeID: number;
  /** The size of the type in bytes; negative for one that varies. */
  readonly dataTypeSize: number;
  /** The modifier of the type, such as the length of a varchar; -1 for none. */
  readonly dataTypeModifier: number;
  /** The format of the values. */
  readonly format: 'text' | 'binary';
}
type TransactionStatus = 'I' | 'T' | 'E';
type ErrorKind =
  | 'closed'
  | 'circuit-open'
  | 'rate-limited'
  | 'overloaded'
  | 'pool-timeout'
  | 'timeout'
  | 'connect'
  | 'tls'
  | 'auth'
  | 'disconnected'
  | 'rejected'
  | 'protocol'
  | 'signature'
  | 'connector'
  | 'internal';
type Delivery = 'none' | 'unknown' | 'answered';
interface ErrorDetail {
  /** The HTTP status of the response that refused the operation. */
  status?: number;
  /** For a refused WebSocket: the headers of the response by name. The value of a header that may contain a credential is `[redacted]`. */
  headers?: Record<string, string>;
  /** For a refused WebSocket: the beginning of the response body, on one line, without the credentials that were sent. */
  body?: string;
  /** For a refused WebSocket: the target of the redirect, without its query. */
  location?: string;
  /** The option whose time limit was reached. */
  limit?: string;
  /** The phase that the call was in. */
  phase?: string;
  /** The close code of a WebSocket. */
  closeCode?: number;
  /** The reason in the close frame of a WebSocket. */
  reason?: string;
  [fact: string]: unknown;
}
interface ErrorFields {
  kind: ErrorKind;
  /** What the usual client of the service gives (`ECONNREFUSED`, `SQLITE_CONSTRAINT`), else `ERR_MOORLINE_…`. */
  code: string;
  service: string;
  operation: string;
  delivery: Delivery;
  /** Whether a repeat may succeed and does no harm. */
  retryable: boolean;
  /** How many attempts were made in all; 0 for a call that was refused before its first. */
  attempts: number;
  /** How long the server or the breaker asks to wait, in milliseconds. */
  retryAfterMs?: number;
  /** Further facts: an HTTP status, the elapsed time. */
  detail?: Record<string, unknown>;
}
declare class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: ErrorDetail;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  /** Returns all fields as a plain object, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
declare class PostgresError extends MoorlineError {
  /** `ERROR`, `FATAL` or `PANIC`. */
  readonly severity?: string;
  /** What the server says in more words. */
  readonly serverDetail?: string;
  /** What the server suggests. */
  readonly hint?: string;
  /** The position in the text, in characters from 1. */
  readonly position?: string;
  /** The position in `internalQuery`. */
  readonly internalPosition?: string;
  /** The statement that the server generated itself. */
  readonly internalQuery?: string;
  /** The context, such as the call stack of functions. */
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  /** The place in the source of the server. */
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
}
declare const PostgresErrorBase: new (
  message: string,
  fields: ErrorFields,
  options?: ErrorOptions,
) => Omit<PostgresError, 'detail'>;
/**
 * An error of the server, with the fields that `pg` gives it. It is a `PostgresError` of moorline, too, with `kind`, `delivery` and
 * `retryable`.
 */
export declare class DatabaseError extends PostgresErrorBase {
  /** What the server says in more words. */
  readonly detail?: string;
}
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
/** A row by its columns. */
export interface QueryResultRow {
  [column: string]: any;
}
/** What every result has beside its rows. */
export interface QueryResultBase {
  /** The first word of what the server says the statement was, such as `SELECT`. */
  command: string;
  /** The number of rows that it returned or changed; null for one that does neither. */
  rowCount: number | null;
  /** The number of the row that an INSERT made, of servers before PostgreSQL 12. */
  oid: number;
  /** The columns. */
  fields: FieldDef[];
}
/** The result of one statement. The type of its rows is not checked at run time. */
export interface QueryResult<R extends QueryResultRow = any> extends QueryResultBase {
  rows: R[];
}
/** The result of one statement whose rows are arrays. */
export interface QueryArrayResult<R extends any[] = any[]> extends QueryResultBase {
  rows: R[];
}
/** The values of a statement. */
export type QueryConfigValues<T> = T extends any[] ? T : never;
/** A statement with its options. */
export interface QueryConfig<I = any[]> {
  /** The text; without `values` it may be several statements. */
  text: string;
  /** The name under which the server keeps the statement for the connection. */
  name?: string | undefined;
  /** The values of `$1`, `$2`, … */
  values?: QueryConfigValues<I> | undefined;
  /** How values of the result are read. */
  types?: CustomTypesConfig | undefined;
  /** The time limit in milliseconds, in place of that of the configuration. */
  query_timeout?: number | undefined;
  /** `extended` sends a statement without values as one with values is sent. */
  queryMode?: 'extended' | undefined;
  /** A signal that cancels the statement, also on the server; of moorline alone. */
  signal?: AbortSignal | undefined;
}
/** A statement whose rows are arrays. */
export interface QueryArrayConfig<I = any[]> extends QueryConfig<I> {
  rowMode: 'array';
}
/** A notice of the server, with the fields of an error. */
export interface NoticeMessage extends Partial<Pick<DatabaseError, NoticeField>> {
  message: string | undefined;
}
type NoticeField =
  | 'severity'
  | 'code'
  | 'detail'
  | 'hint'
  | 'position'
  | 'internalPosition'
  | 'internalQuery'
  | 'where'
  | 'schema'
  | 'table'
  | 'column'
  | 'dataType'
  | 'constraint'
  | 'file'
  | 'line'
  | 'routine';
/** A message that a session sent with `NOTIFY`. */
export interface Notification {
  processId: number;
  channel: string;
  payload?: string | undefined;
}
/** The events of a {@link Client}, with what their listeners receive. */
export interface ClientEvents {
  /** It is connected. */
  connect: [];
  /** No statement runs or waits any more. */
  drain: [];
  /** The connection was lost. Without a listener, nothing happens. */
  error: [error: Error];
  /** The connection has ended. */
  end: [];
  /** The server has something to say. */
  notice: [notice: NoticeMessage];
  /** A session has used `NOTIFY` on a channel that this one listens to. */
  notification: [notification: Notification];
}
/**
 * A connection with the interface of `pg`'s client. Statements are sent as they are called, without waiting for the results of those
 * before, and run in that order.
 */
export declare class Client extends EventEmitter<ClientEvents> {
  #private;
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  constructor(config?: string | ClientConfig);
  /** The number of the server process; null before it is connected. */
  get processID(): number | null;
  /** Connects. A client can do so once. */
  connect(): Promise<this>;
  /** Runs a statement, or several in one text without values. */
  query<R extends any[] = any[], I = any[]>(
    query: QueryArrayConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any, I = any[]>(
    query: string | QueryConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryResult<R>>;
  /** Ends the connection; what still runs is given up, unless the option `pipeline` is true. */
  end(): Promise<void>;
  /** The state of the transaction after the last answer: `I` in none, `T` in one, `E` in one that failed; null before. */
  getTransactionStatus(): TransactionStatus | null;
  /** Sets the parser of a type for the results of this client. */
  setTypeParser(oid: number, parser: TypeParser): void;
  setTypeParser(oid: number, format: TypeFormat, parser: TypeParser<any, any>): void;
  /** The parser of a type for the results of this client. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
  /** A name as it stands in a statement, between double quotes. */
  escapeIdentifier(name: string): string;
  /** A text as it stands in a statement, between single quotes. */
  escapeLiteral(text: string): string;
  /** Does nothing: a connection does not keep the process alive, a call that runs does. */
  ref(): void;
  /** Does nothing. */
  unref(): void;
}
/** What stands for options that are neither given nor in the environment. A program may change it before it connects. */
export interface Defaults {
  host?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  password?: string | undefined;
  database?: string | undefined;
  ssl?: boolean | undefined;
  max?: number | undefined;
  idleTimeoutMillis?: number | undefined;
  options?: string | undefined;
  application_name?: string | undefined;
  statement_timeout?: number | false | undefined;
  query_timeout?: number | false | undefined;
  lock_timeout?: number | false | undefined;
  idle_in_transaction_session_timeout?: number | false | undefined;
  /** Whether int8 is read as a number. */
  parseInt8?: boolean;
  /** Refused: a `Date` is sent in local time with its offset, which is the same moment. */
  parseInputDatesAsUTC?: boolean;
}
export declare const defaults: Defaults;
/** A name as it stands in a statement, between double quotes. */
export declare function escapeIdentifier(name: string): string;
/** A text as it stands in a statement, between single quotes; of anything else an empty one, as `pg` has it. */
export declare function escapeLiteral(text: string): string;
/** A connection that is borrowed from a pool, until it is released. Its object is the same whenever it is borrowed. */
export declare class PoolClient extends Client {
  #private;
  /** Releases the connection; with `true` or an error it is closed. Each borrowing has a function of its own, to be called once. */
  release: (destroy?: Error | boolean) => void;
}
/** Options of a `Pool`, with the names and units of `pg`. */
export interface PoolConfig extends ClientConfig {
  /** The maximum number of connections. Default: 10. */
  max?: number | undefined;
  /** The same as `max`. */
  poolSize?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  min?: number | undefined;
  /** The time that a free connection is kept. Default: 10 000. */
  idleTimeoutMillis?: number | undefined;
  /** How often a connection is borrowed before it is closed. Default: without a limit. */
  maxUses?: number | undefined;
  /** The maximum age of a connection in seconds, ±25 %. Default: without a limit. */
  maxLifetimeSeconds?: number | undefined;
  /** Whether free connections let the process exit; they always do. */
  allowExitOnIdle?: boolean | undefined;
  /** Is called with each new connection, and awaited before anybody gets it. */
  onConnect?: ((client: PoolClient) => unknown) | undefined;
  /** The class of clients, which is that of this module. */
  Client?: typeof Client | undefined;
  /** Refused: `setLogger` of moorline receives records. */
  log?: never;
  /** Refused: `onConnect` can reject a connection. */
  verify?: never;
}
/** The events of a {@link Pool}, with what their listeners receive. */
export interface PoolEvents {
  /** A connection is new. */
  connect: [client: PoolClient];
  /** One was borrowed. */
  acquire: [client: PoolClient];
  /** One was given back, with what `release` was called with. */
  release: [error: Error | boolean | undefined, client: PoolClient];
  /** One was closed. */
  remove: [client: PoolClient];
  /** A free one has ended. Without a listener, nothing happens. */
  error: [error: Error, client: PoolClient];
}
/** A pool of connections with the interface of `pg`'s, over the pool of moorline. */
export declare class Pool extends EventEmitter<PoolEvents> {
  #private;
  /** The options; secrets are not enumerable. */
  readonly options: PoolConfig;
  constructor(config?: PoolConfig);
  /** All connections. */
  get totalCount(): number;
  /** Free connections. */
  get idleCount(): number;
  /** Calls that wait for one. */
  get waitingCount(): number;
  /** Borrowed connections that are older than `maxLifetimeSeconds`; they are closed when they come back. */
  get expiredCount(): number;
  /** Whether `end` was called. */
  get ending(): boolean;
  /** Whether it has ended. */
  get ended(): boolean;
  /** Borrows a connection: a free one, a new one while fewer than `max` are open, else the next that is released. */
  connect(): Promise<PoolClient>;
  /** Runs a statement on a connection that is borrowed for it. */
  query<R extends any[] = any[], I = any[]>(
    query: QueryArrayConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any, I = any[]>(
    query: string | QueryConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryResult<R>>;
  /** Ends the pool: who waits or has borrowed may finish, then all connections are closed. */
  end(): Promise<void>;
}
/** The parsers of values by the number of their type. Setting one changes all results that are read by it. */
export declare const types: Pick<TypeRegistry, 'builtins' | 'arrayParser' | 'setTypeParser' | 'getTypeParser'>;
/** Parsers of one's own, for the option `types`; what it has none for, `userTypes` has. */
export declare class TypeOverrides extends TypeRegistry {
  constructor(userTypes?: TypeParsers);
}

export { Client as ClientBase };

export {};
