// A download of 1 GB that nobody reads, and requests beside it on other channels of its session.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { HTTPConnection, SSHTunnel } from 'moorline';

import { eventually } from '../../support/eventually';
import { serve } from '../../support/http';
import { Sshd } from '../../support/sshd';

const BLOCK = Buffer.alloc(
  1 << 20,
  Uint8Array.from({ length: 251 }, (_, index) => index),
);
const BLOCKS = 1024;
const REQUESTS = 1000;
/** More than the window of a channel and what systems and processes between have in their buffers. */
const MAX_SENT_BYTES = 32 << 20;
const MAX_GROWN_BYTES = 32 << 20;
const READ_AFTERWARDS = 16 << 20;

export interface UnreadDownload {
  /** Of requests beside the download, in milliseconds. */
  besideMs: number;
  /** Of the same requests through a tunnel without it. */
  p99Ms: number;
  grownBytes: number;
  /** What the server could send of the download. */
  sentBytes: number;
}

/** Makes a thousand requests in `durationMs`; rejects unless session and keep-alive live, and the download goes on once it is read. */
export async function measureUnreadDownload(options: {
  keepAliveIntervalMs: number;
  durationMs: number;
}): Promise<UnreadDownload> {
  let sentBytes = 0;
  const server = await serve(async (request, response) => {
    if (request.url !== '/gigabyte') return response.end('beside');
    const ended = new AbortController();
    response.on('close', () => ended.abort());
    for (let block = 0; block < BLOCKS && !response.destroyed; block++) {
      sentBytes += BLOCK.length;
      if (!response.write(BLOCK)) await once(response, 'drain', { signal: ended.signal }).catch(() => undefined);
    }
    response.end();
  });
  const sshd = await Sshd.start();
  const open = () => {
    const { keepAliveIntervalMs } = options;
    const tunnel = new SSHTunnel({ ...sshd.config, keepAliveIntervalMs, healthCheckInterval: Infinity });
    return { tunnel, http: new HTTPConnection({ url: server.url, tunnel, monitoring: false, autoRetry: false }) };
  };
  const [beside, without] = [open(), open()];
  try {
    const losses: Error[] = [];
    beside.tunnel.on('error', (error) => losses.push(error));
    const { stream } = await beside.http.request({ url: '/gigabyte', stream: true });
    await untilStill(() => sentBytes);
    const sentBefore = sentBytes;
    const rssBefore = process.memoryUsage.rss();
    const times = { beside: [] as number[], without: [] as number[] };
    const until = performance.now() + options.durationMs;
    for (let left = REQUESTS; left > 0; left--) {
      for (const name of ['beside', 'without'] as const) {
        const began = performance.now();
        const answer = await (name === 'beside' ? beside : without).http.request({ timeoutMs: 10_000 });
        assert.equal(answer.text(), 'beside');
        times[name].push(performance.now() - began);
      }
      await sleep(Math.max((until - performance.now()) / left, 0));
    }
    const grownBytes = process.memoryUsage.rss() - rssBefore;
    assert.deepEqual(losses, []);
    const { sessions, reconnects, roundTripMs } = beside.tunnel.stats();
    assert.deepEqual([sessions, reconnects], [1, 0]);
    assert.ok(roundTripMs! > 0, 'no keep-alive was answered');
    assert.equal(sentBytes, sentBefore, 'the server has sent more, though nobody reads');
    assert.ok(sentBytes < MAX_SENT_BYTES, `${sentBytes} bytes are held`);
    assert.ok(grownBytes < MAX_GROWN_BYTES, `${grownBytes} bytes more`);
    await readSome(stream);
    return { besideMs: percentile99(times.beside), p99Ms: percentile99(times.without), grownBytes, sentBytes };
  } finally {
    for (const { http, tunnel } of [beside, without]) {
      await http.disconnect();
      await tunnel.disconnect();
    }
    await sshd.stop();
    await server.close();
  }
}

/** Waits until a figure does not change any more. */
async function untilStill(figure: () => number): Promise<void> {
  let [last, since] = [0, performance.now()];
  await eventually(() => {
    if (figure() !== last) [last, since] = [figure(), performance.now()];
    return last > 0 && performance.now() - since > 500;
  }, 20_000);
}

async function readSome(stream: AsyncIterable<Uint8Array>): Promise<void> {
  let read = 0;
  for await (const piece of stream) {
    const at = read % BLOCK.length;
    const first = Math.min(piece.length, BLOCK.length - at);
    assert.ok(BLOCK.subarray(at, at + first).equals(piece.subarray(0, first)));
    assert.ok(BLOCK.subarray(0, piece.length - first).equals(piece.subarray(first)));
    read += piece.length;
    if (read >= READ_AFTERWARDS) return;
  }
  assert.fail('the download has ended early');
}

function percentile99(times: number[]): number {
  return Math.round(times.sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1]! * 10) / 10;
}
