DROP TABLE watch;
