// Downloads a large file and uploads it to another server, in chunks and with progress: memory use stays small for any
// size.
//
//   npm install moorline
//   npx tsx transfer.ts https://example.com/large.iso large.iso https://example.org/uploads/large.iso
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { HTTPConnection } from 'moorline';

const [source, file = 'download', target] = process.argv.slice(2);

/** Yields the chunks, and prints the progress at each 10 %. */
async function* withProgress(
  what: string,
  chunks: AsyncIterable<Uint8Array>,
  total: number,
): AsyncGenerator<Uint8Array> {
  let [bytes, printed] = [0, 0];
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    const tenths = Math.floor((10 * bytes) / total);
    if (tenths > printed) console.log(`${what} ${tenths * 10} %`);
    printed = tenths;
  }
}

/** Returns a response with a 2xx status, and throws for any other. */
function expectOk<Answer extends { ok: boolean; status: number; url: string }>(answer: Answer): Answer {
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}`);
  return answer;
}

async function download(http: HTTPConnection, url: string): Promise<void> {
  const answer = expectOk(await http.request({ url, stream: true }));
  const total = Number(answer.headers['content-length']);
  await pipeline(withProgress('download', answer.stream, total), createWriteStream(file));
}

async function upload(http: HTTPConnection, url: string): Promise<void> {
  const { size } = await stat(file);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
  const body = withProgress('upload', createReadStream(file), size);
  expectOk(await http.request({ method: 'PUT', url, headers, body }));
}

async function main(): Promise<void> {
  if (!source || !target) throw new Error('usage: transfer.ts <source> <file> <target>');
  // `timeout` limits a whole upload. Without compression, the response has a length from which to compute the progress.
  const http = new HTTPConnection({ url: source, timeout: 3_600_000, compression: false });
  await download(http, source);
  await upload(http, target);
  await http.disconnect();
}

void main();
