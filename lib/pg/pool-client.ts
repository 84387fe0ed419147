import type { PostgresClient } from '../postgres/client';
import { Client, type Membership } from './client';
import { closedError } from './error';

/** @internal Takes a client back, for a cause that its borrower gives; one that `closes` has its connection closed. */
export type TakeBack = (client: PoolClient, cause: Error | boolean | undefined, closes: boolean) => void;

/** A borrowing, which ends once. */
interface Loan {
  isOver: boolean;
}

/** A connection that is borrowed from a pool, until it is released. Its object is the same whenever it is borrowed. */
export class PoolClient extends Client {
  /** Releases the connection; with `true` or an error it is closed. Each borrowing has a function of its own, to be called once. */
  declare release: (destroy?: Error | boolean) => void;
  /** @internal */
  readonly connection: PostgresClient;
  readonly #since = Date.now();
  readonly #takeBack: TakeBack;
  #loan: Loan = { isOver: true };
  #isLost = false;
  #uses = 0;

  /** @internal */
  constructor(membership: Membership, connection: PostgresClient, takeBack: TakeBack) {
    super(membership as unknown as string);
    this.connection = connection;
    this.#takeBack = takeBack;
    this.adopt(connection);
  }

  /** @internal Is set up by `work`, before anybody borrows it. */
  prepare(work: () => unknown): Promise<void> {
    return this.settle(this.connection, work);
  }

  /** @internal It is borrowed. */
  lend(): void {
    const loan = { isOver: false };
    this.#loan = loan;
    this.#uses++;
    this.release = (destroy) => this.#end(loan, destroy, Boolean(destroy));
  }

  /** @internal It is given back, and its connection is good whatever the cause. */
  giveBack(cause: Error | undefined): void {
    this.#end(this.#loan, cause, false);
  }

  #end(loan: Loan, cause: Error | boolean | undefined, closes: boolean): void {
    if (loan.isOver) {
      // The handler of an error may release what has ended.
      if (this.#isLost) return;
      throw closedError('Release called on client which has already been released to the pool.', 'release');
    }
    loan.isOver = true;
    this.#takeBack(this, cause, closes);
  }

  /** @internal */
  get isBorrowed(): boolean {
    return !this.#loan.isOver;
  }

  /** @internal How often it was borrowed. */
  get uses(): number {
    return this.#uses;
  }

  /** @internal Its age in milliseconds. */
  get age(): number {
    return Date.now() - this.#since;
  }

  /** @internal Its connection has ended by itself. */
  override onLost(error: unknown): void {
    this.#isLost = true;
    if (this.isBorrowed) super.onLost(error);
  }

  /** @internal */
  protected override async close(): Promise<void> {
    if (this.isBorrowed) this.release(true);
    this.#isLost = true;
  }
}
