// What a user does first with the installed package, in plain JavaScript that every runtime understands. Prints
// `ok` at its end, and must then exit by itself.
const assert = require('node:assert/strict');

const moorline = require('moorline');

async function pool() {
  const pool = new moorline.TursoPool({ url: ':memory:', poolSize: 3 });
  await pool.execute('CREATE TABLE ship (name TEXT, berth INTEGER)');
  await Promise.all(
    ['Aurora', 'Borea', 'Cirrus', 'Dione'].map((name, berth) =>
      pool.withConnection((client) => client.execute('INSERT INTO ship VALUES (?, ?)', [name, berth])),
    ),
  );
  const { rows } = await pool.execute('SELECT name FROM ship WHERE berth > :berth ORDER BY berth', { berth: 1 });
  assert.deepEqual(
    rows.map((row) => row.name),
    ['Cirrus', 'Dione'],
  );
  await assert.rejects(pool.execute('SELECT * FROM nowhere'), { kind: 'rejected', code: 'SQLITE_ERROR' });
  await pool.drain();
  await assert.rejects(pool.execute('SELECT 1'), moorline.MoorlineError);
}

function webhook() {
  const verifier = new moorline.WebhookVerifier({ secret: 'a secret' });
  const signature = verifier.sign('payload');
  assert.equal(verifier.verify('payload', signature).valid, true);
  assert.equal(verifier.verify('Payload', signature).valid, false);
}

async function health() {
  const monitor = new moorline.HealthMonitor();
  monitor.register('up', () => true);
  monitor.register('down', () => Promise.reject(new Error('no answer')), false);
  const report = await monitor.checkAll();
  assert.equal(report.status, 'degraded');
  assert.equal(report.checks[1].error, 'no answer');
}

async function forecast() {
  delete process.env.NIXTLA_API_KEY;
  const client = new moorline.NixtlaClient({ fallback: 'local' });
  const month = (index) => new Date(Date.UTC(2015, index, 1)).toISOString().slice(0, 10);
  const timeseries = Array.from({ length: 72 }, (_, index) => ({
    timestamp: month(index),
    value: 100 + index + 20 * Math.sin((index * Math.PI) / 6),
  }));
  const { predictions, modelInfo } = await client.forecast({ timeseries, horizon: 6 });
  assert.equal(predictions.length, 6);
  assert.ok(predictions.every(({ value }) => value > 130 && value < 220));
  assert.equal(modelInfo.source, 'local');
}

(async () => {
  await pool();
  webhook();
  await health();
  await forecast();
  console.log('ok');
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
