import { call, type CallOptions } from '../runtime/native-call';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import type { NixtlaJob as NativeJob } from '../../dist/native';

/** What every asynchronous method of {@link NixtlaClient} but `healthCheck`, and every method of a job, accepts. */
export interface NixtlaCallOptions extends CallOptions {
  /** How long the whole call may take, with its retries. Default: as long as its attempts do. */
  timeoutMs?: number | undefined;
}

/** @internal */
export const CALL: KnownOptions<NixtlaCallOptions> = { signal: true, timeoutMs: true };

/** A request the service works on by itself; made by `NixtlaClient.submit`. */
export class NixtlaJob<Answer> {
  readonly #job: Handle<NativeJob>;
  /** The service's name for it. */
  readonly id: string;

  /** @internal */
  constructor(job: Handle<NativeJob>) {
    this.#job = job;
    this.id = native.nixtlaJobId(job);
  }

  /** What the service says of it: `pending`, `running`, `succeeded`, `failed` or `cancelled`. */
  async status(options: NixtlaCallOptions = {}): Promise<string> {
    checkOptions('options', options, CALL);
    return call((cancel) => native.nixtlaJobStatus(this.#job, options.timeoutMs, cancel), options.signal);
  }

  /**
   * Waits for the answer, asking after it every half second at first and every 15 s in the end.
   *
   * After `timeoutMs` (default an hour) the job is cancelled and the call rejects with kind `timeout`. Aborting
   * `signal` only ends the wait: the job goes on.
   */
  async result(options: NixtlaCallOptions = {}): Promise<Answer> {
    checkOptions('options', options, CALL);
    const answer = await call((cancel) => native.nixtlaJobResult(this.#job, options.timeoutMs, cancel), options.signal);
    return JSON.parse(answer) as Answer;
  }

  /** Cancels it. Resolves with false when there is nothing to cancel any more. */
  async cancel(options: NixtlaCallOptions = {}): Promise<boolean> {
    checkOptions('options', options, CALL);
    return call((cancel) => native.nixtlaJobCancel(this.#job, options.timeoutMs, cancel), options.signal);
  }
}
