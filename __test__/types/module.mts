// A user's ES module.
import { HealthMonitor, MoorlineError, TursoPool, WebhookVerifier, type ErrorKind, type Row } from 'moorline';
import * as moorline from 'moorline';
import { createClient, type Client } from 'moorline/libsql';

const pool = new TursoPool({ url: ':memory:', poolSize: 2, authToken: undefined });
export const rows: Promise<Row[]> = pool.withConnection(async (client) => {
  const { rows } = await client.execute('SELECT :answer AS answer', { answer: 42n });
  return rows;
});
pool.on('leak', (event) => event.timestamp.toFixed());

const client: Client = createClient({ url: 'file:app.db', intMode: 'bigint' });
export const id: Promise<bigint | undefined> = client
  .execute({ sql: 'INSERT INTO ship VALUES (?)', args: ['Aurora'] })
  .then(({ lastInsertRowid }) => lastInsertRowid);

export const monitor = new HealthMonitor({ timeoutMs: 100 });
monitor.register('database', () => pool.healthCheck());

export const verdict: boolean = new WebhookVerifier({ secret: ['new', 'old'] }).verify('body', undefined).valid;
export function webhookId(request: Express.Request): string | undefined {
  return request.webhook?.id;
}
export function kind(error: unknown): ErrorKind | undefined {
  return error instanceof MoorlineError ? error.kind : undefined;
}

// @ts-expect-error An option that does not exist.
new TursoPool({ url: ':memory:', poolsize: 2 });
// @ts-expect-error A kind that does not exist: the set is closed.
export const unknownKind: ErrorKind = 'unheard-of';
// @ts-expect-error Native classes are not part of the contract.
export const native = moorline.native;

interface Ship {
  id: number;
  name: string;
}
const ids = [1, 2] as const;
const named: { readonly sql: string; readonly args: { readonly id: number } } = { sql: 'SELECT :id', args: { id: 1 } };
export const ships: Promise<Ship[]> = client
  .execute<Ship>('SELECT * FROM ship WHERE id IN (?, ?)', ids)
  .then((it) => it.rows);
export const batched: Promise<string> = pool
  .batch<Ship>([named, ['SELECT ?', ids], 'SELECT 1'] as const)
  .then(([first]) => first!.rows[0]!.name);
export const inTransaction: Promise<Ship | undefined> = client
  .transaction()
  .then((transaction) => transaction.execute<Ship>(named))
  .then(({ rows: [ship] }) => ship);
createClient({ url: new URL('https://localhost'), authToken: null });
