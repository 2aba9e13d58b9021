//! What is logged where, and what never is.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::boot::Failure;

/// Logs to standard error what the operator's filter lets pass.
pub(crate) fn log_to_stderr(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        without_parameters(subscriber.finish()).init();
    } else {
        without_parameters(subscriber.json().finish()).init();
    }
    Ok(())
}

type Check = fn(&Metadata<'_>) -> bool;

/// Below `info` the database's client logs every statement with its parameters: hashes of secrets, addresses, names.
/// No filter of an operator lets those out, however closely it names them.
fn without_parameters<S: Subscriber>(subscriber: S) -> Layered<FilterFn<Check>, S> {
    let check: Check =
        |metadata| *metadata.level() <= Level::INFO || !metadata.target().starts_with("tokio_postgres");
    subscriber.with(filter_fn(check))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn parameters_of_statements_are_logged_under_no_filter() {
        for filter in
            ["debug", "trace", "tokio_postgres=trace", "tokio_postgres=info,tokio_postgres::query=debug"]
        {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new(filter))
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(without_parameters(subscriber), || {
                tracing::debug!(target: "tokio_postgres::query", "executing with parameters: [104]");
                tracing::info!(target: "tokio_postgres::connection", "a notice");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("parameters"), "{filter}: {text}");
            assert!(text.contains("a notice"), "{filter}: {text}");
        }
    }
}
