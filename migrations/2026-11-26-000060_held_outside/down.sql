DELETE FROM retention WHERE table_name = 'held_outside';
DROP TABLE held_outside;
