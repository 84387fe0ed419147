import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';

import { setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import type { Subject } from '../contract';
import { startServer } from '../../support/http';
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
    const echo = await startServer(
      createServer((socket) => socket.pipe(socket)),
      'tcp',
    );
    const config = { ...sshd.config, remoteHost: '127.0.0.1', remotePort: echo.port };
    return {
      url: `ssh://127.0.0.1:${sshd.port}#${encodeURIComponent(JSON.stringify(config))}`,
      async stop() {
        await sshd.stop();
        await echo.close();
      },
    };
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
  /** That of a socket through one tunnel: a tunnel's own costs the server more than it costs us. */
  async runLifetime(url) {
    shared ??= new SSHTunnel({ ...configOf(url), localPort: 0, maxPoolSize: 100 });
    await shared.connect();
    const socket = connect(shared.localPort!, '127.0.0.1');
    socket.end('1');
    if ((await text(socket)) !== '1') throw new Error('the socket was cut');
  },
};

let shared: SSHTunnel | undefined;

const unanswered = () => new Promise<string>(() => undefined);

function configOf(url: string): TunnelConfig {
  return JSON.parse(decodeURIComponent(new URL(url).hash.slice(1))) as TunnelConfig;
}
