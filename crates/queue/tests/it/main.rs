//! The queue from outside: real workers, real child processes where one is killed, and a real PostgreSQL.

mod atomicity;
mod children;
mod crashes;
mod drain;
mod enqueueing;
mod failures;
mod fairness;
mod operations;
mod outages;
mod postgres;
mod runs;
mod schedules;
mod workers;
