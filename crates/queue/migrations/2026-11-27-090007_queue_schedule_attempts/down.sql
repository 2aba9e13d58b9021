ALTER TABLE queue.schedule DROP COLUMN max_attempts;
