//! Tells whether events are a chain, and where not: which is the first that was changed, is missing, stands in another
//! place, or was cut off at the end. Needs nothing but the events, and what somebody else says of where they ended.

use std::collections::BTreeMap;

use super::anchor::Anchor;
use super::chain::{Chain, Digest, Hash, Place, Record, encode};
use super::export::{Begin, End, FORMAT, Line};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line is none of an export's.
    #[error("the line is none that an export has: {0}")]
    NotALine(String),
    /// The first line is missing.
    #[error("the first line does not say whose chain this is")]
    NoBeginning,
    /// What goes on does not go on here.
    #[error("the export goes on after event {says}, and the line before it is event {is}")]
    GoesOnElsewhere {
        /// After which event it goes on.
        says: u64,
        /// Which event it would have to be.
        is: u64,
    },
    /// Another chain's.
    #[error("the line is of another chain")]
    OtherChain,
    /// What it says is not what was hashed.
    #[error("event {0} was changed: its hash is not that of what it says")]
    Changed(u64),
    /// It does not go on from the event before.
    #[error("event {0} does not follow the one before it: that one, or what stood between them, was changed")]
    Unlinked(u64),
    /// An event is not there.
    #[error("event {missing} is missing: event {found} stands in its place")]
    Missing {
        /// Which is missing.
        missing: u64,
        /// What stands there.
        found: u64,
    },
    /// An event stands elsewhere.
    #[error("event {found} stands in the place of event {place}: events were reordered or repeated")]
    Moved {
        /// In whose place.
        place: u64,
        /// Which event.
        found: u64,
    },
    /// The end is not there.
    #[error("the export breaks off after event {last}: its last line is missing")]
    BrokenOff {
        /// The last that is there.
        last: u64,
    },
    /// The end is that of a shorter chain.
    #[error("the last line names event {says} as the last, and event {is} stands before it")]
    EndsElsewhere {
        /// Which it names.
        says: u64,
        /// Which is the last.
        is: u64,
    },
    /// Something follows the end.
    #[error("something follows the end of the export")]
    AfterTheEnd,
    /// The chain was longer than what is here.
    #[error(
        "the end is missing: the chain had {known} events by {by}, and the last one here is event {last}"
    )]
    Truncated {
        /// Up to which event it is known to have gone.
        known: u64,
        /// The last that is here.
        last: u64,
        /// Who says so.
        by: String,
    },
    /// The chain here is whole, and not the one that was there.
    #[error("event {seq} is not the one that {by} names: the chain was written anew up to it")]
    Rewritten {
        /// Which event.
        seq: u64,
        /// Who says so.
        by: String,
    },
}

/// The first thing that is wrong, and in which line of an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Broken {
    /// The line, from 1; the one behind the last where something is missing at the end.
    pub line: u64,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// Events that are a whole chain, or a whole part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Whose.
    pub chain: Chain,
    /// From behind which event on.
    pub after: Place,
    /// To which.
    pub head: Place,
    /// How many events.
    pub events: u64,
    /// With how many heads that others kept it was compared.
    pub compared: usize,
}

/// What somebody else knows of a chain: by name, the place.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<u64, Vec<(Hash, String)>>);

impl Known {
    /// Adds a place, and who says so.
    pub fn add(&mut self, place: Place, by: impl Into<String>) {
        self.0.entry(place.seq).or_default().push((place.hash, by.into()));
    }

    /// Adds what anchors say of a chain. They may say nothing.
    pub fn add_anchors(&mut self, chain: &Chain, digest: Digest, anchors: &[Anchor]) {
        let tag = chain.tag(digest);
        for anchor in anchors {
            if let Some(head) = anchor.head_of(tag) {
                let place = Place { seq: head.seq, hash: head.hash };
                self.add(place, format!("the anchor of {}", anchor.day));
            }
        }
    }

    fn check(&self, place: Place) -> Result<(), Fault> {
        for (hash, by) in self.0.get(&place.seq).into_iter().flatten() {
            if *hash != place.hash {
                return Err(Fault::Rewritten { seq: place.seq, by: by.clone() });
            }
        }
        Ok(())
    }

