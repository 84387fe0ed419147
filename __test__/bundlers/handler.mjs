// A function as serverless platforms call it, as an ES module; its database lies where such a platform lets it write.
import { TursoPool } from 'moorline';

const pool = new TursoPool({ url: 'file:/tmp/function.db' });

export async function handler() {
  await pool.execute('CREATE TABLE IF NOT EXISTS answers (answer INTEGER)');
  await pool.execute('INSERT INTO answers VALUES (?)', [42]);
  const { rows } = await pool.execute('SELECT answer FROM answers');
  return `${rows[0].answer} ${rows.length === 1}`;
}
