//! Bills from outside: files in, reports out.

mod shared_data;
