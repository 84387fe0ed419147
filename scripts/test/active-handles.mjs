// Why a process does not end: what a diagnostic report of Node.js says about it.
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The options by which a process writes a report to `directory`/`name` when it is asked to. */
export const reportOptions = (directory, name) => [
  ...['--report-on-signal', '--report-signal=SIGUSR2', '--report-exclude-network'],
  ...[`--report-directory=${directory}`, `--report-filename=${name}`],
];

const REPORT_TIMEOUT_MS = 5_000;

/** What keeps `child` alive, a line each; asks it for the report in `path`. */
export async function readActiveHandles(child, path) {
  child.kill('SIGUSR2');
  const deadline = performance.now() + REPORT_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const report = read(path);
    if (report) return describe(report);
    await sleep(50);
  }
  return ['it writes no report: its JavaScript thread is busy or blocked'];
}

function read(path) {
  try {
    return existsSync(path) && JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // Not written to its end.
  }
}

function describe({ libuv }) {
  const alive = libuv.filter((handle) => handle.is_active && handle.is_referenced).map(describeHandle);
  return alive.length > 0 ? alive : ['no handle of its event loop'];
}

function describeHandle({ type, fd, pid, firesInMsFromNow, localEndpoint, remoteEndpoint, writeQueueSize }) {
  const at = ({ host, ip4, ip6, port } = {}) => `${ip4 ?? ip6 ?? host}:${port}`;
  return [
    type,
    fd > 2 || type === 'tty' ? `fd ${fd}` : '',
    pid ? `process ${pid}` : '',
    firesInMsFromNow === undefined ? '' : `fires in ${firesInMsFromNow} ms`,
    localEndpoint ? `from ${at(localEndpoint)}` : '',
    remoteEndpoint ? `to ${at(remoteEndpoint)}` : '',
    writeQueueSize ? `${writeQueueSize} bytes to write` : '',
  ]
    .filter(Boolean)
    .join(', ');
}
