// The bundled program, as an ES module: every import yields the same package, and its binary works.
import moorline, { LibsqlError } from 'moorline';
import * as everything from 'moorline';
import { createClient, LibsqlError as same } from 'moorline/libsql';

const client = createClient({ url: ':memory:' });
const { rows } = await client.execute('SELECT 42 AS answer');
client.close();
console.log(
  rows[0].answer,
  [moorline.LibsqlError, everything.LibsqlError, same].every((each) => each === LibsqlError),
);