    /// What is known behind this event.
    fn beyond(&self, last: u64) -> Result<(), Fault> {
        let beyond = self.0.range(last.saturating_add(1)..).next_back();
        match beyond.and_then(|(seq, said)| Some((*seq, said.first()?))) {
            Some((known, (_, by))) => Err(Fault::Truncated { known, last, by: by.clone() }),
            None => Ok(()),
        }
    }

    fn compared(&self, from: u64, to: u64) -> usize {
        if from > to { 0 } else { self.0.range(from..=to).map(|(_, said)| said.len()).sum() }
    }
}

/// Follows a chain event by event.
#[derive(Debug)]
pub struct Follower {
    chain: Chain,
    digest: Digest,
    place: Place,
}

impl Follower {
    /// Begins behind a place.
    #[must_use]
    pub const fn new(chain: Chain, digest: Digest, after: Place) -> Self {
        Self { chain, digest, place: after }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The next event: its number, the hash before that it names, its own, and what it says.
    pub fn event(&mut self, seq: u64, prev: Hash, hash: Hash, record: &Record) -> Result<(), Fault> {
        let wanted = self.place.seq.saturating_add(1);
        if seq > wanted {
            return Err(Fault::Missing { missing: wanted, found: seq });
        }
        if seq < wanted {
            return Err(Fault::Moved { place: wanted, found: seq });
        }
        if (self.digest)(&encode(&self.chain, seq, prev, record)) != hash {
            return Err(Fault::Changed(seq));
        }
        if prev != self.place.hash {
            return Err(Fault::Unlinked(seq));
        }
        self.place = Place { seq, hash };
        Ok(())
    }
}

/// Reads the lines of an export, or of several that go on from each other, and holds them against what is known: what
/// anchors say, and a head that somebody kept.
pub fn verify(
    lines: impl IntoIterator<Item = String>,
    digest: Digest,
    anchors: &[Anchor],
    head: Option<Place>,
) -> Result<Whole, Broken> {
    let mut lines = lines.into_iter();
    let mut reader = Reader { digest, anchors, head, begun: None, ended: false, line: 0 };
    while let Some(line) = lines.next() {
        reader.line += 1;
        if let Err(fault) = reader.line(&line) {
            let fault = match fault {
                // Whether it is gone or stands further down is seen further down.
                Fault::Missing { missing, found }
                    if lines.any(|line| {
                        serde_json::from_str::<Line>(&line).is_ok_and(|line| line.seq == missing)
                    }) =>
                {
                    Fault::Moved { place: missing, found }
                }
                fault => fault,
            };
            return Err(Broken { line: reader.line, fault });
        }
    }
    reader.finish()
}

struct Reader<'a> {
    digest: Digest,
    anchors: &'a [Anchor],
    head: Option<Place>,
    begun: Option<Begun>,
    ended: bool,
    line: u64,
}

struct Begun {
    follower: Follower,
    after: Place,
    known: Known,
    events: u64,
}

