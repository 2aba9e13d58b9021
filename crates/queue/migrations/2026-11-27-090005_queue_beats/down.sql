DROP FUNCTION queue.beat(uuid[]);
