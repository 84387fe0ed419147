// A user's CommonJS module, in both of its spellings.
import moorline = require('moorline');
import { getTursoPool, type TursoPoolConfig } from 'moorline';

const config: TursoPoolConfig = { url: 'file:app.db', intMode: 'bigint' };
const pool: moorline.TursoPool = getTursoPool(config);
const stats: moorline.TursoPoolStats = pool.getStats();
const signature: string = moorline.signWebhookPayload('body', 'secret', 1_700_000_000);

export = { stats, signature };
