// Readers of a stream with a cursor that are killed at random moments: every event must have been handled in the end, and
// none is passed over after a handler that failed.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { seededRandom } from '../../hostile/random';
import { eventually } from '../../support/eventually';
import type { RunningServer } from '../../support/http';
import { stream } from '../../support/sse';
import { mainEntry } from '../../support/paths';

/** How a reader takes its events. */
export const READINGS = ['for await', 'onMessage', 'receive'] as const;
export type Reading = (typeof READINGS)[number];

/** What came of all lives of one reader. */
export interface KillReport {
  kills: number;
  /** Different events that were handled. */
  handled: number;
  /** How many of them were handled more than once, all times counted. */
  repeated: number;
  /** Handlers that failed. */
  failed: number;
}

/** A reader, in JavaScript so that it starts soon: tells `+id` once an event is handled, `-id` when that failed. */
const READER = `
const { writeSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const [addon, randomness, url, database, reading, seed, failures] = process.argv.slice(1);
const { SSEConnection, setLogger } = require(addon);
const random = eval('(' + randomness + ')')(Number(seed));
setLogger({});
const customOptions = { cursor: { url: database, name: 'reader' } };
const connection = new SSEConnection({ url, retryDelay: 1, monitoring: false, circuitBreaker: false, customOptions });
async function handle({ lastEventId: id }) {
  // Most take no time, and some so long that whatever has been decided meanwhile is written.
  if (random() < 0.15) await sleep(random() * 400);
  const fails = failures === 'true' && random() < 0.03;
  writeSync(1, (fails ? '-' : '+') + id + '\\n');
  if (fails) throw new Error('this one not');
}
(async () => {
  if (reading === 'onMessage') connection.onMessage(handle);
  while (!(await connection.connect()));
  if (reading === 'receive') {
    for (;;) {
      const event = await connection.receive();
      // Whoever could not handle it must not go on: the next receive would say that it could.
      if (event) await handle(event).catch(() => sleep(random() * 400).then(() => process.exit(1)));
    }
  }
  while (reading === 'for await') {
    try {
      for await (const event of connection) await handle(event);
    } catch {}
  }
})();
`;

/** Kills one reader after the other until there were so many `kills`, and looks at what they told. */
export async function killReaders(reading: Reading, kills: number, seed: number): Promise<KillReport> {
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(tmpdir(), 'moorline-killed-'));
  const database = `file:${join(directory, 'cursors.db')}`;
  const server = await numbers(random);
  const reports = new ReaderReports();
  let reader: ChildProcess | undefined;
  const begin = (failures: boolean): ChildProcess => {
    const addon = mainEntry;
    const facts = [server.url, database, reading, String(Math.floor(random() * 2 ** 32)), String(failures)];
    const child = spawn(process.execPath, ['-e', READER, addon, seededRandom.toString(), ...facts], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    reports.read(child);
    return (reader = child);
  };
  try {
    for (let killed = 0; killed < kills;) {
      const before = reports.count;
      const child = begin(true);
      const ended = once(child, 'close');
      // Some die before they have done anything.
      if (random() < 0.9) await eventually(() => reports.count > before || child.exitCode !== null, 30_000);
      await sleep(random() * 400);
      if (child.kill('SIGKILL')) killed += 1;
      await ended;
    }
    const last = begin(false);
    const until = reports.highest + 1;
    await eventually(() => reports.missing > until || last.exitCode !== null, 30_000).catch(() => undefined);
    last.kill('SIGKILL');
    await once(last, 'close');
    assert.ok(reports.missing > until, `${reading}: event ${reports.missing} was passed over`);
    assert.ok(reports.began > 1, `${reading}: the cursor never moved`);
    return { kills, handled: reports.handled.size, repeated: reports.repeated, failed: reports.failed };
  } finally {
    reader?.kill('SIGKILL');
    await server.close();
    rmSync(directory, { recursive: true });
  }
}

/** A stream of numbers, one or some every few milliseconds, from the one that was asked for on; it ends now and then. */
function numbers(random: () => number): Promise<RunningServer> {
  return stream((response, { headers }) => {
    let n = Number(headers['last-event-id'] ?? 0);
    response.write('retry: 1\n\n');
    const timer = setInterval(() => {
      for (let some = Math.floor(random() * 3); some >= 0; some--) response.write(`id: ${++n}\ndata: event\n\n`);
      if (random() < 0.02) response.end();
    }, 3);
    response.on('close', () => clearInterval(timer));
  });
}

/** What readers told of the events. */
class ReaderReports {
  readonly handled = new Set<number>();
  count = 0;
  repeated = 0;
  failed = 0;
  highest = 0;
  /** The first event that the last life told of. */
  began = 0;
  /** The first event that was not handled; one that is passed over stays it. */
  missing = 1;

  read(child: ChildProcess): void {
    let text = '';
    let begun = false;
    child.stdout!.setEncoding('utf8').on('data', (more: string) => {
      const lines = (text + more).split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const id = Number(line.slice(1));
        if (!begun) this.began = id;
        begun = true;
        this.#add(id, line.startsWith('+'));
      }
    });
  }

  #add(id: number, isHandled: boolean): void {
    this.count += 1;
    this.highest = Math.max(this.highest, id);
    if (!isHandled) {
      this.failed += 1;
      return;
    }
    if (this.handled.has(id)) this.repeated += 1;
    this.handled.add(id);
    while (this.handled.has(this.missing)) this.missing += 1;
  }
}

/** `npm run soak -- sse-cursor`: a table of what came of it. */
export async function soakCursor(kills: number, given?: string): Promise<void> {
  const seed = Number(given ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`seed ${seed}\n| reading | killed | events handled | again | handlers failed |\n|---|---|---|---|---|`);
  for (const [index, reading] of READINGS.entries()) {
    const { handled, repeated, failed } = await killReaders(reading, kills, seed + index);
    console.log(`| ${reading} | ${kills} | ${handled} | ${repeated} | ${failed} |`);
  }
}
