// Downloads a large file and uploads it to another place, piece by piece and with progress: memory stays small, whatever
// the size.
//
//   npm install moorline
//   npx tsx transfer.ts https://example.com/large.iso large.iso https://example.org/uploads/large.iso
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { HTTPConnection } from 'moorline';

const [source, file = 'download', target] = process.argv.slice(2);

/** Hands the pieces on, and tells each tenth of the way. */
async function* withProgress(
  what: string,
  pieces: AsyncIterable<Uint8Array>,
  total: number,
): AsyncGenerator<Uint8Array> {
  let [bytes, told] = [0, 0];
  for await (const piece of pieces) {
    yield piece;
    bytes += piece.length;
    const tenths = Math.floor((10 * bytes) / total);
    if (tenths > told) console.log(`${what} ${tenths * 10} %`);
    told = tenths;
  }
}

/** An answer with a good status, or an error. */
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
  // `timeout` bounds a whole upload. What comes packed has no length that a progress could be told by.
  const http = new HTTPConnection({ url: source, timeout: 3_600_000, compression: false });
  await download(http, source);
  await upload(http, target);
  await http.disconnect();
}

void main();
