// A process in a network namespace of its own, whose only link goes down under a statement without a time limit; prints how that
// has ended.
import { PostgresConnectionManager, PostgresError } from 'moorline';

import { setLink } from './tunnel-link';
import { eventually } from '../../support/eventually';
import { ScriptedPostgres } from '../../postgres/postgres-script';

const LIMIT_MS = 4000;

async function main(): Promise<void> {
  let asked = 0;
  const server = await ScriptedPostgres.start({ answer: () => (asked++, undefined) });
  const limits = { queryTimeoutMs: Infinity, keepAliveTimeoutMs: LIMIT_MS };
  const manager = new PostgresConnectionManager({ ...server.config, ...limits, max: 1 });
  const client = await manager.connect();
  const isSending = process.argv[2] === 'sending';
  if (isSending) setLink('down');
  const ended = client.query('SELECT 1').catch((error: unknown) => error);
  if (!isSending) {
    await eventually(() => asked > 0);
    setLink('down');
  }
  const began = performance.now();
  const error = await ended;
  const tookMs = performance.now() - began;
  client.release(true);
  const { kind, delivery } = error as PostgresError;
  process.stdout.write(JSON.stringify({ kind, delivery, tookMs, limitMs: LIMIT_MS }), () => process.exit());
}

void main();
