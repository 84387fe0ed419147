// Retry, breaker and timeout around an async function that succeeds: the price of the guard on the usual path.
// `bare` is the function without any; what a guard adds is its time less that of `bare`.
import {
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import Opossum from 'opossum';

import { bench, load } from './harness.mjs';

const { Policy } = load('moorline');

const work = async (n) => n + 1;

/** What every guard is given, where it knows the part: opossum has no retry, so it does less. */
function contestants() {
  const ours = new Policy({
    timeoutMs: 30_000,
    attemptTimeoutMs: 10_000,
    retry: { maxRetries: 2 },
    breaker: { failMax: 5, resetTimeoutMs: 60_000 },
  });
  const theirs = wrap(
    retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(5) }),
    timeout(10_000, TimeoutStrategy.Aggressive),
  );
  const opossum = new Opossum(work, { timeout: 10_000, resetTimeout: 60_000, volumeThreshold: 5 });
  let n = 0;
  const checked = (name, run, close) => ({
    name,
    async operation() {
      const before = n++;
      if ((await run(before)) !== before + 1) throw new Error(`${name} gave a wrong answer`);
    },
    close,
  });
  return [
    checked('moorline', (before) => ours.run(() => work(before))),
    checked(
      'opossum',
      (before) => opossum.fire(before),
      () => opossum.shutdown(),
    ),
    checked('cockatiel', (before) => theirs.execute(() => work(before))),
    checked('bare', (before) => work(before)),
  ];
}

await bench('resilience', [{ name: 'retry+breaker+timeout', operations: 100_000, contestants }]);
