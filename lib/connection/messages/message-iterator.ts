type Result<Value> = IteratorResult<Value, undefined>;

/**
 * Iterates over messages as an asynchronous generator does, which makes several promises for each of them; a message that is
 * ready costs one.
 */
export class MessageIterator<Message, Parsed> {
  readonly #poll: () => Message | undefined;
  readonly #wait: () => Promise<Message | null>;
  readonly #parse: (message: Message) => Parsed;
  /** The last call, while it is under way: as in a generator, each waits for the one before. */
  #running: Promise<unknown> | undefined;
  #isOver = false;
  /** That of all asynchronous iterators, where the language has it. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;

  /**
   * @param poll gives the next message where there is one already.
   * @param wait waits for the next message; `null` is the end.
   */
  constructor(
    poll: () => Message | undefined,
    wait: () => Promise<Message | null>,
    parse: (message: Message) => Parsed,
  ) {
    this.#poll = poll;
    this.#wait = wait;
    this.#parse = parse;
  }

  next(): Promise<Result<Parsed>> {
    if (this.#running) return this.#run(() => this.#next());
    try {
      const message = this.#isOver ? undefined : this.#poll();
      if (message !== undefined) return Promise.resolve({ value: this.#parse(message), done: false });
    } catch (error) {
      this.#isOver = true;
      return Promise.reject(error);
    }
    return this.#run(() => this.#next());
  }

  return(value?: undefined | PromiseLike<undefined>): Promise<Result<Parsed>> {
    return this.#run(async () => {
      this.#isOver = true;
      return { value: await value, done: true };
    });
  }

  throw(error?: unknown): Promise<Result<Parsed>> {
    return this.#run(() => {
      this.#isOver = true;
      return Promise.reject(error);
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #next(): Promise<Result<Parsed>> {
    if (this.#isOver) return { value: undefined, done: true };
    try {
      const message = this.#poll() ?? (await this.#wait());
      if (message !== null) return { value: this.#parse(message), done: false };
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
    this.#isOver = true;
    return { value: undefined, done: true };
  }

  #run(step: () => Promise<Result<Parsed>>): Promise<Result<Parsed>> {
    const running = this.#running ? this.#running.then(step, step) : step();
    this.#running = running;
    const end = () => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(end, end);
    return running;
  }
}

const generator: object = (async function* () {})();
Object.setPrototypeOf(
  MessageIterator.prototype,
  Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(generator))) as object,
);
