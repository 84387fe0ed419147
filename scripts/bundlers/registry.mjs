// An npm registry on loopback that has the given tarballs and nothing else, so that package managers can be tried with
// packages that are not published. It runs on a thread of its own, because the main thread blocks while npm runs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Serves `tarballs`; returns the registry's URL and a function that closes it. */
export async function serveTarballs(tarballs) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { tarballs } });
  const [url] = await once(worker, 'message');
  return { url, close: () => worker.terminate() };
}

function readManifest(tarball) {
  const { status, stdout, stderr } = spawnSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tarball}: ${stderr}`);
  return JSON.parse(stdout);
}

/** A registry's description of a package that has one version. */
function describePackage(tarball, origin) {
  const manifest = readManifest(tarball);
  const { name, version } = manifest;
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  const dist = { tarball: `${origin}/-/${basename(tarball)}`, integrity };
  // Yarn and pnpm may refuse what is too new.
  const time = { [version]: '2020-01-01T00:00:00.000Z' };
  return { name, 'dist-tags': { latest: version }, time, versions: { [version]: { ...manifest, dist } } };
}

async function serve(tarballs) {
  const answers = new Map();
  const server = createServer((request, response) => {
    const answer = answers.get(request.url);
    if (!answer) return void response.writeHead(404).end('{}');
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const origin = `http://127.0.0.1:${server.address().port}`;
  for (const tarball of tarballs) {
    const description = describePackage(tarball, origin);
    answers.set(`/${description.name}`, () => JSON.stringify(description));
    answers.set(`/-/${basename(tarball)}`, () => readFileSync(tarball));
  }
  parentPort.postMessage(`${origin}/`);
}

if (!isMainThread && workerData?.tarballs) await serve(workerData.tarballs);
