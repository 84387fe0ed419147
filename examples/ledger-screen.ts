// The picture that ledger.ts shows.
import type { Progress } from './ledger-worker.js';
import { paint } from './screen.js';

/** A process, as it is shown. */
export interface WorkerView {
  name: string;
  transfers: number;
  /** The connections of its pool at most. */
  connections: number;
  progress?: Progress;
}

/** What is shown. */
export interface View {
  sshPort: number;
  databasePort: number;
  isUp: boolean;
  workers: WorkerView[];
}

const BAR = 24;

/** The lines of the picture. */
export function picture({ sshPort, databasePort, isUp, workers }: View): string[] {
  const database = `PostgreSQL :${databasePort}`;
  const link = isUp ? paint('green', `───── ${database}`) : paint('red', `  ╳   ${database}`);
  return [`  two processes ══ SSH ══ sshd :${sshPort} ${link}`, ...workers.flatMap(lines)];
}

function lines({ name, transfers, connections, progress }: WorkerView): string[] {
  if (!progress) return [`  ${name}  ● starting`, '', ''];
  const { done, repeated, failed, isHealthy, stats } = progress;
  const health = isHealthy ? paint('green', '● healthy') : paint('red', '● unhealthy');
  const pool = paint('green', '■'.repeat(stats.inUse)) + '□'.repeat(stats.available);
  const free = '·'.repeat(Math.max(0, connections - stats.inUse - stats.available));
  const filled = Math.floor((done / transfers) * BAR);
  return [
    `  ${name}  ${health}`,
    `       pool       ${pool}${free} ${stats.inUse} in use, ${stats.available} free, ${stats.waiting} waiting`,
    `       transfers  ${paint('green', '█'.repeat(filled))}${'░'.repeat(BAR - filled)} ${done}, ${repeated} done again, ${failed} failed`,
  ];
}
