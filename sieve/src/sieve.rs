//! Takes the fields that are wanted out of a list of objects while its bytes arrive.
//!
//! A pod has some ten kilobytes of JSON, of which a check looks at a few hundred bytes. So nothing is held but what is
//! wanted of one object, however large a page is, and only that is decoded.
//!
//! ```text
//! {"metadata":{"continue":...},"items":[{...},{...}]}   bytes, cut anywhere
//!   --Sieve::feed-->  Part::Metadata  Part::Item  Part::Item    JSON with the wanted fields alone
//! ```
//!
//! What is passed over is not checked for more than its ends: the answers of an API server are JSON.

use fearless_simd::{Level as Instructions, Simd, dispatch};

use crate::block::masks;
use crate::fields::Fields;
use crate::passing::Passing;

/// The wanted fields of one object beyond this are no object: etcd takes up to 1.5 MiB, all told.
const LARGEST_OBJECT: usize = 16 << 20;
/// Levels of what is wanted, far above any [`Fields`].
const DEEPEST: usize = 32;
/// Longer keys are none that is wanted.
const LONGEST_KEY: usize = 64;
/// What is wanted of the metadata of a list.
const METADATA: &[(&str, Fields)] = &[("continue", Fields::All)];

/// What was read, as JSON with nothing but the wanted fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// `metadata` of the list.
    Metadata(&'a [u8]),
    /// One object.
    Item(&'a [u8]),
}

/// The bytes are not JSON, not a list, or hold an object larger than any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What becomes of the parts of a list; [`Malformed`] if one is not what it should be.
pub type Receiver<'a> = dyn FnMut(Part<'_>) -> Result<(), Malformed> + 'a;

/// Reads one list.
#[derive(Debug)]
pub struct Sieve {
    fields: Fields,
    /// What the processor has for looking at many bytes at a time.
    instructions: Instructions,
    /// Objects and arrays that are open and looked into; the list itself is the first.
    open: Vec<Level>,
    state: State,
    key: Vec<u8>,
    /// The wanted JSON of the part that is being read.
    out: Vec<u8>,
    seen_items: bool,
}

/// An object or array that is looked into.
#[derive(Debug, Clone, Copy)]
struct Level {
    kind: Kind,
    /// Whether something of it is in the output already.
    started: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The list.
    List,
    /// Its `items`.
    Items,
    Object(&'static [(&'static str, Fields)]),
    Array(&'static [(&'static str, Fields)]),
}

/// What to do with a value.
#[derive(Debug, Clone, Copy)]
enum Take {
    Nothing,
    /// The list's own `items`.
    Items,
    Fields(Fields),
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// The list itself.
    Begin,
    /// A value: the first of an array may be missing.
    Value {
        name: Option<&'static str>,
        take: Take,
        may_end: bool,
    },
    /// A key: the first of an object may be missing.
    Key {
        may_end: bool,
    },
    InKey {
        escaped: bool,
    },
    Colon,
    /// A comma or an end.
    Comma,
    /// The rest of a value that is passed over, or kept as it is.
    Passing {
        passing: Passing,
        keep: bool,
    },
    End,
}

impl Sieve {
    /// For a list of objects of which `fields` are wanted.
    pub fn new(fields: Fields) -> Sieve {
        Sieve {
            fields,
            instructions: Instructions::new(),
            open: Vec::new(),
            state: State::Begin,
            key: Vec::new(),
            out: Vec::new(),
            seen_items: false,
        }
    }

    /// Reads on; `part` gets what is complete.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the bytes are no list of objects, or if `part` says so.
    pub fn feed(&mut self, bytes: &[u8], part: &mut Receiver<'_>) -> Result<(), Malformed> {
        dispatch!(self.instructions, simd => self.read(simd, bytes, part))
    }

