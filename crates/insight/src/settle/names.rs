//! Texts as numbers, so that nothing holds a text per call.

use hashbrown::HashMap;

/// A text that was interned. The default is the empty text: what nobody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

impl Name {
    /// What nobody said.
    pub const NONE: Self = Self(0);

    /// Whether it was said.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Whether both may mean the same: they are equal, or one of them was not said.
    #[must_use]
    pub const fn agrees_with(self, other: Self) -> bool {
        self.0 == other.0 || self.0 == 0 || other.0 == 0
    }
}

/// The texts of one settlement.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_text: HashMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// The text's number, a new one if it was not met before.
    pub fn of(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::NONE;
        }
        if let Some(name) = self.by_text.get(text) {
            return *name;
        }
        self.texts.push(text.into());
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.by_text.insert(text.into(), name);
        name
    }

    /// The text.
    #[must_use]
    pub fn text(&self, name: Name) -> &str {
        let at = usize::try_from(name.0).unwrap_or(usize::MAX).checked_sub(1);
        at.and_then(|at| self.texts.get(at)).map_or("", |text| text)
    }
}
