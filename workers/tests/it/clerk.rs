//! The nightly look at people whom Clerk keeps goes on from job to job, and takes nobody for gone before its end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::UserId;
use costlens_domain::ports::Clock;
use costlens_identity::fetch::Fetch;
use costlens_identity::{Clerk, ClerkConfig};
use costlens_queue::ops::{JobRow, State};
use costlens_store::NewUser;
use costlens_store::testing::unlike_bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::account::ISSUER;
use super::{Office, egress};

const SWEEPS: &str = "clerk-sweep.v1";
/// The one whom Clerk does not know any more.
const GONE: &str = "user_0002";

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Clerk's Backend API, which knows whom it is asked about but for one. It ends with the runtime.
async fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { drop(answer(stream).await) });
        }
    });
    address
}

async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await?;
        }
        let asked = path.split("user_id=").skip(1).map(|id| id.trim_end_matches('&'));
        let known: Vec<Value> =
            asked.filter(|id| *id != GONE).map(|id| json!({"id": id, "updated_at": 1})).collect();
        let (status, body) =
            if path.contains('?') { (200, json!(known).to_string()) } else { (404, "{}".to_owned()) };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_sweep_over_many_people_goes_on_from_job_to_job() {
    let host = backend().await;
    let mut office = Office::closed(noon()).await;
    let config = ClerkConfig {
        issuer: ISSUER.to_owned(),
        api_url: format!("http://{host}"),
        secret_key: "sk_test".to_owned().into(),
        authorized_parties: Vec::new(),
        instance_id: "ins_1".to_owned(),
        sign_in_url: "https://clerk.example/sign-in".to_owned(),
    };
    let clock: Arc<dyn Clock> = office.clock.clone();
    office.parts.clerk = Some(Arc::new(Clerk::new(config, Fetch::by(egress(&[host])), clock)));
    let user = UserId::new(noon(), unlike_bytes());
    let new = NewUser {
        id: user,
        name: "Many".to_owned(),
        email: "many@people.example".to_owned(),
        password_hash: None,
        wrapped_key: vec![1],
        created_at: noon(),
    };
    office.parts.store.system().await.unwrap().create_user(&new).await.unwrap();
    office
        .sql(&format!(
            "INSERT INTO user_identity SELECT '{ISSUER}', 'user_' || lpad(n::text, 4, '0'), '{}', now() \
             FROM generate_series(1, 1010) AS n",
            user.uuid()
        ))
        .await;
    office.work().await;
    office.enqueue(SWEEPS).await;
    let ended = |jobs: &[JobRow]| jobs.len() == 2 && jobs.iter().all(|job| job.state == State::Done);
    let jobs = office.until(SWEEPS, ended).await;
    assert_eq!(jobs[0].progress, Some(json!({"people": 1_009, "gone": 1, "organizations": 0})));
    office.close().await;
}
