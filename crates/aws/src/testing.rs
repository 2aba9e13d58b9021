//! A strict key service of a test's own, on a real socket: it speaks awsJson1.1 as AWS KMS does, wants a signature of
//! the right shape and scope, and enforces what the real one enforces: the very encryption context, the very key, and
//! that the key is enabled.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test whose key service fails cannot go on; this module is for tests alone"
)]

pub mod aws;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_kms::config::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{AwsKms, KmsSettings};

/// The key's ARN.
pub const KEY_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// Another key's, of the same service.
pub const OTHER_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

/// What one call was for: operation, and encryption context.
pub type Call = (String, BTreeMap<String, String>);

#[derive(Debug, Clone)]
struct Secret {
    arn: String,
    key: Vec<u8>,
    context: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct State {
    /// By ciphertext.
    secrets: BTreeMap<Vec<u8>, Secret>,
    calls: Vec<Call>,
    /// What every call is answered with, if anything: status and code.
    broken: Option<(u16, &'static str)>,
    /// Keys that are disabled.
    disabled: Vec<String>,
}

/// A running key service. It ends with the value.
#[derive(Debug)]
pub struct FakeKms {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    connections: Arc<AtomicU32>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl FakeKms {
    /// Starts one with [`KEY_ARN`] and [`OTHER_ARN`], both enabled.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let fake = Self { address, state: Arc::default(), connections: Arc::default(), stop: Arc::default() };
        let (state, connections, stop) =
            (Arc::clone(&fake.state), Arc::clone(&fake.connections), Arc::clone(&fake.stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                connections.fetch_add(1, Ordering::Relaxed);
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    let _hung_up = serve(&stream, &state);
                });
            }
        });
        fake
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client for one of its keys.
    pub async fn client(&self, arn: &str) -> AwsKms {
        client(arn, self.url()).await
    }

    /// Disables a key, or enables it again.
    pub fn disable(&self, arn: &str, disabled: bool) {
        let mut state = self.state();
        state.disabled.retain(|known| known != arn);
        if disabled {
            state.disabled.push(arn.to_owned());
        }
    }

    /// Answers every call with this status and code from now on.
    pub fn break_with(&self, broken: Option<(u16, &'static str)>) {
        self.state().broken = broken;
    }

    /// The calls since this was asked last.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    /// Every key that it gave out or was given, in clear: what nobody else may hold.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.state().secrets.values().map(|secret| secret.key.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for FakeKms {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _wakes = TcpStream::connect(self.address);
    }
}

/// A client for a key at an address, with credentials that the fake takes.
pub async fn client(arn: &str, url: String) -> AwsKms {
    let settings = KmsSettings::parse(arn).expect("an ARN").at(Some(url));
    let credentials = Credentials::new(ACCESS_KEY, "not-a-secret", None, None, "test");
    AwsKms::with(settings, Some(credentials), 20).await
}

/// The access key that the fake expects.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";

type Refusal = (u16, &'static str, String);

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let header = |name: &str| {
            let found = head.iter().skip(1).filter_map(|line| line.split_once(':'));
            found
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
                .next()
        };
        let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, answer) = match answer(head.first().map_or("", String::as_str), &header, &body, state) {
            Ok(answer) => (200, answer),
            Err((status, code, message)) => (status, json!({"__type": code, "message": message})),
        };
        let text = answer.to_string();
        let mut writer = stream;
        write!(
            writer,
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-requestid: 1\r\n\
             content-length: {}\r\n\r\n{text}",
            text.len()
        )?;
        writer.flush()?;
    }
}

