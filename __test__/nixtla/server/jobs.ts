// Jobs and fine-tuned models of the stand-in for the forecasting service.
import { crossValidation, forecast, InvalidBody, onlineAnomalies, type Body } from './model';

interface Job {
  task: string;
  body: Body;
  /** The statuses that successive polls report; the last one stays. */
  statuses: string[];
  error?: string;
}

export class NixtlaJobTable {
  readonly models = new Set<string>();
  readonly #jobs = new Map<string, Job>();
  /** The `statuses` of the next job. */
  nextStatuses: string[] = ['pending', 'succeeded'];

  /** The answer to a request about jobs; undefined when it is about something else. */
  answer(route: string, body: Body | undefined): { status: number; body: unknown } | undefined {
    const submitted = /^POST \/v2\/(\w+)\/async$/.exec(route)?.[1];
    if (submitted && body) return { status: 202, body: this.#submit(submitted, body) };
    const cancelled = /^POST \/v2\/async\/jobs\/([\w-]+)\/cancel$/.exec(route)?.[1];
    if (cancelled) return this.#cancel(cancelled);
    const [, task, id] = /^GET \/v2\/(\w+)\/jobs\/([\w-]+)$/.exec(route) ?? [];
    if (id === undefined) return undefined;
    const job = this.#jobs.get(id);
    if (job?.task !== task) return { status: 404, body: { detail: 'No such job' } };
    return { status: 200, body: this.#state(id, job!) };
  }

  finetune(body: Body | undefined): unknown {
    if (!body) throw new InvalidBody(['body'], 'Field required');
    const id = body.output_model_id ?? `model-${this.models.size + 1}`;
    this.models.add(id);
    return { finetuned_model_id: id, input_tokens: 0, output_tokens: 0, finetune_tokens: body.series.y.length };
  }

  /** The answer to `DELETE /v2/finetuned_models/{id}`, which has no body; undefined for an unknown model. */
  deleteModel(route: string): unknown {
    const id = /^DELETE \/v2\/finetuned_models\/([\w-]+)$/.exec(route)?.[1];
    return id !== undefined && this.models.delete(id) ? {} : undefined;
  }

  #submit(task: string, body: Body): unknown {
    const id = `job-${this.#jobs.size + 1}`;
    this.#jobs.set(id, { task, body, statuses: [...this.nextStatuses] });
    return { job_id: id };
  }

  #cancel(id: string): { status: number; body: unknown } {
    const job = this.#jobs.get(id);
    if (!job) return { status: 404, body: { detail: 'No such job' } };
    const status = job.statuses[0]!;
    if (['succeeded', 'failed', 'cancelled'].includes(status)) return { status: 409, body: { detail: 'Finished' } };
    job.statuses = ['cancelled'];
    return { status: 202, body: { job_id: id } };
  }

  #state(id: string, job: Job): unknown {
    const status = job.statuses.length > 1 ? job.statuses.shift()! : job.statuses[0]!;
    if (status === 'failed') return { job_id: id, status, error: 'the series is too strange' };
    if (status !== 'succeeded') return { job_id: id, status };
    return { job_id: id, status, result: this.#result(job) };
  }

  #result({ task, body }: Job): unknown {
    switch (task) {
      case 'forecast':
        return forecast(body);
      case 'cross_validation':
        return crossValidation(body);
      case 'anomaly_detection':
        return onlineAnomalies(body);
      default:
        return this.finetune(body);
    }
  }
}
