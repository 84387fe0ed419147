import { Buffer } from '../runtime/node';
import { invalidType, invalidValue, numberMistake, outOfRange } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import type { CallOptions } from '../runtime/native-call';
import { sharedSessionError } from './error';
import type { QueryConfig } from './query';

/** Settings of a connection, from when it is handed out until it is released. Names are sent as quoted identifiers. */
export interface PostgresConnectOptions extends CallOptions {
  /** The role whose rights count: `SET ROLE`. */
  role?: string | undefined;
  /** Whether transactions are read-only unless they say otherwise. */
  readOnly?: boolean | undefined;
  /** The time limit that the server sets to each statement, in milliseconds; `Infinity`: none. */
  statementTimeoutMs?: number | undefined;
  /** The schema, or the schemas in their order, in which names without a schema are looked up. */
  searchPath?: string | readonly string[] | undefined;
  /** The time limit for waiting, connecting and setting, in milliseconds. Default: `connectionTimeoutMillis`. */
  timeoutMs?: number | undefined;
}

const KNOWN: KnownOptions<PostgresConnectOptions> = {
  role: true,
  readOnly: true,
  statementTimeoutMs: true,
  searchPath: true,
  signal: true,
  timeoutMs: true,
};

/** The server cuts longer names off, and takes what is left for another name. */
const MAX_NAME_BYTES = 63;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The settings of a client, as statements. */
export interface SessionSettings {
  /** The options that are given. */
  readonly names: readonly string[];
  /** The statements that set them for a session. */
  readonly session: string;
  /** What sets them for a transaction, after its beginning, whose text is given. */
  forTransaction(begin: string): string;
}

/** Reads the settings in options; undefined when there are none. */
export function readSettings(path: string, options: PostgresConnectOptions): SessionSettings | undefined {
  checkOptions(path, options, KNOWN);
  const { role, readOnly, statementTimeoutMs, searchPath, timeoutMs } = options;
  if (timeoutMs !== undefined) {
    const mistake = numberMistake(`${path}.timeoutMs`, timeoutMs, (time) => time >= 0, '>= 0');
    if (mistake) throw mistake;
  }
  const names: string[] = [];
  const values: string[] = [];
  const add = (name: string, value: string) => (names.push(name), values.push(value));
  if (statementTimeoutMs !== undefined) {
    const time = readTimeout(`${path}.statementTimeoutMs`, statementTimeoutMs);
    add('statementTimeoutMs', `statement_timeout = ${time}`);
  }
  if (searchPath !== undefined) add('searchPath', `search_path = ${readPath(`${path}.searchPath`, searchPath)}`);
  if (role !== undefined) add('role', `ROLE ${quoteName(`${path}.role`, role)}`);
  const sessionValues = [...values];
  if (readOnly !== undefined) {
    if (typeof readOnly !== 'boolean') throw invalidType(`${path}.readOnly`, 'a boolean', readOnly);
    names.push('readOnly');
    sessionValues.unshift(`default_transaction_read_only = ${readOnly ? 'on' : 'off'}`);
  }
  if (names.length === 0) return undefined;
  return {
    names,
    session: sessionValues.map((value) => `SET ${value}`).join('; '),
    forTransaction(begin) {
      const statements = values.map((value) => `SET LOCAL ${value}`);
      // What the beginning says of it counts.
      if (readOnly !== undefined && !/\bread\s+(?:only|write)\b/i.test(begin)) {
        statements.unshift(`SET TRANSACTION READ ${readOnly ? 'ONLY' : 'WRITE'}`);
      }
      return statements.join('; ');
    },
  };
}

function readTimeout(path: string, given: unknown): number {
  if (typeof given !== 'number') throw invalidType(path, 'a number', given);
  if (given === Infinity) return 0;
  const time = Math.ceil(given);
  if (time >= 1 && time <= MAX_TIMEOUT_MS) return time;
  throw outOfRange(path, `>= 1 and <= ${MAX_TIMEOUT_MS}, or Infinity`, given);
}

function readPath(path: string, given: unknown): string {
  if (typeof given === 'string') {
    if (given.includes(',')) throw invalidValue(`${path} must be an array where it is more than one schema`);
    return quoteName(path, given);
  }
  if (!Array.isArray(given)) throw invalidType(path, 'a string or an array of strings', given);
  // Nothing at all is looked up but in the system's schema.
  if (given.length === 0) return "''";
  return given.map((schema, index) => quoteName(`${path}[${index}]`, schema)).join(', ');
}

function quoteName(path: string, given: unknown): string {
  if (typeof given !== 'string') throw invalidType(path, 'a string', given);
  if (given === '') throw invalidValue(`${path} must not be empty`);
  if (given.includes('\0')) throw invalidValue(`${path} must not contain a NUL`);
  if (Buffer.byteLength(given) > MAX_NAME_BYTES)
    throw invalidValue(`${path} must have at most ${MAX_NAME_BYTES} bytes`);
  return `"${given.replaceAll('"', '""')}"`;
}

const BEGIN = /^(?:begin|start\s+transaction)\b[^;]*(?=;?\s*$)/i;
const END = /^(?:commit|end|abort|prepare\s+transaction|rollback(?!(?:\s+(?:work|transaction))?\s+to\b))\b/i;

/** Settings that hold in each transaction, where a pooler gives each one another session. */
export class TransactionSettings {
  readonly #settings: SessionSettings;
  #isOpen = false;
  #running = 0;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
  }

  /**
   * Runs a statement, by `run`, or by `begin` where a transaction begins by it; refuses one outside of a transaction, where the
   * settings would not hold. `isOutside` tells whether the last answer was outside of one.
   */
  async run<Result>(
    query: string | QueryConfig,
    run: () => Promise<Result>,
    begin: (config: QueryConfig) => Promise<Result>,
    isOutside: () => boolean,
  ): Promise<Result> {
    const config: QueryConfig = typeof query === 'string' ? { text: query } : query;
    const text = typeof config?.text === 'string' ? config.text.trimStart() : '';
    const beginning = BEGIN.exec(text)?.[0].trimEnd();
    if (!beginning && !this.#isOpen) throw sharedSessionError(this.#settings.names);
    this.#isOpen = beginning !== undefined || !END.test(text);
    this.#running += 1;
    try {
      if (!beginning) return await run();
      const withSettings = `${beginning}; ${this.#settings.forTransaction(beginning)}`;
      const results = await begin({ ...config, text: withSettings, values: undefined });
      // That of the beginning alone.
      return (results as unknown as Result[])[0]!;
    } catch (error) {
      // A transaction without its settings is none.
      if (beginning) await begin({ text: 'ROLLBACK' }).catch(() => undefined);
      throw error;
    } finally {
      this.#running -= 1;
      // It may have ended in a text of several statements.
      if (this.#running === 0 && isOutside()) this.#isOpen = false;
    }
  }
}
