// Statements and transactions by one manager, fifty at a time, each counted at its end and by the server.
import assert from 'node:assert/strict';

import { MoorlineError, type PostgresConnectionManager } from 'moorline';

import type { Postgres } from '../../support/postgres';
import { CallLoad, type CallStep, describeCall } from './call-load';

/** The limits of each call. */
export interface Limits {
  connectionTimeoutMillis: number;
  queryTimeoutMs: number;
}
/** The connections of the pool at most. */
export const MAX_CONNECTIONS = 20;
/** What `queryTimeoutMs` bounds in a transaction, and its `ROLLBACK`. */
const STATEMENTS_IN_TRANSACTION = 5;

type What = 'insert' | 'read' | 'transaction';
const CALLS: Record<What, number> = { insert: 22, read: 12, transaction: 16 };
export const CALLS_IN_FLIGHT = Object.values(CALLS).reduce((sum, calls) => sum + calls);

const TABLES = `DROP TABLE IF EXISTS calls, ledger;
  CREATE TABLE calls (id int, at timestamptz DEFAULT now());
  CREATE TABLE ledger (account int PRIMARY KEY, increments int NOT NULL);
  INSERT INTO ledger SELECT account, 0 FROM generate_series(0, ${CALLS.transaction - 1}) AS account`;

/** A transaction: how far it has come. */
interface TransactionRecord {
  account: number;
  /** How often its function was called. */
  runs: number;
  isCommitting: boolean;
}

/** Fifty calls at any time, until it is stopped. */
export class PostgresLoad extends CallLoad<What> {
  readonly #manager: PostgresConnectionManager;
  readonly #server: Postgres;
  readonly #limits: Limits;
  readonly #transactions = new Map<number, TransactionRecord>();

  constructor(manager: PostgresConnectionManager, server: Postgres, limits: Limits) {
    super();
    this.#manager = manager;
    this.#server = server;
    this.#limits = limits;
  }

  async start(): Promise<void> {
    this.#server.psql(TABLES);
    const steps: CallStep<What>[] = [
      ...Array<CallStep<What>>(CALLS.insert).fill(['insert', (id) => this.#insert(id)]),
      ...Array<CallStep<What>>(CALLS.read).fill(['read', (id) => this.#read(id)]),
      ...Array.from({ length: CALLS.transaction }, (_, account): CallStep<What> => {
        return ['transaction', (id) => this.#increment(id, account)];
      }),
    ];
    await this.repeat(steps);
  }

  /** What was late, or told of its delivery what the server knows to be wrong. To be asked once nothing is under way. */
  problems(): string[] {
    const seen = this.#counts('SELECT id, count(*) FROM calls GROUP BY id');
    const { connectionTimeoutMillis, queryTimeoutMs } = this.#limits;
    return this.ended.flatMap((call) => {
      const statements = call.what === 'transaction' ? STATEMENTS_IN_TRANSACTION : 1;
      const isLate = call.tookMs > this.limitMs(connectionTimeoutMillis + statements * queryTimeoutMs);
      const problems = [
        ...(isLate ? [`after ${call.tookMs} ms`] : []),
        ...faultProblems(call.error),
        ...(call.what === 'read' ? [] : this.#effectProblems(call.id, call.error, seen.get(call.id) ?? 0)),
      ];
      return problems.map((problem) => `${call.what} ${call.id}, ${describeCall(call.error)}: ${problem}`);
    });
  }

  /** Whether each account has as many increments as were acknowledged, and perhaps those whose end is unknown. */
  ledgerProblems(): string[] {
    const increments = this.#counts('SELECT account, increments FROM ledger');
    return Array.from({ length: CALLS.transaction }, (_, account) => {
      const own = this.ended.filter(({ id }) => this.#transactions.get(id)?.account === account);
      const acknowledged = own.filter(({ error }) => error === undefined).length;
      const unknown = own.filter(({ id, error }) => this.#isUnknown(id, error)).length;
      const has = increments.get(account)!;
      const isRight = has >= acknowledged && has <= acknowledged + unknown;
      return isRight ? [] : [`account ${account} has ${has} of ${acknowledged} and at most ${unknown} increments`];
    }).flat();
  }

  #isUnknown(id: number, error: unknown): boolean {
    return error instanceof MoorlineError && error.delivery === 'unknown' && this.#transactions.get(id)!.isCommitting;
  }

  #effectProblems(id: number, error: unknown, seen: number): string[] {
    const transaction = this.#transactions.get(id);
    // Each has an account of its own, so that nothing undoes it that could be done again.
    const repeated = transaction && transaction.runs > 1 ? [`ran ${transaction.runs} times`] : [];
    if (error === undefined) return seen === 1 ? repeated : [...repeated, `had its effect ${seen} times`];
    if (seen > 1) return [`had its effect ${seen} times`];
    // Before its commit, a transaction has none, whatever is known of its statements.
    const hasNone = (error as MoorlineError).delivery !== 'unknown' || (transaction && !transaction.isCommitting);
    return hasNone && seen > 0 ? [...repeated, 'had its effect'] : repeated;
  }

  /** Rows of two numbers. */
  #counts(text: string): Map<number, number> {
    const rows = this.#server.psql(text).split('\n').filter(Boolean);
    return new Map(rows.map((row) => row.split('|').map(Number) as [number, number]));
  }

  #insert(id: number): Promise<unknown> {
    return this.#manager.query('INSERT INTO calls (id) SELECT $1 FROM pg_sleep(0.02)', [id]);
  }

  async #read(id: number): Promise<void> {
    const { rows } = await this.#manager.query('SELECT $1::int AS id, pg_sleep($2)', [id, (id % 10) / 100]);
    assert.equal(rows[0].id, id);
  }

  async #increment(id: number, account: number): Promise<void> {
    const record: TransactionRecord = { account, runs: 0, isCommitting: false };
    this.#transactions.set(id, record);
    await this.#manager.withTransaction(
      async (client) => {
        record.runs += 1;
        await client.query('UPDATE ledger SET increments = increments + 1 WHERE account = $1', [account]);
        await client.query('INSERT INTO calls (id) SELECT $1 FROM pg_sleep(0.02)', [id]);
        record.isCommitting = true;
      },
      { retry: 3 },
    );
  }
}

/** The kinds of failure that a fault of the network or of the server may lead to. */
const KINDS = ['connect', 'disconnected', 'timeout', 'pool-timeout'];

function faultProblems(error: unknown): string[] {
  if (error === undefined) return [];
  if (!(error instanceof MoorlineError) || !KINDS.includes(error.kind)) return ['is no fault of the network'];
  if (error.delivery === undefined) return ['does not say what has become of it'];
  const isBefore = ['connect', 'pool-timeout'].includes(error.kind) || error.operation === 'connect';
  return isBefore && error.delivery !== 'none' ? ['nothing was sent, which is not said'] : [];
}
