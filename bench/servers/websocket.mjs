// The server of bench/websocket.mjs, in a process of its own: `ws`, which echoes messages, or sends many on request: of
// the form that is the path of its URL.
import { Sender, WebSocketServer } from 'ws';

/** The number of different messages, which the clients know too. */
export const MESSAGES = 1024;
const BYTES = 64;

const jsonWith = (index, text) => JSON.stringify({ n: index, text });

/** A message of 64 bytes by the name of its form: JSON, or text that is none. */
export const FORMS = {
  json: (index) => jsonWith(index, 'abcdefgh'.repeat(8).slice(0, BYTES - jsonWith(index, '').length)),
  text: (index) => `${String(index).padStart(8, '0')}:`.padEnd(BYTES, 'abcdefgh'),
};

if (process.send) {
  // Framed once, so that what is measured is the client.
  const frame = (text) =>
    Buffer.concat(Sender.frame(Buffer.from(text), { fin: true, opcode: 1, mask: false, rsv1: false, readOnly: true }));
  const floodOf = (message) => Buffer.concat(Array.from({ length: MESSAGES }, (_, index) => frame(message(index))));
  const floods = new Map(Object.entries(FORMS).map(([name, message]) => [`/${name}`, floodOf(message)]));
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (client, { url }) => {
    let corked = false;
    client.on('message', (data) => {
      if (data.length !== BYTES) return client._socket.write(floods.get(url));
      // Echoes of messages that arrived together are sent together.
      if (!corked) {
        corked = true;
        client._socket.cork();
        process.nextTick(() => {
          corked = false;
          client._socket.uncork();
        });
      }
      client.send(data, { binary: false });
    });
  });
  server.on('listening', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit());
}
