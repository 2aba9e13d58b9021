//! A name server on loopback, for tests: it speaks DNS over UDP (RFC 1035) and knows TXT records alone.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// A name's texts; none for a name whose server gives no answer.
type Zone = HashMap<String, Option<Vec<String>>>;

/// A running name server. Its thread ends with the process.
#[derive(Clone, Debug)]
pub struct TxtServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
impl TxtServer {
    /// Opens one on a free port, which knows no name.
    #[must_use]
    pub fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::<Mutex<Zone>>::default();
        let shared = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let reply = packet.get(..length).and_then(|query| reply(query, &shared.lock().unwrap()));
                if let Some(reply) = reply {
                    let _gone = socket.send_to(&reply, from);
                }
            }
        });
        Self { address, zone }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name has these texts.
    pub fn put(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.zone.lock().unwrap().insert(name.to_lowercase(), Some(texts));
    }

    /// From now on there is no such name.
    pub fn remove(&self, name: &str) {
        self.zone.lock().unwrap().remove(&name.to_lowercase());
    }

    /// From now on questions about a name are not answered.
    pub fn silence(&self, name: &str) {
        self.zone.lock().unwrap().insert(name.to_lowercase(), None);
    }
}

/// The answer to a question, or `None` where nothing is said.
fn reply(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let is_txt = query.get(at..at + 2)? == [0, 16];
    let mut out = query.get(..at + 4)?.to_vec();
    let texts = match zone.get(&labels.join(".")) {
        None => None,
        Some(None) => return None,
        Some(Some(texts)) => Some(texts.as_slice()),
    };
    // An answer, recursion desired; no error, or no such name.
    let answered = if is_txt { texts.unwrap_or_default() } else { &[] };
    out.get_mut(2..4)?.copy_from_slice(&[0x81, if texts.is_some() { 0x80 } else { 0x83 }]);
    out.get_mut(6..8)?.copy_from_slice(&u16::try_from(answered.len()).ok()?.to_be_bytes());
    out.get_mut(8..12)?.fill(0);
    for text in answered {
        // Two strings to a text, as long ones have: whoever reads joins them.
        let (one, other) = text.as_bytes().split_at(text.len() / 2);
        let mut strings = Vec::new();
        for part in [one, other] {
            strings.push(u8::try_from(part.len()).ok()?);
            strings.extend_from_slice(part);
        }
        // The name of the question, TXT, Internet, and nothing of it may be kept.
        out.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
        out.extend_from_slice(&u16::try_from(strings.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&strings);
    }
    Some(out)
}
