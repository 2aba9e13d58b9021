//! Texts as numbers: each text of a bill once, and whole columns as the numbers of their texts.
//!
//! A bill says the same few thousand things millions of times, and Parquet writes them as dictionaries. Whoever
//! groups by the numbers never looks at a text twice.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use costlens_domain::bill::Text;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::arrow::error::ArrowError;
use hashbrown::HashMap;

use super::Source;

/// The number of a text; 0 is the empty one, which is also what a missing one counts as.
pub(crate) type Code = u32;

/// Several numbers as a key: hashed two at a time, which costs a third of hashing their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes<const N: usize>(pub(crate) [Code; N]);

impl<const N: usize> Hash for Codes<N> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (pairs, rest) = self.0.as_chunks::<2>();
        for [a, b] in pairs {
            state.write_u64(u64::from(*a) << 32 | u64::from(*b));
        }
        for code in rest {
            state.write_u32(*code);
        }
    }
}

/// A place of a dictionary that no line has pointed to yet.
const UNSEEN: Code = Code::MAX;

/// Every text once.
#[derive(Debug)]
pub(crate) struct Texts {
    by_text: HashMap<Text, Code>,
    all: Vec<Text>,
    /// What the texts themselves have.
    bytes: usize,
}

impl Default for Texts {
    fn default() -> Self {
        let empty = Text::from("");
        Self { by_text: HashMap::from_iter([(Arc::clone(&empty), 0)]), all: vec![empty], bytes: 0 }
    }
}

/// What a text takes beside its bytes: its two counts, its places in the table and in the list.
const PER_TEXT: usize = 64;

impl Texts {
    pub(crate) fn code(&mut self, text: &str) -> Code {
        if let Some(code) = self.by_text.get(text) {
            return *code;
        }
        self.insert(Text::from(text))
    }

    /// The number of a text that is shared already.
    pub(crate) fn code_of_shared(&mut self, text: &Text) -> Code {
        if let Some(code) = self.by_text.get(text) {
            return *code;
        }
        self.insert(Arc::clone(text))
    }

    fn insert(&mut self, text: Text) -> Code {
        // Four thousand million different texts do not fit into memory.
        let code = Code::try_from(self.all.len()).unwrap_or(UNSEEN);
        self.bytes = self.bytes.saturating_add(text.len());
        self.all.push(Arc::clone(&text));
        self.by_text.insert(text, code);
        code
    }

    /// About how many bytes of memory they take.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.saturating_add(self.all.len().saturating_mul(PER_TEXT))
    }

    pub(crate) fn text(&self, code: Code) -> Text {
        usize::try_from(code).ok().and_then(|at| self.all.get(at)).cloned().unwrap_or_else(|| Text::from(""))
    }

    pub(crate) fn texts<const N: usize>(&self, codes: [Code; N]) -> [Text; N] {
        codes.map(|code| self.text(code))
    }

    /// In the order of their numbers.
    pub(crate) fn all(&self) -> &[Text] {
        &self.all
    }
}

/// Reads columns of texts, and remembers each column's last dictionary.
#[derive(Debug, Default)]
pub(crate) struct TextReader {
    /// By the place of the column in the batch.
    dictionaries: HashMap<usize, Dictionary>,
}

/// A dictionary, and the numbers of those of its texts that were needed.
#[derive(Debug)]
struct Dictionary {
    values: ArrayRef,
    codes: Vec<Code>,
}

impl TextReader {
    /// The numbers of the texts that `sources` say, row by row.
    pub(crate) fn codes(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        sources: &[Source],
        texts: &mut Texts,
    ) -> Result<Vec<Code>, ArrowError> {
        let mut out: Option<Vec<Code>> = None;
        for source in sources {
            let Some(column) = columns.get(source.place) else { continue };
            match &mut out {
                None => out = Some(self.column(column, *source, texts)?),
                Some(codes) if codes.contains(&0) => {
                    let other = self.column(column, *source, texts)?;
                    for (code, other) in codes.iter_mut().zip(other) {
                        if *code == 0 {
                            *code = other;
                        }
                    }
                }
                Some(_) => break,
            }
        }
        Ok(out.unwrap_or_else(|| vec![0; rows]))
    }

