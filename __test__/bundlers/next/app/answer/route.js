import moorline, { LibsqlError } from 'moorline';
import { createClient, LibsqlError as same } from 'moorline/libsql';

export const dynamic = 'force-dynamic';

export async function GET() {
  const client = createClient({ url: ':memory:' });
  const { rows } = await client.execute('SELECT 42 AS answer');
  client.close();
  return new Response(`${rows[0].answer} ${moorline.LibsqlError === LibsqlError && same === LibsqlError}\n`);
}