impl Reader<'_> {
    fn line(&mut self, text: &str) -> Result<(), Fault> {
        let line = match serde_json::from_str::<Line>(text) {
            Ok(line) => line,
            Err(error) => return self.other_line(text, &error),
        };
        if self.ended {
            return Err(Fault::AfterTheEnd);
        }
        let begun = self.begun.as_mut().ok_or(Fault::NoBeginning)?;
        begun.follower.event(line.seq, line.prev, line.hash, &line.record())?;
        begun.events += 1;
        begun.known.check(begun.follower.place())
    }

    fn other_line(&mut self, text: &str, not_an_event: &serde_json::Error) -> Result<(), Fault> {
        if let Ok(begin) = serde_json::from_str::<Begin>(text) {
            return self.begin(&begin);
        }
        let Ok(End { end }) = serde_json::from_str(text) else {
            return Err(Fault::NotALine(not_an_event.to_string()));
        };
        let begun = self.begun.as_mut().ok_or(Fault::NoBeginning)?;
        if self.ended {
            return Err(Fault::AfterTheEnd);
        }
        self.ended = true;
        let is = begun.follower.place().seq;
        if end.seq < is {
            return Err(Fault::EndsElsewhere { says: end.seq, is });
        }
        begun.known.add(end.into(), "the last line");
        begun.known.check(begun.follower.place())
    }

    fn begin(&mut self, begin: &Begin) -> Result<(), Fault> {
        if begin.costlens_audit != FORMAT {
            return Err(Fault::NotALine(format!("version {} is not known", begin.costlens_audit)));
        }
        let chain: Chain =
            begin.chain.parse().map_err(|_| Fault::NotALine("it names no chain".to_owned()))?;
        let after = Place { seq: begin.after_seq, hash: begin.after_hash };
        self.ended = false;
        if let Some(begun) = &self.begun {
            // An export that was asked for in parts.
            let place = begun.follower.place();
            if begun.follower.chain != chain {
                return Err(Fault::OtherChain);
            }
            if place != after {
                return Err(Fault::GoesOnElsewhere { says: after.seq, is: place.seq });
            }
            return Ok(());
        }
        if after.seq == 0 && after.hash != Hash::NONE {
            return Err(Fault::Unlinked(0));
        }
        let mut known = Known::default();
        known.add_anchors(&chain, self.digest, self.anchors);
        if let Some(head) = self.head {
            known.add(head, "the head that was given");
        }
        known.check(after)?;
        self.begun =
            Some(Begun { follower: Follower::new(chain, self.digest, after), after, known, events: 0 });
        Ok(())
    }

    fn finish(self) -> Result<Whole, Broken> {
        let line = self.line + 1;
        let broken = |fault| Broken { line, fault };
        let begun = self.begun.ok_or(broken(Fault::NoBeginning))?;
        let head = begun.follower.place();
        begun.known.beyond(head.seq).map_err(broken)?;
        if !self.ended {
            return Err(broken(Fault::BrokenOff { last: head.seq }));
        }
        // The last line is no other's word.
        let compared = begun.known.compared(begun.after.seq, head.seq).saturating_sub(1);
        Ok(Whole { chain: begun.follower.chain, after: begun.after, head, events: begun.events, compared })
    }
}

/// Why anchors are not the ones that were kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorFault {
    /// A file is none.
    #[error("{name} is no anchor: {why}")]
    NotAnAnchor {
        /// The file.
        name: String,
        /// Why.
        why: String,
    },
    /// One is missing.
    #[error("anchor {0} is missing")]
    Missing(u64),
    /// One does not name the one before.
    #[error("anchor {0} was changed, or the one after it: the two do not follow each other")]
    Unlinked(u64),
}

/// Anchors by their files' bytes, oldest first: each names the one before. They need not begin with the first.
pub fn read_anchors(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    digest: Digest,
) -> Result<Vec<Anchor>, AnchorFault> {
    let mut anchors: Vec<(Anchor, Hash)> = Vec::new();
    for (name, bytes) in files {
        let not = |why: String| AnchorFault::NotAnAnchor { name: name.clone(), why };
        let anchor: Anchor = serde_json::from_slice(&bytes).map_err(|error| not(error.to_string()))?;
        if anchor.costlens_audit_anchor != super::anchor::FORMAT {
            return Err(not(format!("version {} is not known", anchor.costlens_audit_anchor)));
        }
        if !anchor.heads.is_sorted_by(|a, b| a.chain < b.chain) {
            return Err(not("its heads are not in order".to_owned()));
        }
        if let Some((before, hash)) = anchors.last() {
            if anchor.n != before.n + 1 {
                return Err(AnchorFault::Missing(before.n + 1));
            }
            if anchor.previous != *hash {
                return Err(AnchorFault::Unlinked(before.n));
            }
        } else if anchor.n == 1 && anchor.previous != Hash::NONE {
            return Err(AnchorFault::Unlinked(1));
        }
        let hash = digest(&bytes);
        anchors.push((anchor, hash));
    }
    Ok(anchors.into_iter().map(|(anchor, _)| anchor).collect())
}
