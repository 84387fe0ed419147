// Ports that only the test that asked for them is given.
//
// Port 0 would be one of those that the system gives to everybody: as soon as a test closes its server, the next
// server of another process may get the port, and the requests that were meant to find nobody. These lie below that
// range, each process counts from a place of its own, and none is used twice.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const FIRST = 10_000;
const COUNT = 22_000;
/** About as many as one file of tests takes. */
const EACH = 499;

let next = (process.pid * EACH) % COUNT;

/** Lets `server` listen on loopback, on a port that was never used here; gives the port. */
export async function listen(server: Server): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
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
