use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use costlens_egress::{Egress, EgressConfig, Policy};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::testing::Signer;

#[derive(Debug)]
struct Hands(Mutex<DateTime<Utc>>);

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Somebody who publishes keys, and counts who asks.
struct Publisher {
    port: u16,
    answer: Arc<Mutex<(u16, Value)>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn of(keys: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new((200, document(keys))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (told, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2_048];
                let _ = stream.read(&mut head).await;
                count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = told.lock().unwrap().clone();
                let body = body.to_string();
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        Self { port, answer, asked }
    }

    fn publish(&self, status: u16, document: Value) {
        *self.answer.lock().unwrap() = (status, document);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn jwks(&self, clock: &Arc<Hands>) -> Jwks {
        let policy = Policy { allow_private: vec![format!("127.0.0.1:{}", self.port).parse().unwrap()] };
        let egress = Egress::new(EgressConfig { policy, ..EgressConfig::default() }).unwrap();
        let url = format!("http://127.0.0.1:{}/.well-known/jwks.json", self.port);
        Jwks::at(url, Fetch::by(egress), Arc::clone(clock) as Arc<dyn Clock>)
    }
}

fn document(keys: &[&Signer]) -> Value {
    json!({ "keys": keys.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() })
}

fn clock() -> Arc<Hands> {
    Arc::new(Hands(Mutex::new(DateTime::from_timestamp(1_763_800_000, 0).unwrap())))
}

fn forward(clock: &Hands, by: TimeDelta) {
    *clock.0.lock().unwrap() += by;
}

fn token(signer: &Signer, clock: &Hands) -> String {
    signer.sign(&json!({"sub": "ann", "exp": clock.now().timestamp() + 60}))
}

#[tokio::test]
async fn keys_are_fetched_once_and_a_new_one_is_found() {
    let (one, two, clock) = (Signer::new("one"), Signer::new("two"), clock());
    let publisher = Publisher::of(&[&one]).await;
    let jwks = publisher.jwks(&clock);
    for _ in 0..5 {
        assert!(jwks.check(&token(&one, &clock)).await.is_ok());
    }
    assert_eq!(publisher.asked(), 1);
    publisher.publish(200, document(&[&one, &two]));
    forward(&clock, PAUSE);
    assert!(jwks.check(&token(&two, &clock)).await.is_ok());
    assert_eq!(publisher.asked(), 2);
    // A key that was taken back lets nobody in, once that was heard.
    publisher.publish(200, document(&[&two]));
    forward(&clock, FRESH);
    let _stale = jwks.check(&token(&one, &clock)).await;
    for _ in 0..6_000 {
        if jwks.check(&token(&one, &clock)).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(jwks.check(&token(&one, &clock)).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_flood_of_tokens_under_unknown_keys_fetches_once_a_minute() {
    let (one, stranger, clock) = (Signer::new("one"), Signer::new("stranger"), clock());
    let publisher = Publisher::of(&[&one]).await;
    let jwks = publisher.jwks(&clock);
    let made_up = token(&stranger, &clock);
    let tries: Vec<_> = (0..50)
        .map(|_| {
            let (jwks, made_up) = (jwks.clone(), made_up.clone());
            tokio::spawn(async move { jwks.check(&made_up).await })
        })
        .collect();
    for one in tries {
        assert_eq!(one.await.unwrap(), Err(TokenError::UnknownKey));
    }
    assert_eq!(publisher.asked(), 1);
    forward(&clock, PAUSE);
    assert!(jwks.check(&token(&stranger, &clock)).await.is_err());
    assert_eq!(publisher.asked(), 2);
    assert!(jwks.check(&token(&one, &clock)).await.is_ok());
}

#[tokio::test]
async fn an_outage_keeps_the_last_good_keys_for_a_day_and_then_nobody_gets_in() {
    let (one, clock) = (Signer::new("one"), clock());
    let publisher = Publisher::of(&[&one]).await;
    let jwks = publisher.jwks(&clock);
    assert!(jwks.check(&token(&one, &clock)).await.is_ok());
    for broken in [(500, json!({})), (200, json!({"keys": []})), (200, json!("nonsense"))] {
        publisher.publish(broken.0, broken.1);
        forward(&clock, TimeDelta::hours(7));
        assert!(jwks.check(&token(&one, &clock)).await.is_ok());
    }
    forward(&clock, TimeDelta::hours(4));
    assert_eq!(jwks.check(&token(&one, &clock)).await, Err(TokenError::KeysUnavailable));
    // Without keys from the first, too.
    let never = publisher.jwks(&clock);
    assert_eq!(never.check(&token(&one, &clock)).await, Err(TokenError::KeysUnavailable));
}
