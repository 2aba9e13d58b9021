//! A mail server that takes every letter and shows it. It stops when it is dropped.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::eventually;

/// A letter that was taken.
#[derive(Debug, Clone)]
pub struct Letter {
    /// To whom, as the envelope says.
    pub to: String,
    /// Headers and body; lines that quoted-printable broke are whole again.
    pub text: String,
}

impl Letter {
    /// The link in it that leads to this page.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn link(&self, page: &str) -> String {
        let text = self.text.replace("=3D", "=");
        let start = text.find(&format!("{page}#t=")).unwrap_or_else(|| panic!("no {page} in {text}"));
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || c == '"' || c == '<').unwrap_or(rest.len());
        rest[..end].to_owned()
    }

    /// The token of that link.
    #[must_use]
    pub fn token(&self, page: &str) -> String {
        self.link(page).split_once("#t=").map(|(_, token)| token.to_owned()).unwrap_or_default()
    }
}

/// The server.
#[derive(Debug)]
pub struct Mailbox {
    port: u16,
    letters: Arc<Mutex<Vec<Letter>>>,
}

impl Mailbox {
    /// Opens one on a free port.
    #[must_use]
    pub fn open() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let letters = Arc::<Mutex<Vec<Letter>>>::default();
        let weak = Arc::downgrade(&letters);
        crate::spawn(async move {
            let socket = TcpListener::from_std(socket).unwrap();
            while let Ok((stream, _)) = socket.accept().await {
                let Some(letters) = weak.upgrade() else { return };
                crate::spawn(async move { drop(take(stream, letters).await) });
            }
        });
        Self { port, letters }
    }

    /// As a setting.
    #[must_use]
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    /// All letters to an address.
    #[must_use]
    pub fn letters_to(&self, address: &str) -> Vec<Letter> {
        self.letters.lock().unwrap().iter().filter(|letter| letter.to == address).cloned().collect()
    }

    /// The n-th of those letters to an address that have these words, once it is there.
    pub async fn letter_with(&self, address: &str, words: &str, n: usize) -> Letter {
        let found = async || {
            let mut letters = self.letters_to(address);
            letters.retain(|letter| letter.text.contains(words));
            letters.get(n).cloned()
        };
        eventually("letter", found).await
    }

    /// The token of the n-th link to this page that an address got.
    pub async fn token(&self, address: &str, page: &str, n: usize) -> String {
        self.letter_with(address, &format!("{page}#t="), n).await.token(page)
    }

    /// The n-th letter to an address, once it is there.
    pub async fn letter(&self, address: &str, n: usize) -> Letter {
        eventually("letter", async || self.letters_to(address).get(n).cloned()).await
    }
}

async fn take(stream: TcpStream, letters: Arc<Mutex<Vec<Letter>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await?;
    let (mut line, mut to) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim().to_ascii_uppercase();
        let answer: &[u8] = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" => b"250-mailbox\r\n250 8BITMIME\r\n",
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                letters.lock().unwrap().push(Letter { to: to.clone(), text: text.replace("=\r\n", "") });
                b"250 2.0.0 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}
