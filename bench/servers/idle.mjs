// The server of bench/memory.mjs, in a process of its own: it accepts WebSockets and event streams, and says nothing.
import { createServer } from 'node:http';

import { WebSocketServer } from 'ws';

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(':\n\n');
});
new WebSocketServer({ server, perMessageDeflate: false });
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
process.on('disconnect', () => process.exit());
