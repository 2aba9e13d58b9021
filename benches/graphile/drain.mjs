// Empty jobs through graphile-worker's plain mode: one handler a job, each claimed and completed by itself.
// Usage: drain.mjs URL JOBS CONCURRENCY      Prints the milliseconds from the start to the last completion.
import { Logger, makeWorkerUtils, runOnce } from "graphile-worker";

const [url, jobs, concurrency] = process.argv.slice(2);
const quiet = new Logger(() => () => {});
const utils = await makeWorkerUtils({ connectionString: url, logger: quiet });
await utils.migrate();
for (let at = 0; at < Number(jobs); at += 500) {
  await utils.withPgClient((client) =>
    client.query("SELECT graphile_worker.add_job('noop', '{}'::json) FROM generate_series(1, $1)", [
      Math.min(500, Number(jobs) - at),
    ]),
  );
}
await utils.release();
let ran = 0;
const started = performance.now();
await runOnce({
  connectionString: url,
  concurrency: Number(concurrency),
  maxPoolSize: 20,
  noHandleSignals: true,
  logger: quiet,
  taskList: {
    noop: async () => {
      ran += 1;
    },
  },
});
const took = performance.now() - started;
if (ran !== Number(jobs)) throw new Error(`${ran} of ${jobs} jobs ran`);
console.log(Math.round(took));
process.exit(0);
