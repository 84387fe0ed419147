// The WebSocket transport, which is not exported, and a recorder of its events.
import assert from 'node:assert/strict';
import { join } from 'node:path';

import { MoorlineError } from 'moorline';

import type * as WebSocket from '../../lib/websocket/transport';
import { eventually } from './eventually';
import { dist } from './paths';

export type { SocketOptions } from '../../lib/websocket/transport';

const { SocketTransport } = require(join(dist, 'websocket', 'transport.js')) as typeof WebSocket;

/** A transport, and everything its listener was called with. */
export class RecordedSocket {
  readonly transport: WebSocket.SocketTransport;
  messages: (string | Buffer)[] = [];
  closed: WebSocket.SocketCloseEvent[] = [];
  pings = 0;
  batches = 0;
  onMessage: (message: string | Buffer) => void = () => undefined;

  constructor(options: WebSocket.SocketOptions) {
    this.transport = new SocketTransport(options, {
      onMessages: (messages) => {
        this.batches += 1;
        this.messages.push(...messages);
        messages.forEach((message) => this.onMessage(message));
      },
      onClose: (closed) => this.closed.push(closed),
      onPing: (count) => (this.pings += count),
    });
  }

  /** Connects, forgetting what came before. */
  async connect(): Promise<void> {
    this.messages = [];
    this.closed = [];
    await this.transport.connect();
    this.transport.ref();
  }

  /** Waits until so many messages have come. */
  async receive(count: number): Promise<void> {
    await eventually(() => this.messages.length >= count || this.closed.length > 0, 20_000);
    assert.equal(this.messages.length, count, `closed: ${JSON.stringify(this.closed)}`);
  }

  /** Waits until it is over. */
  async end(): Promise<void> {
    await eventually(() => this.closed.length > 0, 10_000);
  }
}

/** The error a call of the transport rejects with; every field of it is set. */
export async function rejectionOf(call: Promise<unknown>): Promise<MoorlineError> {
  const error = await call.then(
    (value) => assert.fail(`resolved with ${String(value)}`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof MoorlineError, String(error));
  assert.equal(error.service, 'websocket');
  for (const field of [error.code, error.operation, error.message, error.delivery]) assert.ok(field);
  return error;
}
