import { readFileSync } from 'node:fs'; import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './harness.mjs';
const [kind, port] = process.argv.slice(2);
const open = async () => { const c = kind==='sse' ? new (load('moorline').SSEConnection)({ url: `http://127.0.0.1:${port}/` }) : new (load('moorline').WebSocketConnection)({ url: `ws://127.0.0.1:${port}/` }); await c.connect(); return c; };
async function openAll(n){const o=[];while(o.length<n)o.push(...await Promise.all(Array.from({length:50},open)));return o;}
async function settle(){for(let i=0;i<5;i++){await sleep(100);gc();}return {...process.memoryUsage(), anon:+/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status','utf8'))[1]*1024};}
function maps(){const m={};let cur;for(const l of readFileSync('/proc/self/smaps','utf8').split('\n')){const h=/^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(l);if(h){const sz=parseInt(h[2],16)-parseInt(h[1],16);cur=h[4]||('anon:'+h[3]+':'+((parseInt(h[1],16)%(64<<20)===0)?'arena':sz>4e6?'big':'small'));if(cur.startsWith('/'))cur=cur.split('/').pop();}else{const r=/^Rss:\s+(\d+)/.exec(l);if(r){m[cur]=(m[cur]||0)+ +r[1];}}}return m;}
const f=await openAll(50); const a=await settle(), ma=maps(); const o=await openAll(1000); const b=await settle(), mb=maps();
const d={}; for(const k in b) d[k]=Math.round((b[k]-a[k])/1000); console.log(d);
const dm={}; for(const k in mb){const x=mb[k]-(ma[k]||0); if(Math.abs(x)>200) dm[k]=x;} console.log(dm); if(f.length+o.length!==1050)throw 1; process.exit();
