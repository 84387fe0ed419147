import { call, type CallOptions } from '../runtime/native-call';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import type { NixtlaJob as NativeJob } from '../../dist/native';

/** Options of every method of a job, and of every asynchronous method of {@link NixtlaClient} except `healthCheck`. */
export interface NixtlaCallOptions extends CallOptions {
  /** How long the whole call may take, with its retries. Default: as long as its attempts do. */
  timeoutMs?: number | undefined;
}

/** @internal */
export const NIXTLA_CALL_OPTIONS: KnownOptions<NixtlaCallOptions> = { signal: true, timeoutMs: true };

/**
 * A request that the service processes asynchronously; returned by `NixtlaClient.submit`.
 *
 * @example
 * ```ts
 * import { NixtlaClient } from 'moorline';
 *
 * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY });
 * const timeseries = [100, 105, 103].map((value, day) => ({ timestamp: Date.UTC(2024, 0, 1 + day), value }));
 * const job = await client.submit('forecast', { timeseries, horizon: 2 });
 * const { predictions } = await job.result();
 * console.log(predictions.length); // 2
 * ```
 */
export class NixtlaJob<Answer> {
  readonly #job: Handle<NativeJob>;
  /** The id that the service gave the job. */
  readonly id: string;

  /** @internal */
  constructor(job: Handle<NativeJob>) {
    this.#job = job;
    this.id = native.nixtlaJobId(job);
  }

  /** Returns the status that the service reports: `pending`, `running`, `succeeded`, `failed` or `cancelled`. */
  async status(options: NixtlaCallOptions = {}): Promise<string> {
    checkOptions('options', options, NIXTLA_CALL_OPTIONS);
    return call((cancel) => native.nixtlaJobStatus(this.#job, options.timeoutMs, cancel), options.signal);
  }

  /**
   * Waits for the response and returns it. The service is polled every 0.5 s at first and every 15 s later.
   *
   * After `timeoutMs` (default: one hour) the job is cancelled and the call rejects with kind `timeout`. Aborting `signal`
   * ends only the wait; the job continues.
   */
  async result(options: NixtlaCallOptions = {}): Promise<Answer> {
    checkOptions('options', options, NIXTLA_CALL_OPTIONS);
    const answer = await call((cancel) => native.nixtlaJobResult(this.#job, options.timeoutMs, cancel), options.signal);
    return JSON.parse(answer) as Answer;
  }

  /** Cancels the job. Returns `false` if the job had already ended. */
  async cancel(options: NixtlaCallOptions = {}): Promise<boolean> {
    checkOptions('options', options, NIXTLA_CALL_OPTIONS);
    return call((cancel) => native.nixtlaJobCancel(this.#job, options.timeoutMs, cancel), options.signal);
  }
}
