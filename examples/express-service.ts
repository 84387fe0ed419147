// An Express service: receives orders as signed webhooks, stores them in libSQL and charges them through another
// service; with a health endpoint for the load balancer and metrics for Prometheus.
//
//   npm install moorline express
//   WEBHOOK_SECRET=… PAYMENTS_URL=https://payments.example.com npx tsx express-service.ts
import express from 'express';
import {
  HealthMonitor,
  HTTPConnection,
  metricsText,
  Policy,
  TursoPool,
  webhookMiddleware,
  WebhookVerifier,
} from 'moorline';

const { DATABASE_URL = 'file:orders.db', PAYMENTS_URL = 'http://127.0.0.1:4000', PORT = '3000' } = process.env;

const pool = new TursoPool({ url: DATABASE_URL });
const payments = new HTTPConnection({ name: 'payments', url: PAYMENTS_URL, timeout: 2000, retryCount: 1 });
const verifier = new WebhookVerifier({ secret: process.env.WEBHOOK_SECRET ?? '' }); // rejects an empty one
/** Reports are expensive: two at a time, for at most five seconds. */
const reports = new Policy({ name: 'reports', timeoutMs: 5000, bulkhead: { maxConcurrent: 2, maxQueue: 20 } });

const monitor = new HealthMonitor();
monitor.register('database', () => pool.healthCheck());
monitor.register('payments', () => payments.healthCheck(), false); // not critical: orders are received without it

const app = express();

app.post('/webhooks', webhookMiddleware(verifier), async (request, response) => {
  const { id, amount } = JSON.parse(request.body.toString());
  await pool.execute('INSERT INTO orders (id, amount) VALUES (?, ?) ON CONFLICT DO NOTHING', [id, amount]);
  response.sendStatus(204);
});

app.post('/orders/:id/charge', async (request, response) => {
  const { rows } = await pool.execute('SELECT id, amount FROM orders WHERE id = ?', [request.params.id]);
  const [order] = rows;
  if (!order) return void response.sendStatus(404);
  const answer = await payments.request({
    method: 'POST',
    url: '/charges',
    headers: { 'idempotency-key': request.params.id },
    body: { order: order['id'], amount: order['amount'] },
  });
  response.status(answer.ok ? 200 : 502).json({ charged: answer.ok });
});

app.get('/report', async (_request, response) => {
  const { rows } = await reports.run(() =>
    pool.execute('SELECT count(*) AS orders, total(amount) AS amount FROM orders'),
  );
  response.json(rows[0]);
});

app.get('/health', async (_request, response) => {
  const report = await monitor.checkAll();
  response.status(report.status === 'unhealthy' ? 503 : 200).json(report);
});

app.get('/metrics', (_request, response) => {
  response.type('text/plain; version=0.0.4').send(metricsText());
});

async function main(): Promise<void> {
  await pool.execute('CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)');
  const server = app.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}`));
  process.once('SIGTERM', () => {
    server.close(() => void Promise.all([pool.drain(), payments.disconnect()]));
    server.closeIdleConnections();
  });
}

void main();
