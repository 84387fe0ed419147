// Passwords and answers, given by functions, at the server of `ssh2`.
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';

import { HTTPConnection, setLogger, type SSHPrompt, SSHTunnel, type TunnelConfig } from 'moorline';

import { type RunningServer, serve } from '../support/http';
import { peersMissing } from '../support/peers';
import { type Ssh2Server, startSsh2Server } from './ssh2-server';

const PASSWORD = 'the right password';
const QUESTIONS = [
  { prompt: 'Password:', echo: false },
  { prompt: 'Code:', echo: true },
];

describe('credentials that are functions', { skip: peersMissing(), timeout: 60_000 }, () => {
  let server: Ssh2Server;
  let http: RunningServer;
  let config: TunnelConfig;

  before(async () => {
    setLogger({});
    http = await serve((_, response) => response.end('reached'));
    server = await startSsh2Server((context) => {
      if (context.method === 'password') return context.password === PASSWORD ? context.accept() : context.reject();
      if (context.method !== 'keyboard-interactive') return context.reject(['password', 'keyboard-interactive']);
      context.prompt(QUESTIONS, 'Two factors', 'both are needed', (answers: string[]) =>
        answers.join() === `${PASSWORD},1234` ? context.accept() : context.reject(),
      );
    });
    config = server.config;
  });
  after(async () => {
    setLogger(undefined);
    await Promise.all([http?.close(), server?.close()]);
  });

  async function open(t: TestContext, more: Partial<TunnelConfig>): Promise<SSHTunnel> {
    const tunnel = new SSHTunnel({ ...config, ...more });
    t.after(() => tunnel.disconnect());
    await tunnel.connect();
    return tunnel;
  }

  test('a password, from a function or not, logs in and carries requests', async (t) => {
    for (const password of [PASSWORD, Buffer.from(PASSWORD), () => PASSWORD, async () => PASSWORD]) {
      const tunnel = await open(t, { password });
      const connection = new HTTPConnection({ url: http.url, tunnel });
      assert.equal((await connection.request({})).text(), 'reached');
      await connection.disconnect();
    }
    await assert.rejects(open(t, { password: 'another password' }), (error: Error & { kind: string }) => {
      assert.equal(error.kind, 'auth');
      assert.doesNotMatch(error.message, /another password/);
      return true;
    });
  });

  test('a function answers what the server asks', async (t) => {
    const asked: unknown[] = [];
    const keyboardInteractive = async (prompts: SSHPrompt[], request: object) => {
      asked.push([prompts, request]);
      return [PASSWORD, '1234'];
    };
    const tunnel = await open(t, { keyboardInteractive });
    assert.equal(tunnel.isConnectedToTunnel(), true);
    const request = { host: '127.0.0.1', username: 'alice', name: 'Two factors', instruction: 'both are needed' };
    assert.deepEqual(asked, [[QUESTIONS, request]]);
  });

  test('what a function returns instead of answers is refused by its name', async (t) => {
    const wrong: [answers: unknown, message: RegExp][] = [
      ['1234', /what options\.keyboardInteractive returns must be an array of answers, got a string/],
      [[PASSWORD, 1234], /what options\.keyboardInteractive returns must be a string or bytes, got a number/],
      [[PASSWORD], /1 answers were given to 2 prompts/],
    ];
    for (const [answers, message] of wrong) {
      await assert.rejects(open(t, { keyboardInteractive: () => answers as string[] }), message);
    }
    const failing = () => Promise.reject(new Error('cancelled by the user'));
    await assert.rejects(open(t, { keyboardInteractive: failing }), (error: Error) => {
      assert.match(error.message, /the function options\.keyboardInteractive has failed/);
      assert.equal((error.cause as Error).message, 'cancelled by the user');
      return true;
    });
  });
});
