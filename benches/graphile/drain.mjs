// Empty jobs through graphile-worker, one handler a job. In its plain mode each is claimed and completed by itself; in
// its batched mode a local queue claims many at once, and completions that come together are written together.
// Usage: drain.mjs URL JOBS CONCURRENCY plain|batched      Prints the milliseconds from the start to the last completion.
import { Logger, makeWorkerUtils, runOnce } from "graphile-worker";

const [url, jobs, concurrency, mode] = process.argv.slice(2);
// As its own measurements have them.
const modes = {
  plain: {},
  batched: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
};
const worker = modes[mode];
if (!worker) throw new Error(`no such mode: ${mode}`);
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
  preset: { worker },
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
