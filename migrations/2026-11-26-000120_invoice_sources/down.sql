DELETE FROM retention WHERE table_name IN ('invoice_source', 'invoice_month');
DROP TABLE invoice_month;
DROP TABLE invoice_source;
