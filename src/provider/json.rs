//! Pieces of typed JSON that borrow from the read buffer: text, short lists, counts.
//! They know no API; what a field means is decided where it is named.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::DecodeError;
use super::errors::excerpt;

/// Reads `data` as a `T` that borrows from it.
pub(super) fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(data).map_err(|cause| unreadable(data, &cause))
}

/// Why `data` cannot be read.
pub(super) fn unreadable(data: &[u8], cause: &serde_json::Error) -> DecodeError {
    DecodeError::Json {
        excerpt: excerpt(data),
        cause: cause.to_string(),
        incomplete: cause.is_eof() || stops_in_number(data, cause),
    }
}

/// Whether `data` ends within a number: that is no end of file to `serde_json`, but an invalid number.
fn stops_in_number(data: &[u8], cause: &serde_json::Error) -> bool {
    let lines = || data.split(|&byte| byte == b'\n');
    let last_line = lines().next_back().unwrap_or(data);
    matches!(data.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'))
        && cause.line() == lines().count()
        && cause.column() == last_line.len()
}

/// A string, borrowed unless it has escapes; `null` is the empty one.
///
/// `Option<Cow<str>>` would not do: serde borrows only for a bare `Cow`.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The text as it stands in what was read, unless it has escapes.
    pub(super) fn borrowed(&self) -> Option<&'a str> {
        match self.0 {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or null")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }
}

/// A list that nearly always has one element, which then costs no allocation; `null` is the empty one.
#[derive(Debug)]
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    pub(super) const fn one(element: T) -> Self {
        Self {
            first: Some(element),
            rest: Vec::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.first.iter().chain(&self.rest)
    }

    /// The element of a list of one.
    pub(super) fn only(&self) -> Option<&T> {
        self.first.as_ref().filter(|_| self.rest.is_empty())
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let first = list.next_element()?;
        let mut rest = Vec::new();
        while let Some(element) = list.next_element()? {
            rest.push(element);
        }
        Ok(Few { first, rest })
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Few::default())
    }
}

/// How many elements a list has; they themselves are skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut count = 0_u32;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(Count(count))
    }
}
