//! A scripted SMTP server on loopback; it stops when it is dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, rustls};

/// Where the server leaves the usual course.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Answers this command with this line.
    Answer(&'static str, &'static str),
    /// Reads this command (`DATA-END` for the message's end) and says nothing more.
    Hang(&'static str),
    /// Reads this command and closes.
    Close(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    StartTls,
    Implicit,
}

pub(crate) struct Smtp {
    pub(crate) address: SocketAddr,
    /// The certificate to trust, in DER, for `localhost`.
    pub(crate) root: Vec<u8>,
    lines: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Smtp {
    pub(crate) async fn start(security: Security, fault: Fault) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match security {
                    Security::Implicit => {
                        if let Ok(stream) = tls.accept(stream).await {
                            talk(stream, fault, &heard, true, false).await;
                        }
                    }
                    Security::Plain => {
                        talk(stream, fault, &heard, true, false).await;
                    }
                    Security::StartTls => {
                        if let Some(stream) = talk(stream, fault, &heard, true, true).await
                            && let Ok(stream) = tls.accept(stream).await
                        {
                            talk(stream, fault, &heard, false, false).await;
                        }
                    }
                }
            }
        });
        Self { address, root: certificate.to_vec(), lines, task }
    }

    /// What the server was told, message lines included.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn heard_text(&self) -> String {
        self.heard().join("\n")
    }
}

/// Holds the dialogue; gives the stream back when it is to be encrypted.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    fault: Fault,
    heard: &Mutex<Vec<String>>,
    greet: bool,
    starttls: bool,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if greet {
        let greeting = match fault {
            Fault::Answer("GREETING", line) => line,
            _ => "220 fake ready",
        };
        say(&mut stream, greeting).await?;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        heard.lock().unwrap().push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match fault {
            Fault::Answer(at, answer) if at == verb => {
                say(&mut stream, answer).await?;
                continue;
            }
            Fault::Hang(at) if at == verb => std::future::pending().await,
            Fault::Close(at) if at == verb => return None,
            _ => {}
        }
        match verb.as_str() {
            "EHLO" if starttls => say(&mut stream, "250-fake\r\n250 STARTTLS").await?,
            "EHLO" => say(&mut stream, "250-fake\r\n250 AUTH PLAIN LOGIN").await?,
            "STARTTLS" if starttls => {
                say(&mut stream, "220 go").await?;
                return Some(stream.into_inner());
            }
            "AUTH" => say(&mut stream, "235 welcome").await?,
            "MAIL" | "RCPT" => say(&mut stream, "250 fine").await?,
            "DATA" => {
                say(&mut stream, "354 go ahead").await?;
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await.ok()? == 0 {
                        return None;
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    heard.lock().unwrap().push(line.trim_end().to_owned());
                }
                match fault {
                    Fault::Answer("DATA-END", answer) => say(&mut stream, answer).await?,
                    Fault::Hang("DATA-END") => std::future::pending().await,
                    Fault::Close("DATA-END") => return None,
                    _ => say(&mut stream, "250 Ok 0100018f-sample-000000").await?,
                }
            }
            "QUIT" => {
                say(&mut stream, "221 bye").await?;
                return None;
            }
            _ => say(&mut stream, "502 what?").await?,
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}
