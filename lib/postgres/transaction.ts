import { invalidType } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { PostgresError, rolledBackError } from './error';

/** How much a transaction sees of others. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

/** Options of `withTransaction`. */
export interface TransactionOptions {
  /** The isolation level. Default: that of the server, which is `read committed` as it comes. */
  isolation?: IsolationLevel | undefined;
  /** Whether writes are refused. Default: that of the server. */
  readOnly?: boolean | undefined;
  /** For `serializable` and `readOnly`: waits at its beginning for a moment from which it cannot fail. */
  deferrable?: boolean | undefined;
  /**
   * How often the function is called again after a serialization failure (`40001`) or a deadlock (`40P01`), which undid everything.
   * Default: 0.
   */
  retry?: number | undefined;
}

const KNOWN: KnownOptions<TransactionOptions> = { isolation: true, readOnly: true, deferrable: true, retry: true };
const LEVELS: readonly IsolationLevel[] = ['read committed', 'repeatable read', 'serializable'];
/** The errors after which the whole transaction may be done again. */
const REPEATABLE = new Set(['40001', '40P01']);

/** @internal The member of a client that a transaction uses. */
export interface TransactionClient {
  query(text: string): Promise<{ command: string | null }>;
}

/** How deep the transactions of a client are nested. */
const depths = new WeakMap<TransactionClient, number>();

/** @internal Runs `work` in a transaction of `client`, or in a savepoint of the one that is open. */
export async function runTransaction<Client extends TransactionClient, T>(
  client: Client,
  work: (client: Client) => T | PromiseLike<T>,
  options: TransactionOptions = {},
): Promise<T> {
  if (typeof work !== 'function') throw invalidType('work', 'a function', work);
  const { begin, retry } = readOptions(options);
  const depth = depths.get(client);
  if (depth !== undefined) return nested(client, work, depth);
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(client, work, begin);
    } catch (error) {
      const isRepeatable = error instanceof PostgresError && REPEATABLE.has(error.code);
      if (!isRepeatable || attempt >= retry) throw error;
    }
  }
}

async function once<Client extends TransactionClient, T>(
  client: Client,
  work: (client: Client) => T | PromiseLike<T>,
  begin: string,
): Promise<T> {
  await client.query(begin);
  depths.set(client, 1);
  let result: T;
  try {
    result = await work(client);
  } catch (error) {
    // What cannot be rolled back has ended with its connection.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    depths.delete(client);
  }
  // When its answer is lost, nobody knows: its error says so, and it is not repeated.
  const { command } = await client.query('COMMIT');
  if (command === 'ROLLBACK') throw rolledBackError();
  return result;
}

async function nested<Client extends TransactionClient, T>(
  client: Client,
  work: (client: Client) => T | PromiseLike<T>,
  depth: number,
): Promise<T> {
  const savepoint = `moorline_${depth}`;
  await client.query(`SAVEPOINT ${savepoint}`);
  depths.set(client, depth + 1);
  try {
    const result = await work(client);
    await client.query(`RELEASE SAVEPOINT ${savepoint}`);
    return result;
  } catch (error) {
    await client.query(`ROLLBACK TO SAVEPOINT ${savepoint}`).catch(() => undefined);
    throw error;
  } finally {
    depths.set(client, depth);
  }
}

function readOptions(options: TransactionOptions): { begin: string; retry: number } {
  checkOptions('options', options, KNOWN);
  const { isolation, readOnly, deferrable, retry = 0 } = options;
  if (isolation !== undefined && !LEVELS.includes(isolation)) {
    throw invalidType('options.isolation', LEVELS.map((level) => `'${level}'`).join(' or '), isolation);
  }
  for (const [name, flag] of Object.entries({ readOnly, deferrable })) {
    if (flag !== undefined && typeof flag !== 'boolean') throw invalidType(`options.${name}`, 'a boolean', flag);
  }
  if (!Number.isInteger(retry) || retry < 0) throw invalidType('options.retry', 'a whole number ≥ 0', retry);
  const modes = [
    isolation && `ISOLATION LEVEL ${isolation.toUpperCase()}`,
    readOnly !== undefined && (readOnly ? 'READ ONLY' : 'READ WRITE'),
    deferrable !== undefined && (deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE'),
  ].filter(Boolean);
  return { begin: ['BEGIN', modes.join(', ')].join(' ').trimEnd(), retry };
}
