import { Postgres, skipWithoutPostgres } from './support/postgres';
void (async()=>{
console.log(skipWithoutPostgres());

for(let i=0;i<2;i++){const t=performance.now();

const p=await Postgres.start({settings:{max_connections:20}});
console.log(p.port,(performance.now()-t).toFixed(0)+'ms',p.psql('show max_connections'),p.psql('select version()'));

const t2=performance.now();await p.end();await p.listen();console.log('restart',(performance.now()-t2).toFixed(0));
await p.kill();await p.listen();

const t3=performance.now();await p.stop();console.log('stop',(performance.now()-t3).toFixed(0)); if(i)console.log(p.log)}
})();
