//! The texts of a stream of events: what came in many deltas is read as the one text that it is.
//!
//! Which deltas belong together is told by where they stand in their documents: by the names on the way there, and by
//! the members `index` of what they are in, which is how both OpenAI's choices and tool calls and Anthropic's blocks
//! are numbered.

use std::collections::HashMap;

use super::json::{self, plain_units};
use super::{OF_TOOLS, Piece, SHORTEST_NUMBER};

/// Members of a delta that are parts of a longer text.
const PARTS: [&str; 10] = [
    "content",
    "text",
    "arguments",
    "partial_json",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "transcript",
    "delta",
];

/// Documents are no deeper than this; a deeper one is read string by string.
const DEEPEST: usize = 64;

pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut streams: HashMap<u64, usize> = HashMap::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let Some(data) = content.strip_prefix("data:") else {
            if !["event:", "id:", "retry:", ":"].iter().any(|field| content.starts_with(field)) {
                pieces.push(Piece { units: plain_units(content, begin), ..Piece::default() });
            }
            continue;
        };
        let (from, to) = (begin + content.len() - data.len(), begin + content.len());
        let mut document = Document { text, to, at: from, leaves: Vec::new() };
        if document.value(0).is_none() || document.skip_blanks() != to {
            pieces.extend(json::pieces(text, from, to));
            continue;
        }
        for leaf in document.leaves {
            let is_number = leaf.what == What::Number;
            if is_number && !leaf.is_of_tool {
                continue;
            }
            let place = if leaf.is_part {
                *streams.entry(leaf.stream).or_insert_with(|| {
                    pieces.push(Piece::default());
                    pieces.len() - 1
                })
            } else {
                pieces.push(Piece { units: Vec::new(), context: leaf.context, is_number });
                pieces.len() - 1
            };
            if let Some(piece) = pieces.get_mut(place) {
                json::decode(text, leaf.from, leaf.to, &mut piece.units);
            }
        }
    }
    pieces
}

/// Something of a document that may hold personal data.
#[derive(Default)]
struct Leaf {
    from: usize,
    to: usize,
    /// Whose part it is, if it is one.
    stream: u64,
    name: String,
    context: String,
    in_delta: bool,
    is_part: bool,
    is_of_tool: bool,
    what: What,
}

#[derive(Default, PartialEq)]
enum What {
    #[default]
    Text,
    Name,
    Number,
}

/// A reader of one JSON document, for where its strings are.
struct Document<'a> {
    text: &'a str,
    to: usize,
    at: usize,
    leaves: Vec<Leaf>,
}

/// What a value turned out to be.
enum Value {
    Number(u64),
    /// An object that says its own number.
    Indexed,
    Other,
}

impl Document<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(..self.to)?.get(self.at).copied()
    }

    fn skip_blanks(&mut self) -> usize {
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_blanks();
        (self.byte() == Some(wanted)).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<(usize, usize)> {
        self.take(b'"')?;
        let from = self.at;
        let to = json::end_of_string(self.text.as_bytes().get(..self.to)?, from);
        if to >= self.to {
            return None;
        }
        self.at = to + 1;
        Some((from, to))
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        self.skip_blanks();
        match self.byte()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let (from, to) = self.string()?;
                self.leaves.push(Leaf { from, to, ..Leaf::default() });
                Some(Value::Other)
            }
            _ => {
                let rest = self.text.get(self.at..self.to)?;
                let length = rest.find([',', '}', ']', ' ', '\t']).unwrap_or(rest.len());
                let word = rest.get(..length).filter(|word| !word.is_empty())?;
                // Other words are no JSON, and nothing that may stay unread.
                let is_number = serde_json::from_str::<serde_json::Number>(word).is_ok();
                if !is_number && !matches!(word, "true" | "false" | "null") {
                    return None;
                }
                let (from, to) = (self.at, self.at + length);
                if is_number && length >= SHORTEST_NUMBER {
                    self.leaves.push(Leaf { from, to, what: What::Number, ..Leaf::default() });
                }
                self.at = to;
                Some(word.parse().map_or(Value::Other, Value::Number))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.take(b'{')?;
        let first = self.leaves.len();
        let mut index = None;
        if self.take(b'}').is_some() {
            return Some(Value::Other);
        }
        loop {
            let (from, to) = self.string()?;
            let name = self.text.get(from..to)?;
            self.take(b':')?;
            // Most names are of letters alone, and nothing is in them.
            if !name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
                self.leaves.push(Leaf { from, to, what: What::Name, ..Leaf::default() });
            }
            let before = self.leaves.len();
            let is_string = {
                self.skip_blanks();
                self.byte() == Some(b'"')
            };
            let value = self.value(depth + 1)?;
            if let (Value::Number(number), "index") = (&value, name) {
                index = Some(*number);
            }
            let is_of_tool = OF_TOOLS.contains(&name);
            for leaf in self.leaves.iter_mut().skip(before) {
                if is_string {
                    name.clone_into(&mut leaf.name);
                }
                // The nearest name, also that of a list.
                if leaf.context.is_empty() && leaf.what != What::Name {
                    leaf.context = name.chars().take(json::LONGEST_CONTEXT).collect();
                }
                leaf.is_of_tool |= is_of_tool;
                leaf.in_delta |= name == "delta";
                leaf.is_part = leaf.in_delta && PARTS.contains(&leaf.name.as_str());
                leaf.stream = mix(leaf.stream, name.as_bytes());
            }
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b'}')?;
        let Some(index) = index else { return Some(Value::Other) };
        for leaf in self.leaves.iter_mut().skip(first) {
            leaf.stream = mix(leaf.stream, &index.to_le_bytes());
        }
        Some(Value::Indexed)
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(Value::Other);
        }
        for place in 0_u64.. {
            let first = self.leaves.len();
            if !matches!(self.value(depth + 1)?, Value::Indexed) {
                for leaf in self.leaves.iter_mut().skip(first) {
                    leaf.stream = mix(leaf.stream, &place.to_be_bytes());
                }
            }
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b']')?;
        Some(Value::Other)
    }
}

/// One step further out on the way to a string. Two ways that fell together would join two texts; nothing would be
/// lost by that but a little precision.
fn mix(hash: u64, step: &[u8]) -> u64 {
    step.iter().fold(hash ^ 0x9e37_79b9_7f4a_7c15, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    })
}
