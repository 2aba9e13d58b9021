DROP FUNCTION erase_outer_ids(uuid, integer);
