// Transports and servers of one test, which are closed after it, the last one first.
import { afterEach } from 'node:test';

import { HttpTransport, type RunningServer } from './http';

/** The transports and servers of one test file, whose hooks it registers. */
export class HttpFixture {
  readonly #closers = new Map<object, () => unknown>();

  constructor() {
    afterEach(async () => {
      for (const thing of [...this.#closers.keys()].reverse()) await this.close(thing);
    });
  }

  open(...options: ConstructorParameters<typeof HttpTransport>): HttpTransport {
    const transport = new HttpTransport(...options);
    this.#closers.set(transport, () => transport.close());
    return transport;
  }

  async autoClose<Server extends RunningServer>(server: Promise<Server>): Promise<Server> {
    const running = await server;
    this.#closers.set(running, () => running.close());
    return running;
  }

  /** Something else that is to be undone. */
  undoAfter(undo: () => unknown): void {
    this.#closers.set(undo, undo);
  }

  /** Closes something before the end of its test. */
  async close(thing: object): Promise<void> {
    const close = this.#closers.get(thing);
    this.#closers.delete(thing);
    await close?.();
  }
}
