-- Which calendars nobody had chosen is not known any more; each is one that the account may have.
SELECT 1;
