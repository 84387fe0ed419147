import { setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import type { Subject } from '../contract';
import { skipWithoutSshd, Sshd } from '../../support/sshd';

/** Nobody answers there. */
const NOBODY = { sshPort: 1 };

/** A tunnel through a server of this machine; its options are in the fragment of the URL. */
export const sshTunnel: Subject = {
  name: 'SSHTunnel',
  service: 'ssh',
  lacks: {
    close: 'disconnect can be undone: connect opens it again',
    hold: 'it lends nothing: channels belong to connections',
    refuse: 'it has no circuit breaker',
    signal: 'an attempt to connect is that of all who wait for it',
  },
  skipReason: skipWithoutSshd,
  async serve() {
    const sshd = await Sshd.start();
    const options = encodeURIComponent(JSON.stringify(sshd.config));
    return { url: `ssh://127.0.0.1:${sshd.port}#${options}`, stop: () => sshd.stop() };
  },
  async start(url) {
    setLogger({});
    const config = configOf(url);
    const tunnel = new SSHTunnel(config);
    await tunnel.connect();
    const nobody = new SSHTunnel({ ...config, ...NOBODY });
    const silent = new SSHTunnel({ ...config, passphrase: unanswered, connectTimeoutMs: 1000 });
    return {
      async operate() {
        if (!(await tunnel.healthCheck())) throw new Error('the tunnel is not connected');
      },
      fail: () => nobody.connect(),
      stall: () => silent.connect(),
    };
  },
  async runLifetime(url) {
    const tunnel = new SSHTunnel(configOf(url));
    await tunnel.connect();
    await tunnel.disconnect();
  },
};

const unanswered = () => new Promise<string>(() => undefined);

function configOf(url: string): TunnelConfig {
  return JSON.parse(decodeURIComponent(new URL(url).hash.slice(1))) as TunnelConfig;
}
