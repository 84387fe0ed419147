// The server of bench/websocket.mjs, in a process of its own: `ws`, which echoes messages, or sends many on request.
import { Sender, WebSocketServer } from 'ws';

/** The number of different messages, which the clients know too. */
export const MESSAGES = 1024;
export const message = (index) => `${String(index % MESSAGES).padStart(8, '0')}:`.padEnd(64, 'abcdefgh');

if (process.send) {
  // Framed once, so that what is measured is the client.
  const frame = (text) =>
    Buffer.concat(Sender.frame(Buffer.from(text), { fin: true, opcode: 1, mask: false, rsv1: false, readOnly: true }));
  const flood = Buffer.concat(Array.from({ length: MESSAGES }, (_, index) => frame(message(index))));
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (client) => {
    let corked = false;
    client.on('message', (data) => {
      if (data.length !== 64) return client._socket.write(flood);
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
