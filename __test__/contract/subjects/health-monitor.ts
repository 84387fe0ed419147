import { HealthMonitor } from 'moorline';

import type { Subject } from '../contract';

/** A monitor that runs its checks both on its schedule and when asked. */
export const healthMonitor: Subject = {
  name: 'HealthMonitor',
  service: 'health',
  lacks: {
    close: 'stop ends the schedule alone; checks still run when asked',
    hold: 'it lends nothing: whoever asks for a check that is running joins it',
    refuse: 'it refuses nothing but unknown names, which are a mistake',
    signal: 'it takes none: the time limit of a check bounds it',
    errors: 'a failure is a result',
  },
  start(_, concurrency = 1) {
    const monitor = new HealthMonitor({ intervalMs: 50 });
    const names = Array.from({ length: concurrency }, (_, n) => `up ${n}`);
    for (const name of names) monitor.register(name, () => true);
    monitor.register('down', () => Promise.reject(new Error('down')));
    monitor.register('hanging', () => new Promise(() => undefined), { timeoutMs: 1000, intervalMs: Infinity });
    monitor.start();
    let turn = 0;
    return {
      operate: () => monitor.check(names[turn++ % concurrency]!),
      fail: () => monitor.check('down'),
      stall: () => monitor.check('hanging'),
    };
  },
};
