// A TypeScript user of the installed package.
import { TursoPool, WebhookVerifier, type HealthReport, type VerificationResult } from 'moorline';

const pool: TursoPool = new TursoPool({ url: ':memory:' });
const { rows } = await pool.execute('SELECT 20 + 22 AS answer');
await pool.drain();

const verifier = new WebhookVerifier({ secret: 'a secret' });
const result: VerificationResult = verifier.verify('payload', verifier.sign('payload'));

export const line: string = `${rows[0]?.['answer']} ${result.valid}`;
export type Status = HealthReport['status'];
console.log(line);
