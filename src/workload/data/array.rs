//! Finds where the elements of a JSON array begin and end, in one pass over its bytes, cut anywhere.
//! It looks at brackets and strings alone; whether an element is JSON is for whoever parses it to say.

use memchr::memchr2;

use super::fault::{DataError, LONGEST_ROW, Place, RowFault};

/// Where the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the array's bracket.
    Before,
    /// Behind the bracket: an element, or the end.
    Opened,
    /// Behind a comma: an element.
    Comma,
    /// Within an element.
    Within,
    /// Behind the array.
    After,
}

/// Cuts an array into its elements.
#[derive(Debug)]
pub(super) struct Splitter {
    state: State,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Bytes seen before this chunk.
    seen: u64,
    start: u64,
    element: Vec<u8>,
    elements: u64,
}

impl Splitter {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            seen: 0,
            start: 0,
            element: Vec::new(),
            elements: 0,
        }
    }

    /// Takes the next piece of the file and hands each element that ends in it to `on`, with where it began and its number
    /// from 1.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        on: &mut impl FnMut(u64, u64, &[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut at = 0;
        while at < chunk.len() {
            if self.in_string {
                at = self.text(chunk, at)?;
                continue;
            }
            self.mark(chunk[at], self.seen + at as u64, on)?;
            at += 1;
        }
        self.seen += chunk.len() as u64;
        Ok(())
    }

    /// The file is over.
    pub(super) fn finish(&self) -> Result<(), DataError> {
        match self.state {
            State::After => Ok(()),
            _ => Err(self.malformed("the array does not end", self.seen)),
        }
    }

    /// Within a string: on to its end, or to the end of the chunk.
    fn text(&mut self, chunk: &[u8], from: usize) -> Result<usize, DataError> {
        let mut at = from;
        if self.escaped {
            self.escaped = false;
            at += 1;
        }
        let end = match memchr2(b'"', b'\\', &chunk[at..]) {
            Some(found) => {
                self.in_string = chunk[at + found] != b'"';
                self.escaped = self.in_string;
                at + found + 1
            }
            None => chunk.len(),
        };
        self.push(&chunk[from..end])?;
        Ok(end)
    }

    /// One byte outside of strings.
    fn mark(
        &mut self,
        byte: u8,
        offset: u64,
        on: &mut impl FnMut(u64, u64, &[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let blank = byte.is_ascii_whitespace();
        match self.state {
            State::Before if byte == b'[' => self.state = State::Opened,
            State::Opened if byte == b']' => self.state = State::After,
            State::Within => return self.within(byte, offset, on),
            // Bytes of a mark of byte order.
            State::Before if offset < 3 && !byte.is_ascii() => {}
            _ if blank => {}
            State::Opened | State::Comma => {
                self.state = State::Within;
                self.start = offset;
                return self.within(byte, offset, on);
            }
            State::Before => return Err(self.malformed("no array begins", offset)),
            State::After => return Err(self.malformed("more than an array", offset)),
        }
        Ok(())
    }

    fn within(
        &mut self,
        byte: u8,
        offset: u64,
        on: &mut impl FnMut(u64, u64, &[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let ends = self.depth == 0 && matches!(byte, b',' | b']');
        if ends {
            self.elements += 1;
            on(self.start, self.elements, self.element.trim_ascii_end())?;
            self.element.clear();
            self.state = if byte == b',' {
                State::Comma
            } else {
                State::After
            };
            return Ok(());
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' if self.depth == 0 => {
                return Err(self.malformed("a bracket that nothing opened", offset));
            }
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        self.push(&[byte])
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        if self.element.len() + bytes.len() > LONGEST_ROW {
            let place = Place::Element(self.elements + 1);
            return Err(DataError::row(place, RowFault::TooLong));
        }
        self.element.extend_from_slice(bytes);
        Ok(())
    }

    const fn malformed(&self, what: &'static str, offset: u64) -> DataError {
        DataError::Array {
            what,
            offset,
            elements: self.elements,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The elements of `text`, fed in pieces of `cut` bytes; `None` where it is no array of JSON values.
    fn elements(text: &[u8], cut: usize) -> Option<Vec<Value>> {
        let mut splitter = Splitter::new();
        let mut found = Vec::new();
        for chunk in text.chunks(cut) {
            let fed = splitter.feed(chunk, &mut |start, number, element| {
                let start = usize::try_from(start).unwrap();
                assert_eq!(&text[start..start + element.len()], element);
                let value = serde_json::from_slice(element).map_err(RowFault::Json);
                found.push(value.map_err(|fault| DataError::row(Place::Element(number), fault))?);
                Ok(())
            });
            fed.ok()?;
        }
        splitter.finish().ok()?;
        Some(found)
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\\\[\\]{},: é\n]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\\\]}]{0,4}", inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn elements_are_those_that_a_parser_finds_however_the_bytes_are_cut(
            values in prop::collection::vec(json(), 0..6), pretty: bool, cut in 1_usize..40,
        ) {
            let text = if pretty {
                serde_json::to_vec_pretty(&values).unwrap()
            } else {
                serde_json::to_vec(&values).unwrap()
            };
            prop_assert_eq!(elements(&text, cut), Some(values));
        }

        #[test]
        fn what_a_parser_refuses_is_refused(
            values in prop::collection::vec(json(), 0..4), at: prop::sample::Index,
            put in prop::sample::select(b"[]{},:\" \\1n".to_vec()), instead: bool, cut in 1_usize..40,
        ) {
            let mut text = serde_json::to_vec(&values).unwrap();
            let at = at.index(text.len());
            if instead { text[at] = put } else { text.insert(at, put) }
            let parsed: Option<Vec<Value>> = serde_json::from_slice(&text).ok();
            prop_assert_eq!(elements(&text, cut), parsed);
        }
    }

    #[test]
    fn what_is_around_the_array_is_named() {
        let fault = |text: &[u8]| {
            let mut splitter = Splitter::new();
            let fed = splitter.feed(text, &mut |_, _, _| Ok(()));
            fed.and_then(|()| splitter.finish())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            fault(b"[1, 2"),
            "byte 5: the array does not end (after element 1)"
        );
        assert_eq!(
            fault(b"[1] x"),
            "byte 4: more than an array (after element 1)"
        );
        assert_eq!(fault(b"x"), "byte 0: no array begins (after element 0)");
        assert_eq!(
            fault(b"[1}"),
            "byte 2: a bracket that nothing opened (after element 0)"
        );
        assert_eq!(elements(b"\xef\xbb\xbf [ ] ", 2), Some(vec![]));
    }
}
