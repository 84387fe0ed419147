// A user's ES module that was written for `pg` and `@types/pg`, with another import.
import pg, { Client, DatabaseError, Pool, types } from 'moorline/pg';
import type {
  ClientBase,
  ClientConfig,
  CustomTypesConfig,
  FieldDef,
  Notification,
  PoolClient,
  PoolConfig,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryResult,
  QueryResultRow,
} from 'moorline/pg';
import type { ConnectionOptions } from 'node:tls';

const ssl: ConnectionOptions = { rejectUnauthorized: false };
const config: PoolConfig = {
  connectionString: process.env['DATABASE_URL'],
  max: 20,
  ssl: process.env['NODE_ENV'] === 'production' ? ssl : false,
  password: async () => 'secret',
  statement_timeout: 5_000,
};
const pool: Pool = new Pool(config);
pool.on('error', (err: Error, client: PoolClient) => {
  console.error(err.message);
  client.release(true);
});
pool.on('connect', (client) => {
  void client.query('SET search_path = app');
});

interface User extends QueryResultRow {
  id: number;
  name: string;
}
export async function find(id: number): Promise<User | undefined> {
  const { rows, rowCount, fields }: QueryResult<User> = await pool.query<User>('SELECT * FROM users WHERE id = $1', [
    id,
  ]);
  const names: string[] = fields.map((field: FieldDef) => field.name);
  return (rowCount ?? 0) > 0 && names.length > 0 ? rows[0] : undefined;
}
export async function repository<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    if (error instanceof DatabaseError && error.code === '23505') console.error(error.detail?.trim(), error.constraint);
    throw error;
  } finally {
    client.release();
  }
}
const byName: QueryConfig = { name: 'by name', text: 'SELECT * FROM users WHERE name = $1', values: ['Ada'] };
export const found: Promise<QueryResult> = pool.query(byName);
const asArrays: QueryArrayConfig = { text: 'SELECT 1', rowMode: 'array' };
export const arrays: Promise<QueryArrayResult<[number]>> = pool.query<[number]>(asArrays);

const options: ClientConfig = { host: 'localhost', port: 5432 };
const client: ClientBase = new Client(options);
client.on('notification', (message: Notification) => message.payload?.toUpperCase());
client.on('notice', (notice) => notice.message);
export const started: Promise<unknown> = new pg.Client('postgres://localhost/app').connect();
types.setTypeParser(types.builtins.INT8, (text: string) => Number.parseInt(text, 10));
types.setTypeParser(1082, 'text', (text) => text);
export const ownTypes: CustomTypesConfig = { getTypeParser: (oid) => types.getTypeParser(oid, 'text') };
export let typed: pg.PoolClient | undefined;

// @ts-expect-error A callback, which is refused.
pool.query('SELECT 1', (error: Error) => error);
// @ts-expect-error An option that is refused.
new Pool({ stream: () => undefined });
