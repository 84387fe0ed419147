// What is bundled, as CommonJS.
const moorline = require('moorline');
const { createClient, LibsqlError } = require('moorline/libsql');

(async () => {
  const client = createClient({ url: ':memory:' });
  const { rows } = await client.execute('SELECT 42 AS answer');
  client.close();
  console.log(rows[0].answer, moorline.LibsqlError === LibsqlError && moorline.default === moorline);
})();
