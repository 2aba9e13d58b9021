DELETE FROM retention WHERE table_name LIKE 'settlement%';
DROP TABLE settlement_day;
DROP TABLE settlement_price;
DROP TABLE settlement_cell;
DROP TABLE settlement_coverage;
DROP TABLE settlement_residual;
DROP TABLE settlement;
