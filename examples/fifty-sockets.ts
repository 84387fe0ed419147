// Fifty concurrent WebSockets, each with its own messages: how long does a reply take?
//
//   npm install moorline
//   ECHO_URL=wss://echo.example.com npx tsx fifty-sockets.ts
import { WebSocketConnection } from 'moorline';

const { ECHO_URL = 'ws://127.0.0.1:4000' } = process.env;
const [SOCKETS, MESSAGES] = [50, 20];

/** Sends messages one by one, each after the reply to the previous one; returns the round-trip times in ms. */
async function measureRoundTrips(name: string): Promise<number[]> {
  const socket = new WebSocketConnection({ name, url: ECHO_URL });
  if (!(await socket.connect())) throw new Error(`${name}: ${socket.getStatus().lastError}`);
  const times: number[] = [];
  try {
    for (let number = 1; number <= MESSAGES; number++) {
      const started = performance.now();
      await socket.send({ name, number });
      const answer = await socket.receive({ timeoutMs: 10_000 }); // null on timeout
      if (answer?.name !== name || answer.number !== number) throw new Error(`${name}: no answer to message ${number}`);
      times.push(performance.now() - started);
    }
  } finally {
    await socket.disconnect();
  }
  return times;
}

async function main(): Promise<void> {
  const names = Array.from({ length: SOCKETS }, (_, index) => `socket ${index + 1}`);
  const times = (await Promise.all(names.map(measureRoundTrips))).flat().sort((a, b) => a - b);
  const percentile = (share: number) => times[Math.floor(share * (times.length - 1))]?.toFixed(1);
  console.log(
    `${SOCKETS} sockets, ${times.length} answers: half within ${percentile(0.5)} ms, 99 % within ${percentile(0.99)} ms`,
  );
}

void main();
