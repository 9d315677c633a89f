// undici against the constant upstream: node undici.mjs URL AT_ONCE CALLS
import { Pool } from "undici";

const [url, atOnce, calls] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const pool = new Pool(url, { connections: 100, pipelining: 1 });
let number = 0;

async function worker(count) {
  for (let i = 0; i < count; i++) {
    const { body } = await pool.request({ path: `/${number++}`, method: "GET", headers: { "x-api-key": "key" } });
    await body.text();
  }
}

const all = (count) => Promise.all(Array.from({ length: atOnce }, () => worker(count)));
await all(5);
const began = process.hrtime.bigint();
const cpu = process.cpuUsage();
await all(Math.floor(calls / atOnce));
const used = process.cpuUsage(cpu);
const took = Number(process.hrtime.bigint() - began) / 1e9;
console.log(JSON.stringify({ cpu_us: (used.user + used.system) / calls, per_s: calls / took }));
await pool.close();
