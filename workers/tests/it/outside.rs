//! The world outside on real sockets: a mail server, and a receiver of Slack posts and webhooks. Both write down what
//! reached them, and can be told to fail. They stop when they are dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How the mail server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailFault {
    /// It does not take mail for the address.
    NoSuchAddress,
    /// It has no time before the letter.
    Busy,
    /// It takes the letter, and the connection breaks before it says so.
    CutAfterLetter,
}

#[derive(Default)]
struct State {
    /// Letters that were taken, headers and all.
    letters: Vec<String>,
    mail_fault: Option<MailFault>,
    /// Posts that were received: path, headers in lower case, body.
    posts: Vec<Post>,
    /// The status for a path that begins so.
    statuses: HashMap<String, u16>,
}

/// A post that was received.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// Everything outside.
pub(crate) struct Outside {
    state: Arc<Mutex<State>>,
    pub(crate) mail_port: u16,
    pub(crate) http_port: u16,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Outside {
    pub(crate) async fn open() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mail_port, http_port) = (mail.local_addr().unwrap().port(), http.local_addr().unwrap().port());
        let (for_mail, for_http) = (Arc::clone(&state), Arc::clone(&state));
        let tasks = vec![
            tokio::spawn(async move {
                while let Ok((stream, _)) = mail.accept().await {
                    let state = Arc::clone(&for_mail);
                    tokio::spawn(async move { drop(take_mail(stream, state).await) });
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = http.accept().await {
                    let state = Arc::clone(&for_http);
                    tokio::spawn(async move { drop(take_post(stream, state).await) });
                }
            }),
        ];
        Self { state, mail_port, http_port, tasks }
    }

    /// The letters that were taken, their bodies decoded.
    pub(crate) fn letters(&self) -> Vec<String> {
        self.state.lock().unwrap().letters.clone()
    }

    /// The posts to paths that begin so.
    pub(crate) fn posts(&self, path: &str) -> Vec<Post> {
        let state = self.state.lock().unwrap();
        state.posts.iter().filter(|post| post.path.starts_with(path)).cloned().collect()
    }

    pub(crate) fn fail_mail(&self, fault: Option<MailFault>) {
        self.state.lock().unwrap().mail_fault = fault;
    }

    /// What paths that begin so are answered with from now on.
    pub(crate) fn answer(&self, path: &str, status: u16) {
        self.state.lock().unwrap().statuses.insert(path.to_owned(), status);
    }

    pub(crate) fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.mail_port)
    }

    pub(crate) fn slack_url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T000/B000/secret", self.http_port)
    }

    pub(crate) fn hook_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http_port)
    }
}

async fn take_mail(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 fake ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let fault = state.lock().unwrap().mail_fault;
        let command = line.trim().to_ascii_uppercase();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" => "250-fake\r\n250 8BITMIME\r\n",
            "MAIL" if fault == Some(MailFault::Busy) => "450 4.3.2 come back later\r\n",
            "RCPT" if fault == Some(MailFault::NoSuchAddress) => "550 5.1.1 no such user\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut letter = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                state.lock().unwrap().letters.push(letter.replace("=\r\n", ""));
                if fault == Some(MailFault::CutAfterLetter) {
                    return Ok(());
                }
                "250 2.0.0 Ok: queued as 1\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn take_post(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let status = {
            let mut state = state.lock().unwrap();
            let status = state.statuses.iter().filter(|(prefix, _)| path.starts_with(*prefix));
            let status = status.max_by_key(|(prefix, _)| prefix.len()).map_or(200, |(_, status)| *status);
            state.posts.push(Post { path, headers, body: String::from_utf8_lossy(&body).into_owned() });
            status
        };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
    }
}
