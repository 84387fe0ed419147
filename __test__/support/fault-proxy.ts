// A TCP proxy on loopback that misbehaves on command.
import { once, setMaxListeners } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { listen } from './ports';

/** How bytes travel until told otherwise. */
export type Fault =
  /** As if the proxy were not there. */
  | { kind: 'none' }
  /** Every chunk is held back. */
  | { kind: 'delay'; ms: number }
  /** A few bytes at a time. */
  | { kind: 'drip'; bytes: number; everyMs: number }
  /** Answers end after this many bytes, counted per connection from now on, and the connection with them. */
  | { kind: 'cut'; afterBytes: number }
  /** Nothing travels and nothing ends; what was held back travels on after the fault is gone. */
  | { kind: 'black-hole' };

interface Pair {
  client: Socket;
  server: Socket;
  /** The server's side is gone and the client has not been told. */
  half: boolean;
  /** Bytes of answers since the fault was set. */
  answered: number;
}

/** Stands between a client and a server. Every connection made through it can be harmed. */
export class FaultProxy {
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  readonly #closed = new AbortController();
  #fault: Fault = { kind: 'none' };
  /** Replaced whenever the fault changes, so that whoever is held back looks again. */
  #changed = new AbortController();
  #accepted = 0;
  #port = 0;

  private constructor(target: { host: string; port: number }) {
    this.#listener = createServer({ allowHalfOpen: true }, (client) => this.#join(client, target));
  }

  /** Starts a proxy in front of a port of this machine. */
  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy({ host: '127.0.0.1', port: targetPort });
    proxy.#port = await listen(proxy.#listener);
    return proxy;
  }

  /** Where clients connect, on 127.0.0.1. */
  get port(): number {
    return this.#port;
  }

  /** Connections now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Sets how bytes travel from now on, on old and new connections. */
  set(fault: Fault): void {
    this.#fault = fault;
    for (const pair of this.#pairs) pair.answered = 0;
    this.#changed.abort();
    this.#changed = new AbortController();
  }

  /** Ends every connection politely, with a FIN to both sides. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Ends every connection with a reset to both sides. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      resetSocket(client);
      resetSocket(server);
    }
  }

  /** Ends one connection with a reset to both sides. */
  resetOne(): void {
    for (const { client, server } of this.#pairs) {
      resetSocket(client);
      resetSocket(server);
      return;
    }
  }

  /** The servers' sides vanish; the clients' stay open, and what they send is lost. */
  halfOpen(): void {
    for (const pair of this.#pairs) {
      pair.half = true;
      pair.server.destroy();
    }
  }

  /** Refuses new connections; the old ones stay. */
  async refuse(): Promise<void> {
    // `close` would wait for the open connections to end.
    this.#listener.close();
    await Promise.resolve();
  }

  /** Accepts new connections again, on the same port. */
  async accept(): Promise<void> {
    this.#listener.listen(this.#port, '127.0.0.1');
    await once(this.#listener, 'listening');
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#changed.abort();
    this.reset();
    if (!this.#listener.listening) return;
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(client: Socket, target: { host: string; port: number }): void {
    this.#accepted += 1;
    const server = connect({ ...target, allowHalfOpen: true });
    const pair: Pair = { client, server, half: false, answered: 0 };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // One side's error is the other side's end.
      socket.on('error', () => undefined);
    }
    client.on('close', () => {
      server.destroy();
      this.#pairs.delete(pair);
    });
    server.on('close', () => {
      if (!pair.half) client.destroy();
    });
    void this.#carry(pair, client, server);
    void this.#carry(pair, server, client);
  }

  async #carry(pair: Pair, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        let rest = chunk;
        while (rest.length > 0) {
          const piece = rest.subarray(0, this.#fault.kind === 'drip' ? this.#fault.bytes : rest.length);
          rest = rest.subarray(piece.length);
          await this.#holdBack();
          await this.#pass(pair, piece, to);
        }
      }
      await this.#holdBack();
      if (!pair.half) to.end();
    } catch {
      // A side that was destroyed; its `close` ends the other.
    }
  }

  /** Waits as long as the fault demands; a change of fault lets a black hole go. */
  async #holdBack(): Promise<void> {
    const options = { signal: this.#closed.signal };
    if (this.#fault.kind === 'delay') await sleep(this.#fault.ms, undefined, options);
    if (this.#fault.kind === 'drip') await sleep(this.#fault.everyMs, undefined, options);
    while (this.#fault.kind === 'black-hole' && !this.#closed.signal.aborted) {
      // Each direction of each connection waits for it.
      setMaxListeners(0, this.#changed.signal);
      await once(this.#changed.signal, 'abort');
    }
  }

  async #pass(pair: Pair, piece: Buffer, to: Socket): Promise<void> {
    if (to.destroyed) return;
    if (this.#fault.kind === 'cut' && to === pair.client) {
      const allowed = this.#fault.afterBytes - pair.answered;
      pair.answered += piece.length;
      if (piece.length >= allowed) {
        to.end(piece.subarray(0, Math.max(allowed, 0)));
        pair.server.destroy();
        return;
      }
    }
    if (!to.write(piece)) await once(to, 'drain');
  }
}

/** Ends a socket with a reset, unless its end is under way: libuv refuses that, and Node.js never closes it then. */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
