//! Reads what a call used from the bytes that pass by, without holding or changing them.
//!
//! [`Meter`] is fed every server-sent event of a stream, or the whole body of a plain answer, and says at any
//! moment what it knows. A vendor's count is exact, an explicit zero included; where the vendor did not count,
//! the text that passed by gives an estimate, and the reading says so.

mod anthropic;
mod openai;
pub mod sse;

use costlens_domain::providers::Dialect;
use costlens_domain::{Tokens, Usage};
use serde_json::value::RawValue;

/// What the passing bytes told so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The vendor's own count; `None` until it told one that a call can have.
    pub usage: Option<Usage>,
    /// Whether that count is the last: some vendors tell a running one in every chunk.
    pub counted_to_its_end: bool,
    /// The model the vendor says it served.
    pub model: Option<String>,
    /// The service tier the vendor says it served.
    pub service_tier: Option<String>,
    /// The id that the vendor gave its answer, as far as ids go.
    pub response_id: Option<String>,
    /// Bytes of text, reasoning and tool arguments that the model wrote.
    pub output_text_bytes: u64,
    /// Whether the vendor said that its stream is complete.
    pub finished: bool,
    /// An error event inside a stream that began well.
    pub failed: bool,
}

/// Four bytes of text make about one token, in every vendor's tokenizer and for English text. Good enough for a
/// row that says `estimated`; never used where the vendor counted.
const BYTES_PER_TOKEN: u64 = 4;

/// The estimate for so many bytes of text.
#[must_use]
pub fn estimate_tokens(text_bytes: u64) -> Tokens {
    Tokens(text_bytes.div_ceil(BYTES_PER_TOKEN))
}

/// What a picture of a request counts for where nobody counted it: what vendors take for a large one. By its bytes as text
/// it would count for a hundred times as much. Pages and sounds have no such bound and count by their bytes.
const TOKENS_PER_PICTURE: u64 = 1_600;

/// Base64 beyond so many bytes is a file; shorter, it may be a key or a signature among the text.
const LONGEST_WORD: usize = 4_096;

/// The estimate for a request: its bytes as text, and the pictures in it each by itself.
#[must_use]
pub fn estimate_input(body: &[u8]) -> Tokens {
    let (mut pictures, mut picture_bytes, mut after_quote) = (0_u64, 0_usize, 0);
    if body.len() > LONGEST_WORD {
        for quote in memchr::memchr_iter(b'"', body) {
            let string = body.get(after_quote..quote).unwrap_or_default();
            after_quote = quote + 1;
            if string.len() > LONGEST_WORD && is_picture(string) {
                pictures += 1;
                picture_bytes += string.len();
            }
        }
    }
    let text = estimate_tokens((body.len() - picture_bytes) as u64);
    let of_pictures =
        pictures.saturating_mul(TOKENS_PER_PICTURE).min(estimate_tokens(picture_bytes as u64).0);
    Tokens(text.0.saturating_add(of_pictures))
}

/// Whether a long JSON string is a picture's base64 by either alphabet, alone or in a `data:` address, its slashes escaped
/// or not.
fn is_picture(string: &[u8]) -> bool {
    let (media_type, data) = match string.strip_prefix(b"data:") {
        Some(address) => {
            let comma = address.iter().take(LONGEST_NAME).position(|byte| *byte == b',');
            comma.and_then(|at| address.split_at_checked(at)).unwrap_or_default()
        }
        None => (&b""[..], string),
    };
    let data = data.strip_prefix(b",").unwrap_or(data);
    let says_so = media_type.starts_with(b"image/") || media_type.starts_with(br"image\/");
    (says_so || begins_like_a_picture(data))
        && data.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\\".contains(byte))
}

/// Whether base64 begins as that of PNG, JPEG, GIF or WebP does. WebP shares its first bytes with the sounds of WAV: what
/// tells them apart are the bytes nine to twelve.
fn begins_like_a_picture(data: &[u8]) -> bool {
    let mut head = [0; 16];
    for (to, byte) in head.iter_mut().zip(data.iter().filter(|byte| **byte != b'\\')) {
        *to = *byte;
    }
    let starts: [&[u8]; 4] = [b"iVBORw0KGgo", b"/9j/", b"_9j_", b"R0lGOD"];
    starts.iter().any(|start| head.starts_with(start))
        || head.starts_with(b"UklGR") && head.ends_with(b"RUJQ")
}

/// Reads one answer.
#[derive(Debug, Default)]
pub struct Meter {
    dialect: Option<Dialect>,
    reading: Reading,
    anthropic: anthropic::Counts,
}

/// What a server-sent event means for the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Nothing special: pass it on.
    Ordinary,
    /// It carries usage and nothing else (OpenAI's extra chunk): taken out if we asked for it.
    UsageOnly,
    /// The last one: the ledger must know before the client does.
    Terminal,
}

impl Meter {
    /// A meter for an answer in this dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect: Some(dialect), reading: Reading::default(), anthropic: anthropic::Counts::default() }
    }

    /// Reads one whole server-sent event, its blank line included or not.
    pub fn read_event(&mut self, event: &[u8]) -> EventKind {
        let Some(data) = sse::data_of(event) else { return EventKind::Ordinary };
        match self.dialect {
            Some(Dialect::OpenAiChat) => openai::read_chunk(data, &mut self.reading),
            Some(Dialect::AnthropicMessages) => {
                anthropic::read_event(data, &mut self.anthropic, &mut self.reading)
            }
            None => EventKind::Ordinary,
        }
    }

    /// Reads a whole plain answer.
    pub fn read_body(&mut self, body: &[u8]) {
        match self.dialect {
            Some(Dialect::OpenAiChat) => openai::read_body(body, &mut self.reading),
            Some(Dialect::AnthropicMessages) => {
                anthropic::read_body(body, &mut self.anthropic, &mut self.reading);
            }
            None => {}
        }
    }

    /// The vendor's count of the input alone, where a stream broke before the output was counted.
    #[must_use]
    pub fn input_so_far(&self) -> Option<Usage> {
        self.anthropic.input_so_far()
    }

    /// What is known by now.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }
}

/// The longest name of a model or tier that is kept, in bytes; none is known that is half as long.
const LONGEST_NAME: usize = 256;

/// What a vendor calls a model or a tier, if it is a name at all.
fn name_of(name: &str) -> Option<String> {
    (!name.is_empty() && name.len() <= LONGEST_NAME).then(|| name.to_owned())
}

/// The longest id of an answer that is kept, in bytes; none is known that is longer than half of it.
const LONGEST_ID: usize = 128;

/// An answer's id, if it is one: some servers write an empty one, or a number. Whatever stands there, the usage beside
/// it is read.
fn id_of(id: &RawValue) -> Option<String> {
    let id: String = serde_json::from_str(id.get()).ok()?;
    (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
}

/// Adds up the bytes of every JSON string that follows one of these keys, without building a tree.
/// Escapes count as they stand: it is an estimate.
fn text_bytes_after(data: &[u8], keys: &[&[u8]]) -> u64 {
    let mut bytes = 0_u64;
    for key in keys {
        for at in memchr::memmem::find_iter(data, key) {
            let Some(text) = data.get(at + key.len()..) else { continue };
            let Some(text) = text.trim_ascii_start().strip_prefix(b":") else { continue };
            let Some(text) = text.trim_ascii_start().strip_prefix(b"\"") else { continue };
            bytes = bytes.saturating_add(string_length(text));
        }
    }
    bytes
}

/// The bytes up to the quote that ends a JSON string.
fn string_length(text: &[u8]) -> u64 {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len()) as u64
}

#[cfg(test)]
mod tests;
