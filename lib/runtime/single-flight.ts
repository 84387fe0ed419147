/** Something that runs once for all who ask while it is under way. */
export class SingleFlight<T> {
  #running: Promise<T> | undefined;

  /** The run that is under way. */
  get running(): Promise<T> | undefined {
    return this.#running;
  }

  /** Joins the run that is under way, or begins one: `work` must not reject. */
  run(work: () => Promise<T>): Promise<T> {
    if (this.#running) return this.#running;
    let settle!: (value: Promise<T>) => void;
    // It can be joined from within: `work` tells others what it does before it first waits.
    const running = new Promise<T>((resolve) => (settle = resolve));
    this.#running = running;
    settle(work().finally(() => this.#running === running && this.forget()));
    return running;
  }

  /** Who asks from now on begins another run. */
  forget(): void {
    this.#running = undefined;
  }
}
