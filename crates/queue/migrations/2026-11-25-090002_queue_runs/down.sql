DROP FUNCTION queue.send_signal;
DROP TRIGGER job_run_follows ON queue.job;
DROP FUNCTION queue.run_follows;
DROP TABLE queue.effect;
DROP TABLE queue.signal;
DROP TABLE queue.step;
DROP TABLE queue.run;
