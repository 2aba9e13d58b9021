-- How many attempts the job of a tick has: its kind says it, as it does for a job that is enqueued otherwise.
ALTER TABLE queue.schedule
    ADD COLUMN max_attempts int NOT NULL DEFAULT 20 CHECK (max_attempts > 0);
