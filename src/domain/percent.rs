//! What percent-encoding stands for (RFC 3986, 2.1). It encodes nothing: what must be escaped depends on the place.

/// `%41` is `A`; what is no such code stays. Bytes that are no UTF-8 become U+FFFD.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if let Some(byte) = after
            .first_chunk()
            .copied()
            .filter(|_| first == b'%')
            .and_then(code)
        {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Two digits and nothing else: no sign.
fn code(digits: [u8; 2]) -> Option<u8> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_two_digits_are_bytes_and_all_else_stays() {
        for (text, plain) in [
            ("a%20b", "a b"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%+4%-1% 7", "%+4%-1% 7"),
            ("%C3%a4%41", "äA"),
            ("%25%32%30", "%20"),
        ] {
            assert_eq!(percent_decoded(text), plain);
        }
    }
}
