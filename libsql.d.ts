// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

interface CallOptions {
  signal?: AbortSignal | undefined;
}
export type Value = null | string | number | bigint | ArrayBuffer;
export type InValue = Value | boolean | Uint8Array | Date;
export type InArgs = Array<InValue> | Record<string, InValue>;
export type InStatement =
  | {
      sql: string;
      args?: InArgs;
    }
  | string;
export type IntMode = 'number' | 'bigint' | 'string';
export interface Row {
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
export interface ResultSet {
  columns: string[];
  columnTypes: string[];
  rows: Row[];
  rowsAffected: number;
  lastInsertRowid: bigint | undefined;
  toJSON(): unknown;
}
export type TransactionMode = 'write' | 'read' | 'deferred';
export interface QueryOptions extends CallOptions {
  timeoutMs?: number | undefined;
}
export type BatchStatement = InStatement | [sql: string, args?: InArgs];
export interface Transaction {
  readonly closed: boolean;
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  batch(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  commit(options?: QueryOptions): Promise<void>;
  rollback(options?: QueryOptions): Promise<void>;
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
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
interface ErrorFields {
  kind: ErrorKind;
  code: string;
  service: string;
  operation: string;
  delivery: Delivery;
  retryable: boolean;
  attempts: number;
  retryAfterMs?: number;
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
  readonly detail?: Record<string, unknown>;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
export declare class LibsqlError extends MoorlineError {
  readonly extendedCode?: string;
  readonly rawCode?: number;
  constructor(
    message: string,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
export declare class LibsqlBatchError extends LibsqlError {
  readonly statementIndex: number;
  constructor(
    message: string,
    statementIndex: number,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
export interface Config {
  url: string;
  authToken?: string | undefined;
  tls?: boolean | undefined;
  intMode?: IntMode | undefined;
  concurrency?: number | undefined;
  timeout?: number | undefined;
  connectionTimeoutMs?: number | undefined;
  queryTimeoutMs?: number | undefined;
  syncUrl?: never;
  syncInterval?: never;
  readYourWrites?: never;
  offline?: never;
  encryptionKey?: never;
  remoteEncryptionKey?: never;
  fetch?: never;
}
export type Replicated =
  | {
      frame_no: number;
      frames_synced: number;
    }
  | undefined;
export interface Client {
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  batch(statements: BatchStatement[], mode?: TransactionMode, options?: QueryOptions): Promise<ResultSet[]>;
  migrate(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  sync(): Promise<Replicated>;
  close(): void;
  reconnect(): void;
  readonly closed: boolean;
  readonly protocol: string;
}
export declare function createClient(config: Config): Client;

export {};
