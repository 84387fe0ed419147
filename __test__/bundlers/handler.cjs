// A function as serverless platforms call it, as CommonJS; its database lies where such a platform lets it write.
const { TursoPool } = require('moorline');

const pool = new TursoPool({ url: 'file:/tmp/function.db' });

exports.handler = async () => {
  await pool.execute('CREATE TABLE IF NOT EXISTS answers (answer INTEGER)');
  await pool.execute('INSERT INTO answers VALUES (?)', [42]);
  const { rows } = await pool.execute('SELECT answer FROM answers');
  return `${rows[0].answer} ${rows.length === 1}`;
};
