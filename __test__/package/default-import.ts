// A user who takes the package as one, by its default import or by its namespace.
import moorline, { TursoPool } from 'moorline';
import * as everything from 'moorline';
import libsql, { createClient, type Client } from 'moorline/libsql';

const pool: TursoPool = new moorline.TursoPool({ url: ':memory:' });
const client: Client = libsql.createClient({ url: ':memory:' });
client.close();

console.log(pool instanceof TursoPool, everything.TursoPool === TursoPool, libsql.createClient === createClient);
