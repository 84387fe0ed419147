import { NixtlaClient } from 'moorline';

import type { Subject } from '../contract';
import { KEY, UNANSWERED_PATH, startNixtla } from '../../nixtla/server/process';

const timeseries = [3, 1, 4, 1, 5, 9, 2, 6].map((value, day) => ({ timestamp: `2024-01-0${day + 1}`, value }));

/** A client of a forecasting service on this machine. */
export const nixtlaClient: Subject = {
  name: 'NixtlaClient',
  service: 'nixtla',
  lacks: {
    close: 'it has nothing to close: it goes with its last reference',
    hold: 'it lends nothing, and bounds no number of calls',
  },
  serve: startNixtla,
  start(baseUrl) {
    delete process.env['NIXTLA_API_KEY'];
    const config = { baseUrl, apiKey: KEY, restrictInput: false };
    const client = new NixtlaClient(config);
    const wrongKeyClient = new NixtlaClient({ ...config, apiKey: 'a-wrong-key' });
    const keylessClient = new NixtlaClient({ ...config, apiKey: undefined });
    const unansweredClient = new NixtlaClient({
      ...config,
      timeout: 1000,
      maxRetries: 0,
      paths: { usage: UNANSWERED_PATH },
    });
    return {
      operate: (options) => client.forecast({ timeseries, horizon: 2 }, options),
      fail: () => wrongKeyClient.forecast({ timeseries, horizon: 2 }),
      stall: (options) => unansweredClient.usage(options),
      refuse: () => keylessClient.usage(),
    };
  },
};