    fn column(
        &mut self,
        column: &ArrayRef,
        source: Source,
        texts: &mut Texts,
    ) -> Result<Vec<Code>, ArrowError> {
        match (source.key, column.data_type()) {
            (Some(key), DataType::Map(..)) => self.entries(column.as_map(), key, source.place, texts),
            (Some(key), _) => json_entries(column, key, texts),
            (None, DataType::Dictionary(key, value))
                if **key == DataType::Int32 && **value == DataType::Utf8 =>
            {
                Ok(self.dictionary(column, source.place, texts))
            }
            (None, DataType::Utf8) => Ok(plain(column.as_string::<i32>(), texts)),
            (None, _) => {
                let column = cast(column, &DataType::Utf8)?;
                Ok(plain(column.as_string::<i32>(), texts))
            }
        }
    }

    fn dictionary(&mut self, column: &ArrayRef, place: usize, texts: &mut Texts) -> Vec<Code> {
        let column = column.as_dictionary::<Int32Type>();
        let known = self.known(place, column.values());
        let keys = column.keys();
        if keys.null_count() == 0 {
            keys.values().iter().map(|key| known.code(*key, texts)).collect()
        } else {
            keys.iter().map(|key| key.map_or(0, |key| known.code(key, texts))).collect()
        }
    }

    /// The dictionary of the column in this place, as it was known or anew.
    fn known(&mut self, place: usize, values: &ArrayRef) -> &mut Dictionary {
        let fresh = || Dictionary { values: Arc::clone(values), codes: vec![UNSEEN; values.len()] };
        let known = self.dictionaries.entry(place).or_insert_with(fresh);
        // The old one is held, so nothing else can have come to stand at its address.
        let offsets = |values: &ArrayRef| values.as_string::<i32>().value_offsets().as_ptr_range();
        if offsets(&known.values) != offsets(values) {
            *known = fresh();
        }
        known
    }

    /// What the maps hold under a key.
    fn entries(
        &mut self,
        maps: &MapArray,
        key: &str,
        place: usize,
        texts: &mut Texts,
    ) -> Result<Vec<Code>, ArrowError> {
        let (keys, values) = (as_dictionary(maps.keys())?, as_dictionary(maps.values())?);
        let (keys, values) = (keys.as_dictionary::<Int32Type>(), values.as_dictionary::<Int32Type>());
        // A dictionary may say a text twice.
        let named: Vec<bool> =
            keys.values().as_string::<i32>().iter().map(|named| named == Some(key)).collect();
        if !named.contains(&true) {
            return Ok(vec![0; maps.len()]);
        }
        let known = self.known(place, values.values());
        let (keys, values) = (keys.keys(), values.keys());
        let mut out = Vec::with_capacity(maps.len());
        let mut bounds = maps.value_offsets().iter().map(|at| usize::try_from(*at).unwrap_or(0));
        let mut from = bounds.next().unwrap_or(0);
        for to in bounds {
            let is_named = |at: usize| {
                let place =
                    keys.is_valid(at).then(|| keys.value(at)).and_then(|key| usize::try_from(key).ok());
                place.and_then(|place| named.get(place)).copied().unwrap_or(false)
            };
            let is_it = |at: &usize| is_named(*at) && values.is_valid(*at);
            let found = (from..to).find(is_it);
            out.push(found.map_or(0, |at| known.code(values.value(at), texts)));
            from = to;
        }
        Ok(out)
    }
}

impl Dictionary {
    /// The number of the text at a place of the dictionary.
    fn code(&mut self, place: i32, texts: &mut Texts) -> Code {
        let Some((at, code)) = usize::try_from(place).ok().and_then(|at| Some((at, self.codes.get_mut(at)?)))
        else {
            return 0;
        };
        if *code == UNSEEN {
            let values = self.values.as_string::<i32>();
            *code = if values.is_null(at) { 0 } else { texts.code(values.value(at)) };
        }
        *code
    }
}

