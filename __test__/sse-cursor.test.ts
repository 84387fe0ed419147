// A stream whose place is kept in a file: a new process goes on where the old one was killed.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { MoorlineError, SSEConnection } from 'moorline';

import { eventually } from './support/eventually';
import type { Running } from './support/http';
import { EventStreamCursor, EventStreamTransport, hear, stream } from './support/sse';

const unexpected = (error: unknown) => assert.fail(String(error));

/** In a process of its own: reads on until it is killed, telling each id once it is handled. */
async function readOn([streamUrl, url]: string[]): Promise<void> {
  const cursor = new EventStreamCursor({ url: url!, name: 'reader' }, unexpected);
  const transport = new EventStreamTransport(
    { url: streamUrl!, cursor },
    { onEvents: (events) => events.forEach(({ lastEventId }) => process.send!(lastEventId)), onClose: () => undefined },
  );
  await transport.connect();
  transport.ref();
}

/** In a process of its own: is killed by the second event, after its handler has taken its time. */
async function dieOn([streamUrl, url]: string[]): Promise<void> {
  const connection = new SSEConnection({ url: streamUrl!, customOptions: { cursor: { url: url!, name: 'handler' } } });
  connection.onMessage(({ lastEventId }) => {
    if (lastEventId !== '2') return;
    // Long enough for whatever has been decided to be written.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    process.kill(process.pid, 'SIGKILL');
  });
  await connection.connect();
  setInterval(() => undefined, 1000);
}

if (process.argv[2] === 'reader') {
  void readOn(process.argv.slice(3));
} else if (process.argv[2] === 'handler') {
  void dieOn(process.argv.slice(3));
} else {
  describe('a cursor', () => {
    let directory: string;
    let server: Running;
    let asked: (string | undefined)[] = [];

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'moorline-cursor-'));
      // An event every few milliseconds, from the one that was asked for on.
      server = await stream((response, { headers }) => {
        asked.push(headers['last-event-id'] as string | undefined);
        let n = Number(headers['last-event-id'] ?? 0);
        const timer = setInterval(() => response.write(`id: ${++n}\ndata: event\n\n`), 2);
        response.on('close', () => clearInterval(timer));
      });
    });
    after(async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    });

    test('survives the process: nothing is missed, little comes twice', { timeout: 60_000 }, async () => {
      const url = `file:${join(directory, 'place.db')}`;
      const seen: number[] = [];
      for (let life = 0; life < 3; life++) {
        const from = seen.length;
        const child = fork(__filename, ['reader', server.url, url], { execArgv: ['--import', 'tsx'] });
        child.on('message', (id) => seen.push(Number(id)));
        await eventually(() => seen.length > from + 250, 20_000);
        child.kill('SIGKILL');
        await once(child, 'close');
      }
      for (let n = 1; n <= Math.max(...seen); n++) assert.ok(seen.includes(n), `${n} was missed`);
      assert.equal(asked.length, 3);
      assert.ok(Number(asked[1]) > 0 && Number(asked[2]) > Number(asked[1]), asked.join());
    });

    test('is written when it is closed, loaded once, and moves when it is told to', async () => {
      const database = { url: `file:${join(directory, 'own.db')}`, name: 'own' };
      const first = new EventStreamCursor(database, unexpected);
      assert.equal(await first.load(), '');
      first.keep('1');
      first.keep("2'); --");
      await first.close();
      const again = new EventStreamCursor(database, unexpected);
      assert.equal(await again.load(), "2'); --");
      again.keep('40');
      await again.flush();
      asked = [];
      const heard = hear({ url: server.url, lastEventId: '7', cursor: again, cursorMoves: 'manual' });
      await heard.transport.connect();
      await eventually(() => heard.events.length > 3);
      heard.transport.close();
      assert.deepEqual([asked, heard.events[0]!.lastEventId], [['40'], '41'], 'what is kept wins');
      assert.equal(await again.load(), '40');
      await again.close();
      await assert.rejects(again.load(), { kind: 'closed', service: 'sse', operation: 'load' });
    });

    test('moves when the handler has returned, not before', async () => {
      const url = `file:${join(directory, 'handler.db')}`;
      const child = fork(__filename, ['handler', server.url, url], { execArgv: ['--import', 'tsx'] });
      await once(child, 'exit');
      const cursor = new EventStreamCursor({ url, name: 'handler' }, unexpected);
      const kept = await cursor.load();
      assert.ok(['', '1'].includes(kept), `event ${kept} was not handled`);
      await cursor.close();
    });

    test('of which each reader has its own', async () => {
      const url = `file:${join(directory, 'shared.db')}`;
      const [one, two] = ['one', 'two'].map((name) => new EventStreamCursor({ url, name }, unexpected));
      one!.keep('1');
      two!.keep('2');
      await Promise.all([one!.flush(), two!.flush()]);
      assert.deepEqual(await Promise.all([one!.load(), two!.load()]), ['1', '2']);
      await Promise.all([one!.close(), two!.close()]);
    });

    test('that cannot be kept says so: to connect, to flush, and while nobody waits', async () => {
      const lost: MoorlineError[] = [];
      const nowhere = `file:${join(directory, 'missing', 'place.db')}`;
      const cursor = new EventStreamCursor({ url: nowhere, name: 'x' }, (error) => lost.push(error));
      const heard = hear({ url: server.url, cursor });
      await assert.rejects(heard.transport.connect(), { service: 'sse', operation: 'load' });
      cursor.keep('1');
      await eventually(() => lost.length === 1);
      assert.deepEqual([lost[0]!.service, lost[0]!.operation], ['sse', 'store']);
      await assert.rejects(cursor.close(), { service: 'sse', operation: 'store' });
    });

    test('is refused at once where it cannot be', () => {
      assert.throws(() => new EventStreamCursor({ url: 'ftp://h', name: 'x' }, unexpected), /options\.url/);
      assert.throws(() => new EventStreamCursor({ url: 'file:x', name: '' }, unexpected), /cursor\.name/);
    });
  });
}
