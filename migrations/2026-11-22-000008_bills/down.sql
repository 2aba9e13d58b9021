DELETE FROM retention WHERE table_name IN ('bill', 'bill_control_total', 'bill_daily_fact');
DROP TABLE bill_daily_fact;
DROP TABLE bill_control_total;
DROP TABLE bill;