    // As `masks`.
    #[inline(always)]
    fn read<S: Simd>(
        &mut self,
        simd: S,
        mut bytes: &[u8],
        part: &mut Receiver<'_>,
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if let State::Passing { passing, keep } = &mut self.state {
                let (length, ended) = passing.pass(simd, bytes);
                let (value, rest) = bytes.split_at(length);
                if *keep {
                    self.out.extend_from_slice(value);
                    if self.out.len() > LARGEST_OBJECT {
                        return Err(Malformed);
                    }
                }
                bytes = rest;
                if ended {
                    self.value_ended(part)?;
                }
                continue;
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                break;
            };
            if let (State::Key { .. }, b'"') = (&self.state, byte)
                && let Some((key, value)) = short_key(simd, rest)
            {
                self.member(key)?;
                bytes = value;
                continue;
            }
            let blank = !matches!(self.state, State::InKey { .. }) && byte.is_ascii_whitespace();
            if blank || self.step(byte, part)? {
                bytes = rest;
            }
        }
        Ok(())
    }

    /// Whether the list is complete.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.state {
            State::End if self.seen_items => Ok(()),
            _ => Err(Malformed),
        }
    }

    /// One byte that is not in the middle of a value; whether it was used up.
    fn step(&mut self, byte: u8, part: &mut Receiver<'_>) -> Result<bool, Malformed> {
        match (&mut self.state, byte) {
            (State::Begin, b'{') => {
                self.open.push(Level::of(Kind::List));
                self.state = State::Key { may_end: true };
            }
            (State::Key { .. }, b'"') => {
                self.key.clear();
                self.state = State::InKey { escaped: false };
            }
            (State::Key { may_end: true }, b'}') | (State::Comma, b'}') => {
                self.close(b'}', part)?;
            }
            (State::Value { may_end: true, .. }, b']') | (State::Comma, b']') => {
                self.close(b']', part)?;
            }
            (State::InKey { escaped: false }, b'"') => self.state = State::Colon,
            (State::InKey { escaped }, byte) => {
                *escaped = byte == b'\\' && !*escaped;
                // One more than the longest stays different from all that are wanted.
                if self.key.len() <= LONGEST_KEY {
                    self.key.push(byte);
                }
            }
            (State::Colon, b':') => {
                let key = std::mem::take(&mut self.key);
                self.member(&key)?;
                self.key = key;
            }
            (State::Comma, b',') => {
                self.state = match self.open.last() {
                    Some(level) => level.after_comma(self.fields),
                    None => return Err(Malformed),
                }
            }
            (State::Value { name, take, .. }, byte) => {
                let (name, take) = (*name, *take);
                return self.begin(byte, name, take);
            }
            _ => return Err(Malformed),
        }
        Ok(true)
    }

    /// Goes on to the value of a key.
    fn member(&mut self, key: &[u8]) -> Result<(), Malformed> {
        let (name, take) = match self.open.last().map(|level| level.kind) {
            Some(Kind::List) => match key {
                // Twice would be two lists.
                b"items" if !self.seen_items => {
                    self.seen_items = true;
                    (None, Take::Items)
                }
                b"items" => return Err(Malformed),
                b"metadata" => (None, Take::Fields(Fields::Of(METADATA))),
                _ => (None, Take::Nothing),
            },
            Some(Kind::Object(members)) => match Fields::member(members, key) {
                Some((name, fields)) => (Some(name), Take::Fields(fields)),
                None => (None, Take::Nothing),
            },
            _ => return Err(Malformed),
        };
        self.state = State::Value {
            name,
            take,
            may_end: false,
        };
        Ok(())
    }

    /// A value begins with `byte`; whether that was used up.
    fn begin(
        &mut self,
        byte: u8,
        name: Option<&'static str>,
        take: Take,
    ) -> Result<bool, Malformed> {
        let passing = Passing::begin(byte).ok_or(Malformed)?;
        let descend = match (take, byte) {
            (Take::Items, b'[') => Some(Kind::Items),
            (Take::Fields(Fields::Of(members)), b'{') => Some(Kind::Object(members)),
            (Take::Fields(Fields::Of(members)), b'[') => Some(Kind::Array(members)),
            // An empty list may be written like this.
            (Take::Items, b'n') => None,
            (Take::Items, _) => return Err(Malformed),
            _ => None,
        };
        let keep = match take {
            Take::Fields(Fields::All) => true,
            Take::Fields(Fields::Of(_)) => byte != b'n',
            Take::Nothing | Take::Items => false,
        };
        if keep {
            self.separate(name);
        }
        match descend {
            Some(kind) => {
                if self.open.len() == DEEPEST {
                    return Err(Malformed);
                }
                if keep {
                    self.out.push(byte);
                }
                self.open.push(Level::of(kind));
                self.state = match kind {
                    Kind::Object(_) | Kind::List => State::Key { may_end: true },
                    Kind::Items | Kind::Array(_) => State::Value {
                        name: None,
                        take: kind.element(self.fields),
                        may_end: true,
                    },
                };
                Ok(true)
            }
            None => {
                self.state = State::Passing { passing, keep };
                Ok(false)
            }
        }
    }

    /// Writes what comes before a value: a comma, the name.
    fn separate(&mut self, name: Option<&'static str>) {
        let Some(level) = self.open.last_mut() else {
            return;
        };
        if matches!(level.kind, Kind::List | Kind::Items) {
            // Each is a part of its own.
            return;
        }
        if std::mem::replace(&mut level.started, true) {
            self.out.push(b',');
        }
        if let Some(name) = name {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
        }
    }

    fn close(&mut self, byte: u8, part: &mut Receiver<'_>) -> Result<(), Malformed> {
        match (self.open.pop().map(|level| level.kind), byte) {
            (Some(Kind::List), b'}') => {
                self.state = State::End;
                return Ok(());
            }
            (Some(Kind::Items), b']') => {
                self.state = State::Comma;
                return Ok(());
            }
            (Some(Kind::Object(_)), b'}') | (Some(Kind::Array(_)), b']') => self.out.push(byte),
            _ => return Err(Malformed),
        }
        self.value_ended(part)
    }

    /// After a value: one that is a part of its own is given away.
    fn value_ended(&mut self, part: &mut Receiver<'_>) -> Result<(), Malformed> {
        self.state = State::Comma;
        let found = match self.open.last().map(|level| level.kind) {
            _ if self.out.is_empty() => return Ok(()),
            Some(Kind::List) => Part::Metadata(&self.out),
            Some(Kind::Items) => Part::Item(&self.out),
            _ => return Ok(()),
        };
        let done = part(found);
        self.out.clear();
        done
    }
}

/// The key that ends within a block of `bytes`, as nearly all do, and what comes after its colon.
#[inline(always)]
fn short_key<S: Simd>(simd: S, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let found = masks(simd, bytes.first_chunk()?);
    let length = (found.quotes | found.backslashes).trailing_zeros() as usize;
    let (key, rest) = bytes.split_at_checked(length)?;
    Some((key, rest.strip_prefix(b"\":")?))
}

impl Level {
    fn of(kind: Kind) -> Level {
        Level {
            kind,
            started: false,
        }
    }

    fn after_comma(self, fields: Fields) -> State {
        match self.kind {
            Kind::List | Kind::Object(_) => State::Key { may_end: false },
            Kind::Items | Kind::Array(_) => State::Value {
                name: None,
                take: self.kind.element(fields),
                may_end: false,
            },
        }
    }
}

impl Kind {
    /// What is taken of each element.
    fn element(self, fields: Fields) -> Take {
        match self {
            Kind::Items => Take::Fields(fields),
            Kind::Array(members) => Take::Fields(Fields::Of(members)),
            Kind::List | Kind::Object(_) => Take::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
