DROP TABLE tenant;
DROP TABLE retention;
