// Our client against the fuzzing server: runs the cases and counts the verdicts.
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { root } from '../lib/run.mjs';
import { startServer } from './server.mjs';

const AGENT = 'moorline';
/** The slowest case sends 128 MB and takes ten seconds on an idle machine. */
const CASE_TIMEOUT_MS = 600_000;

/** Runs the cases that match; `{ passed, failed: [names], elapsedMs }`. `onCase` is called for each. */
export async function runCases(cases, onCase = () => {}) {
  const { SocketTransport } = createRequire(import.meta.url)(join(root, 'dist', 'websocket', 'transport.js'));
  const server = await startServer(cases);
  const started = performance.now();
  try {
    for (const [index, name] of server.names.entries()) {
      onCase(name, index + 1, server.names.length);
      // The groups 12 and 13 are about compression; elsewhere every reserved bit must be refused.
      const compression = /^1[23]\./.test(name);
      await echo(SocketTransport, `${server.url}/runCase?case=${index + 1}&agent=${AGENT}`, compression);
    }
    await echo(SocketTransport, `${server.url}/updateReports?agent=${AGENT}`, false);
    const verdicts = server.verdicts(AGENT);
    const failed = server.names.filter((name) => !passes(verdicts[name]));
    return {
      passed: server.names.length - failed.length,
      failed: failed.map((name) => `${name} (${verdicts[name]?.behavior}, close ${verdicts[name]?.behaviorClose})`),
      elapsedMs: performance.now() - started,
    };
  } finally {
    await server.stop();
  }
}

/** Strictly: what Autobahn calls lenient is not good enough. Informational cases have no right answer. */
function passes(verdict) {
  const good = ['OK', 'INFORMATIONAL'];
  return good.includes(verdict?.behavior) && good.includes(verdict?.behaviorClose);
}

/** Sends back what comes until the server closes. */
async function echo(SocketTransport, url, compression) {
  let resolveClosed;
  const closed = new Promise((resolve) => (resolveClosed = resolve));
  const transport = new SocketTransport(
    { url, compression: compression && { thresholdBytes: 0 } },
    {
      onMessages(messages) {
        // A send that fails does so because the case ended the connection.
        for (const message of messages) transport.send(message).catch(() => undefined);
      },
      onClose: resolveClosed,
    },
  );
  const timer = setTimeout(() => transport.terminate(), CASE_TIMEOUT_MS);
  try {
    await transport.connect();
    transport.ref();
    await closed;
  } finally {
    clearTimeout(timer);
  }
}
