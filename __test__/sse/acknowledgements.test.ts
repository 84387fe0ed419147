// The position up to which the events of a stream were handled, in whatever order their handlers finish.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../hostile/random';
import { Acknowledgements } from '../support/sse';

type State = 'pending' | 'failed' | 'handled';

test('the position is the last event that was handled with all before it, after any history', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  for (let history = 0; history < 2000; history++) {
    let stored = '';
    const acknowledgements = new Acknowledgements((position) => (stored = position));
    let model: { id: string; state: State; acknowledgement: ReturnType<Acknowledgements['add']> }[] = [];
    let outdated: typeof model = [];
    let start = '';
    for (let step = 0; step < 40; step++) {
      const chosen = model[Math.floor(random() * model.length)];
      const roll = random();
      if (roll < 0.4 || !chosen) {
        const id = random() < 0.2 ? '' : String(step);
        model.push({ id, state: 'pending', acknowledgement: acknowledgements.add(id) });
      } else if (roll < 0.8) {
        chosen.acknowledgement.ack();
        chosen.state = 'handled';
      } else if (roll < 0.97) {
        chosen.acknowledgement.fail();
        if (chosen.state === 'pending') chosen.state = 'failed';
      } else {
        outdated = model;
        model = [];
        acknowledgements.restart((stored = start = `from ${step}`));
      }
      outdated[Math.floor(random() * outdated.length)]?.acknowledgement.ack();
      const unfinished = model.findIndex(({ state }) => state !== 'handled');
      const before = model.slice(0, unfinished < 0 ? undefined : unfinished);
      const position = before.findLast(({ id }) => id !== '')?.id ?? start;
      const failed = model.some(({ state }) => state === 'failed');
      assert.equal(stored, position, `history ${history}, step ${step}`);
      assert.equal(acknowledgements.retryFrom, failed ? position : undefined, `history ${history}, step ${step}`);
    }
  }
});
