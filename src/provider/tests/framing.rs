//! The framer against a slow reader of the same standard, and its limits.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

type Told = Vec<(Vec<u8>, Vec<u8>)>;

fn framed<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Result<Told, TooLong> {
    let mut told = Told::new();
    let mut framer = Framer::default();
    let mut keep = |event: Event<'_>| {
        told.push((event.name.to_vec(), event.data.to_vec()));
        Ok(())
    };
    for piece in pieces {
        framer.feed(piece, &mut keep)?;
    }
    framer.finish(&mut keep)?;
    Ok(told)
}

/// The standard, step by step, over the whole stream at once; a last event without its blank line counts.
fn reference(stream: &[u8]) -> Told {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().unwrap().push(other),
        }
    }
    lines.push(Vec::new());
    let (mut told, mut name, mut data) = (Told::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            if data.pop().is_some() {
                told.push((name.clone(), data.clone()));
            }
            name.clear();
            data.clear();
            continue;
        }
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let field = parts.next().unwrap();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    told
}

const SCRAPS: &[&str] = &[
    "\n",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "data",
    "data:",
    "data: ",
    "data:  ",
    "event: ",
    "event",
    "id: 1",
    "retry: 5",
    ":",
    ": ping",
    "é",
    "朝",
    "\u{feff}",
    "{\"a\":1}",
    "x",
    " ",
    "Data: ",
    "dat",
    "datax: ",
];

fn cut<'b>(stream: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_framer_reads_what_the_standard_says(
        scraps in vec(select(SCRAPS), 0..40),
        cuts in vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let stream = scraps.concat();
        let pieces = cut(stream.as_bytes(), &cuts);
        prop_assert_eq!(framed(pieces.into_iter()), Ok(reference(stream.as_bytes())));
    }
}

fn data_of(stream: &str) -> Vec<String> {
    let told = framed(std::iter::once(stream.as_bytes())).unwrap();
    told.into_iter()
        .map(|(_, data)| String::from_utf8(data).unwrap())
        .collect()
}

#[test]
fn fields_are_read_with_and_without_a_space() {
    assert_eq!(
        data_of("data:a\n\ndata: b\n\ndata:  c\n\ndata\n\n"),
        ["a", "b", " c", ""]
    );
    assert_eq!(data_of("data: a\ndata:b\n: no\ndata\n\n"), ["a\nb\n"]);
    assert_eq!(data_of("event: x\n\nid: 1\n\ndatum: 2\n\n"), [""; 0]);
}

#[test]
fn an_event_is_told_with_the_byte_that_completes_it() {
    for (stream, count) in [
        ("data: a\n", 0),
        ("data: a\n\n", 1),
        ("data: a\r\n\r", 1),
        ("data: a\r\r", 1),
    ] {
        let mut seen = 0;
        let mut framer = Framer::default();
        let fed = framer.feed(stream.as_bytes(), &mut |_| {
            seen += 1;
            Ok::<(), TooLong>(())
        });
        assert_eq!((fed, seen), (Ok(()), count), "{stream:?}");
    }
}

#[test]
fn an_event_inside_one_read_is_not_copied() {
    let stream = b"data: hello\n\ndata: world\n\n".to_vec();
    let inside = stream.as_ptr_range();
    let mut framer = Framer::default();
    framer
        .feed(&stream, &mut |event| {
            assert!(inside.contains(&event.data.as_ptr()));
            Ok::<(), TooLong>(())
        })
        .unwrap();
}

#[test]
fn an_event_without_end_is_refused_at_the_limit() {
    let piece = vec![b'a'; 1024 * 1024];
    let head = std::iter::once(&b"data: "[..]);
    let filled = |pieces| head.clone().chain(std::iter::repeat_n(&piece[..], pieces));
    assert_eq!(
        framed(filled(15)).map(|told| told[0].1.len()),
        Ok(15 * 1024 * 1024)
    );
    assert_eq!(framed(filled(16)), Err(TooLong));

    let mut line = b"data: ".to_vec();
    line.extend_from_slice(&piece);
    line.push(b'\n');
    assert_eq!(framed(std::iter::repeat_n(&line[..], 17)), Err(TooLong));
    assert_eq!(framed(std::iter::once(&line.repeat(17)[..])), Err(TooLong));
}
