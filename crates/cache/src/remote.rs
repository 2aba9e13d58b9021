//! Counters in Redis, and the breaker before it.
//!
//! A call has [`Patience::call`] and no second try. The first that fails opens the breaker: from then on nobody waits
//! for Redis, until a task beside the requests has connected again and seen a write go through (a Redis that is
//! loading, full or a replica answers pings). So an outage costs the calls of its first moment 50 milliseconds once,
//! and all later ones nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Script};
use tokio::time::Instant;

use crate::{Asked, Outcome, Patience, RedisUrlError, Standing};

/// Before every key: the braces keep all of them in one slot, where one script may touch several.
const PREFIX: &str = "{costlens}:limit:";
/// How often the log hears of an outage.
const TELL_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Remote(Arc<Shared>);

struct Shared {
    client: redis::Client,
    script: Script,
    patience: Patience,
    state: Mutex<State>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(…)")
    }
}

#[derive(Default)]
struct State {
    /// `None` while the breaker is open.
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure of an earlier one breaks no later one.
    generation: u64,
    told_at: Option<Instant>,
    /// Whether the log heard of this outage.
    told: bool,
}

/// Why Redis did not count.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error(transparent)]
    Said(#[from] RedisError),
    #[error("an answer of another shape")]
    Shape,
}

impl Remote {
    /// Connects, or goes on trying beside the requests if that does not work at once.
    pub(crate) async fn connect(url: &str, patience: Patience) -> Result<Self, RedisUrlError> {
        if url.starts_with("rediss:") {
            // Whoever came first chose the same: the workspace has one TLS stack.
            let _chosen = rustls::crypto::ring::default_provider().install_default();
        }
        // The error's text may hold the URL, and that a password.
        let client = redis::Client::open(url).map_err(|_| RedisUrlError::Shape)?;
        let script = Script::new(include_str!("limits.lua"));
        let shared = Arc::new(Shared { client, script, patience, state: Mutex::default() });
        match shared.open().await {
            Ok(connection) => shared.lock().connection = Some(connection),
            Err(lost) => shared.lost(0, &lost),
        }
        Ok(Self(shared))
    }

    /// Takes from all counters or from none; `None` where Redis did not do it.
    pub(crate) async fn count(&self, asked: &[Asked], taking: bool) -> Option<Outcome> {
        let (mut connection, generation) = self.0.connection()?;
        let mut call = self.0.script.prepare_invoke();
        call.arg(u8::from(taking));
        for one in asked {
            call.key(key(one)).arg(one.rule.limit).arg(one.rule.window_ms());
        }
        let answered = self.0.bounded(call.invoke_async::<Vec<u64>>(&mut connection)).await;
        match answered.and_then(|answer| outcome(&answer, asked.len()).ok_or(Lost::Shape)) {
            Ok(outcome) => Some(outcome),
            Err(lost) => {
                self.0.lost(generation, &lost);
                None
            }
        }
    }

    /// Empties a counter, if Redis is there.
    pub(crate) async fn forget(&self, one: &Asked) {
        let Some((mut connection, generation)) = self.0.connection() else { return };
        let key = key(one);
        let mut command = redis::cmd("DEL");
        if let Err(lost) = self.0.bounded(command.arg(key).query_async::<()>(&mut connection)).await {
            self.0.lost(generation, &lost);
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.lock().connection.is_some()
    }
}

fn key(one: &Asked) -> String {
    format!("{PREFIX}{}:{}", one.rule.name, hex::encode(one.key))
}

/// Reads what `limits.lua` answers.
fn outcome(answer: &[u64], asked: usize) -> Option<Outcome> {
    let ([refused, wait], counters) = answer.split_first_chunk::<2>()?;
    let (counters, rest) = counters.as_chunks::<2>();
    if counters.len() != asked || !rest.is_empty() {
        return None;
    }
    let standing = |[count, rest]: &[u64; 2]| Standing {
        count: u32::try_from(*count).unwrap_or(u32::MAX),
        rest: Duration::from_millis(*rest),
    };
    let refused_for = (*refused == 1).then(|| Duration::from_millis(*wait));
    Some(Outcome { refused_for, standings: counters.iter().map(standing).collect() })
}

impl Shared {
    fn connection(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.lock();
        state.connection.clone().map(|connection| (connection, state.generation))
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, Lost> {
        let call = tokio::time::timeout(self.patience.call, call);
        call.await.map_err(|_| Lost::Late(self.patience.call))?.map_err(Lost::Said)
    }

    /// A connection over which a write went through.
    async fn open(&self) -> Result<MultiplexedConnection, Lost> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let open = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let probe = format!("{PREFIX}probe");
            let mut command = redis::cmd("SET");
            command.arg(probe).arg(1).arg("PX").arg(1000).query_async::<()>(&mut connection).await?;
            Ok(connection)
        };
        let open = tokio::time::timeout(self.patience.connect, open);
        open.await.map_err(|_| Lost::Late(self.patience.connect))?.map_err(Lost::Said)
    }

    /// Opens the breaker, once for each connection, and starts the task that closes it.
    fn lost(self: &Arc<Self>, generation: u64, why: &Lost) {
        let tell = {
            let mut state = self.lock();
            if state.generation != generation {
                return;
            }
            state.generation += 1;
            state.connection = None;
            let now = Instant::now();
            let tell = state.told_at.is_none_or(|at| now.duration_since(at) >= TELL_EVERY);
            if tell {
                state.told_at = Some(now);
                state.told = true;
            }
            tell
        };
        if tell {
            tracing::warn!(
                error = why as &dyn std::error::Error,
                "Redis does not count; this process counts alone until it does"
            );
        }
        tokio::spawn(reconnect(Arc::downgrade(self), self.patience));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries until it works or nobody wants it any more.
async fn reconnect(shared: Weak<Shared>, patience: Patience) {
    let mut pause = patience.first_pause;
    loop {
        tokio::time::sleep(pause).await;
        let Some(shared) = shared.upgrade() else { return };
        match shared.open().await {
            Ok(connection) => {
                let told = {
                    let mut state = shared.lock();
                    state.connection = Some(connection);
                    std::mem::take(&mut state.told)
                };
                if told {
                    tracing::info!("Redis counts again");
                }
                return;
            }
            Err(error) => tracing::debug!(%error, "Redis is still away"),
        }
        pause = (pause * 2).min(patience.longest_pause);
    }
}
