// Stores a stream of server-sent events in a libSQL table: every event once, even after a restart of this program,
// because the cursor keeps the position in the stream.
//
//   npm install moorline
//   EVENTS_URL=https://api.example.com/events npx tsx event-tail.ts
import { SSEConnection, TursoPool } from 'moorline';

const { EVENTS_URL = 'http://127.0.0.1:4000/events', DATABASE_URL = 'file:events.db' } = process.env;

const pool = new TursoPool({ url: DATABASE_URL });
const feed = new SSEConnection({
  url: EVENTS_URL,
  customOptions: { cursor: { url: DATABASE_URL, name: 'event-tail' } },
});

async function main(): Promise<void> {
  await pool.execute('CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, type TEXT NOT NULL, data TEXT NOT NULL)');
  process.once('SIGINT', () => void feed.disconnect()).once('SIGTERM', () => void feed.disconnect());

  if (!(await feed.connect())) throw new Error(feed.getStatus().lastError);
  for await (const { lastEventId, type, data } of feed) {
    // After a failure an event may be delivered twice; the second insert finds the row of the first.
    await pool.execute('INSERT INTO events VALUES (?, ?, ?) ON CONFLICT DO NOTHING', [lastEventId, type, data]);
    console.log(`${lastEventId} ${type}`);
  }
  await pool.drain();
}

void main();
