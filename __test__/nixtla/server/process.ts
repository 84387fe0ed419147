// The stand-in for the forecasting service in a process of its own, so that a test that counts handles or bytes, or
// looks at the clock, sees none of it.
import { fork } from 'node:child_process';
import { once } from 'node:events';

import type { Server } from '../../contract/contract';
import { NixtlaServer } from './server';

/** The one key it accepts. */
export const KEY = 'nixtla-test-key';
/** A path that it never answers. */
export const UNANSWERED_PATH = '/silence';

/** Starts it. It ends with this process, if not before. */
export async function startNixtla(): Promise<Server> {
  const child = fork(__filename, { execArgv: ['--import', 'tsx'] });
  const exited = once(child, 'exit');
  const [url] = (await Promise.race([once(child, 'message'), exited])) as [unknown];
  if (typeof url !== 'string') throw new Error(`the forecasting service did not start: ${String(url)}`);
  return {
    url,
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}

async function serve(): Promise<void> {
  const server = await NixtlaServer.start();
  server.keepsRequests = false;
  server.planMisbehaviour({ kind: 'silence' }, Infinity, new RegExp(`^${UNANSWERED_PATH}`));
  process.once('disconnect', () => process.exit());
  process.send?.(server.url);
}

if (require.main === module) void serve();
