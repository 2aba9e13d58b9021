//! What managed services of other clouds count, by the words of a meter and of its unit.

use super::words::contains;
use super::{Category, Meter};

/// The first that fits wins.
const COUNTS: &[(&[&str], Meter)] = &[
    (&["seat"], Meter::Seats),
    (&["seats"], Meter::Seats),
    (&["user"], Meter::Seats),
    (&["users"], Meter::Seats),
    (&["license"], Meter::Seats),
    (&["subscription"], Meter::Seats),
    (&["pages"], Meter::Pages),
    (&["page"], Meter::Pages),
    (&["audio"], Meter::MediaTime),
    (&["speech", "to", "text"], Meter::MediaTime),
    (&["transcription"], Meter::MediaTime),
    (&["recognition"], Meter::MediaTime),
    (&["video"], Meter::MediaTime),
    (&["minute"], Meter::MediaTime),
    (&["minutes"], Meter::MediaTime),
    (&["second"], Meter::MediaTime),
    (&["seconds"], Meter::MediaTime),
    (&["characters"], Meter::Characters),
    (&["character"], Meter::Characters),
    (&["char"], Meter::Characters),
    (&["images"], Meter::Images),
    (&["image"], Meter::Images),
    (&["storage"], Meter::Storage),
    (&["gb", "month"], Meter::Storage),
    (&["gibibyte", "month"], Meter::Storage),
    (&["hour"], Meter::Hours),
    (&["hours"], Meter::Hours),
    (&["transactions"], Meter::Requests),
    (&["transaction"], Meter::Requests),
    (&["requests"], Meter::Requests),
    (&["request"], Meter::Requests),
    (&["queries"], Meter::Requests),
    (&["calls"], Meter::Requests),
    (&["sessions"], Meter::Requests),
    (&["records"], Meter::Objects),
];

/// What is counted.
pub(super) fn counted(words: &[String]) -> Meter {
    COUNTS.iter().find(|(phrase, _)| contains(words, phrase)).map_or(Meter::Units, |(_, meter)| *meter)
}

/// The kind of use where the meter says more than the service does.
pub(super) const fn kind_of(meter: Meter, category: Category) -> Category {
    match meter {
        Meter::Seats => Category::Seats,
        Meter::Storage => Category::Storage,
        _ => category,
    }
}