fn answer(
    line: &str,
    header: &dyn Fn(&str) -> Option<String>,
    body: &[u8],
    state: &Mutex<State>,
) -> Result<Value, Refusal> {
    let refuse = |code, message: &str| Err((400, code, message.to_owned()));
    if line != "POST / HTTP/1.1" || header("content-type").as_deref() != Some("application/x-amz-json-1.1") {
        return refuse("SerializationException", "not awsJson1.1");
    }
    let Some(operation) =
        header("x-amz-target").and_then(|to| to.strip_prefix("TrentService.").map(str::to_owned))
    else {
        return refuse("UnknownOperationException", "no target");
    };
    check_signature(header)?;
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return refuse("SerializationException", "no JSON");
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let context: BTreeMap<String, String> = body
        .get("EncryptionContext")
        .and_then(|value| serde_json::from_value(value.clone()).ok())
        .unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.calls.push((operation.clone(), context.clone()));
    if let Some((status, code)) = state.broken {
        return Err((status, code, "broken by the test".to_owned()));
    }
    let arn = text("KeyId").unwrap_or_default().to_owned();
    if arn != KEY_ARN && arn != OTHER_ARN {
        return refuse("NotFoundException", "no such key");
    }
    if state.disabled.contains(&arn) {
        return refuse("DisabledException", "the key is disabled");
    }
    match operation.as_str() {
        "GenerateDataKey" => {
            if text("KeySpec") != Some("AES_256") {
                return refuse("ValidationException", "a key spec is wanted");
            }
            let mut key = vec![0; 32];
            std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key)).unwrap();
            let sealed = keep(&mut state, Secret { arn: arn.clone(), key: key.clone(), context });
            Ok(
                json!({"KeyId": arn, "Plaintext": STANDARD.encode(key), "CiphertextBlob": STANDARD.encode(sealed)}),
            )
        }
        "Encrypt" => {
            let Some(key) = text("Plaintext").and_then(|text| STANDARD.decode(text).ok()) else {
                return refuse("ValidationException", "a text is wanted");
            };
            let sealed = keep(&mut state, Secret { arn: arn.clone(), key, context });
            Ok(
                json!({"KeyId": arn, "CiphertextBlob": STANDARD.encode(sealed), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            )
        }
        "Decrypt" => {
            let sealed =
                text("CiphertextBlob").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            match state.secrets.get(&sealed) {
                Some(secret) if secret.arn != arn => refuse("IncorrectKeyException", "another key's"),
                Some(secret) if secret.context == context => {
                    Ok(json!({"KeyId": arn, "Plaintext": STANDARD.encode(&secret.key)}))
                }
                _ => refuse("InvalidCiphertextException", ""),
            }
        }
        _ => refuse("UnknownOperationException", "not of this service"),
    }
}

/// A ciphertext that says nothing, like the real one's in length.
fn keep(state: &mut State, secret: Secret) -> Vec<u8> {
    let mut sealed = vec![0; 184];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut sealed)).unwrap();
    state.secrets.insert(sealed.clone(), secret);
    sealed
}

/// Signature version 4: the algorithm, the scope of region and service, the headers that must be signed.
fn check_signature(header: &dyn Fn(&str) -> Option<String>) -> Result<(), Refusal> {
    let refuse = |what: &str| Err((400, "IncompleteSignature", what.to_owned()));
    let Some(given) = header("authorization") else {
        return Err((400, "MissingAuthenticationToken", "no signature".to_owned()));
    };
    let Some(parts) = given.strip_prefix("AWS4-HMAC-SHA256 ") else { return refuse("another algorithm") };
    let part = |name: &str| {
        parts.split(", ").find_map(|part| part.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    let Some(date) = header("x-amz-date").filter(|date| date.len() == 16) else { return refuse("no date") };
    let scope =
        format!("{ACCESS_KEY}/{}/eu-west-1/kms/aws4_request", date.split('T').next().unwrap_or_default());
    if part("Credential=") != scope {
        return Err((403, "UnrecognizedClientException", "another scope or access key".to_owned()));
    }
    let signed = part("SignedHeaders=");
    if ["host", "x-amz-date", "x-amz-target"].iter().any(|name| !signed.split(';').any(|one| one == *name)) {
        return refuse("a header is not signed");
    }
    let signature = part("Signature=");
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err((403, "InvalidSignatureException", "no signature".to_owned()));
    }
    Ok(())
}
