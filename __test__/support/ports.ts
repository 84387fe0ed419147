// Ports that only the test that asked for them is given.
//
// Port 0 would be one of those that the system gives to everybody: as soon as a test closes its server, the next
// server of another process may get the port, and the requests that were meant to find nobody. These lie below that
// range. A process takes blocks of them: it holds the first port of a block for as long as it lives, so no other takes
// the same, and uses each of the others once.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const FIRST_PORT = 10_000;
const BLOCK_SIZE = 100;
const BLOCKS = 220;

let block: Promise<number> | undefined;
let used = BLOCK_SIZE;

/** Lets `server` listen on loopback, on a port that was never used here; gives the port. */
export async function listen(server: Server): Promise<number> {
  for (let tries = 0; tries < BLOCK_SIZE; tries++) {
    const port = await next();
    if (await listens(server, port)) return port;
  }
  throw new Error('no port is free');
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** False when somebody else has the port. */
async function listens(server: Server, port: number): Promise<boolean> {
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

/** The next port of this process. */
async function next(): Promise<number> {
  if (used === BLOCK_SIZE) {
    block = takePort();
    used = 1;
  }
  const offset = used++;
  return (await block!) + offset;
}

/** Takes a block that nobody has; gives its first port. */
async function takePort(): Promise<number> {
  for (let tries = 0; tries < BLOCKS; tries++) {
    const first = FIRST_PORT + ((process.pid + tries) % BLOCKS) * BLOCK_SIZE;
    if (await listens(createServer().unref(), first)) return first;
  }
  throw new Error('no block of ports is free');
}