/// Texts as a dictionary of them; numbers as the texts that they are written as.
fn as_dictionary(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    if *column.data_type() == dictionary {
        return Ok(Arc::clone(column));
    }
    cast(&cast(column, &DataType::Utf8)?, &dictionary)
}

fn plain(column: &StringArray, texts: &mut Texts) -> Vec<Code> {
    column.iter().map(|text| text.map_or(0, |text| texts.code(text))).collect()
}

/// What maps that were written as JSON hold under a key.
fn json_entries(column: &ArrayRef, key: &str, texts: &mut Texts) -> Result<Vec<Code>, ArrowError> {
    let column = cast(column, &DataType::Utf8)?;
    let maps = crate::csv_table::cells::parse_maps(column.as_string::<i32>());
    Ok(maps.iter().map(|map| map.get(key).map_or(0, |text| texts.code(text))).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::DictionaryArray;

    use super::*;

    fn read(columns: &[ArrayRef], sources: &[usize]) -> Vec<Text> {
        let mut texts = Texts::default();
        let sources: Vec<Source> = sources.iter().map(|place| Source { place: *place, key: None }).collect();
        let rows = columns.first().unwrap().len();
        let codes = TextReader::default().codes(columns, rows, &sources, &mut texts).unwrap();
        codes.into_iter().map(|code| texts.text(code)).collect()
    }

    #[test]
    fn the_first_source_that_says_something_counts() {
        let a: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some(""), None]));
        let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("b"), Some("c"), None]));
        let said: Vec<String> = read(&[a, b], &[0, 1]).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["a", "b", "c", ""]);
    }

    #[test]
    fn a_key_that_a_map_s_dictionary_says_twice_is_found_in_either_place() {
        use datafusion::arrow::array::{Int32Array, StructArray};
        use datafusion::arrow::buffer::OffsetBuffer;
        use datafusion::arrow::datatypes::Field;

        let of = |keys: Vec<Option<i32>>, texts: Vec<&str>| -> ArrayRef {
            let keys: Int32Array = keys.into_iter().collect();
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(StringArray::from(texts))).unwrap())
        };
        let keys = of(vec![Some(0), Some(1), Some(2), Some(1)], vec!["model", "other", "model"]);
        let values = of(vec![Some(0), Some(1), Some(1), None], vec!["nova", "opus"]);
        let field = |name: &str, of: &ArrayRef, nullable| Field::new(name, of.data_type().clone(), nullable);
        let fields = vec![field("keys", &keys, false), field("values", &values, true)];
        let entries = StructArray::try_new(fields.into(), vec![keys, values], None).unwrap();
        let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let offsets = OffsetBuffer::new(vec![0, 1, 3, 4, 4].into());
        let maps: ArrayRef = Arc::new(MapArray::try_new(entry, offsets, entries, None, false).unwrap());
        let mut texts = Texts::default();
        let source = [Source { place: 0, key: Some("model") }];
        let mut read = |maps: &ArrayRef| -> Vec<String> {
            let codes =
                TextReader::default().codes(&[Arc::clone(maps)], maps.len(), &source, &mut texts).unwrap();
            codes.into_iter().map(|code| texts.text(code).to_string()).collect()
        };
        assert_eq!(read(&maps), ["nova", "opus", "", ""]);
        assert_eq!(read(&maps.slice(1, 2)), ["opus", ""]);
    }

    #[test]
    fn a_new_dictionary_in_the_same_place_is_not_taken_for_the_old_one() {
        let mut texts = Texts::default();
        let mut reader = TextReader::default();
        let mut said = Vec::new();
        for words in [["one", "two"], ["three", "four"]] {
            let column: DictionaryArray<Int32Type> = words.into_iter().collect();
            let source = [Source { place: 0, key: None }];
            let codes = reader.codes(&[Arc::new(column)], 2, &source, &mut texts).unwrap();
            said.extend(codes.into_iter().map(|code| texts.text(code).to_string()));
        }
        assert_eq!(said, ["one", "two", "three", "four"]);
    }
}
