// A server for connections of every kind in a process of its own, so that a test that counts handles or bytes, or looks
// at the clock, sees none of it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';

import type { Server } from '../contract/contract';
import { startServer } from './http';
import { peer } from './peers';

/** A path that is never answered. */
export const UNANSWERED_PATH = '/silence';
/** The path of an endless stream, as fast as it is read. */
export const ENDLESS_PATH = '/flood';
/** The path of a stream of one event. */
export const ONE_EVENT_PATH = '/one';
/** The path of a stream without events. */
export const NO_EVENTS_PATH = '/calm';

/** Starts it. It ends with this process, if not before. */
export async function startConnections(): Promise<Server> {
  const child = fork(__filename, { execArgv: ['--import', 'tsx'] });
  const exited = once(child, 'exit');
  const [url] = (await Promise.race([once(child, 'message'), exited])) as [unknown];
  if (typeof url !== 'string') throw new Error(`the server did not start: ${String(url)}`);
  return {
    url,
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}

function flood(response: ServerResponse): void {
  const events = 'data: {"n":1}\n\n'.repeat(100);
  // One write per turn of the event loop, so that other connections are served, too.
  const write = () => {
    if (!response.destroyed && response.write(events)) setImmediate(write);
  };
  response.on('drain', write);
  write();
}

async function serve(): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === UNANSWERED_PATH) return;
    if (![ENDLESS_PATH, ONE_EVENT_PATH, NO_EVENTS_PATH].includes(request.url ?? '')) return void response.end('{}');
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    if (request.url === ENDLESS_PATH) flood(response);
    if (request.url === ONE_EVENT_PATH) response.write('data: {"n":1}\n\n');
  });
  const { url } = await startServer(server, 'http');
  const { WebSocketServer } = await peer('ws');
  new WebSocketServer({ server }).on('connection', (socket: any) => {
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
  });
  process.once('disconnect', () => process.exit());
  process.send?.(url);
}

if (require.main === module) void serve();
