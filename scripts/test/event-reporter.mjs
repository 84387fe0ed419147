// A reporter of node:test for the runner: what begins and what ends, an event a line of the file MOORLINE_EVENTS.
import { appendFileSync } from 'node:fs';

const TYPES = ['test:dequeue', 'test:complete', 'test:pass', 'test:fail'];

export default async function* eventReporter(source) {
  for await (const { type, data } of source) {
    if (!TYPES.includes(type)) continue;
    const { name, nesting, details, skip, todo } = data;
    const failure = details?.error?.failureType;
    const event = { type, name, nesting, suite: details?.type === 'suite', failure, skip, todo };
    // At once: what a test does next may block the thread, or end the process.
    appendFileSync(process.env.MOORLINE_EVENTS, `${JSON.stringify(event)}\n`);
  }
}
