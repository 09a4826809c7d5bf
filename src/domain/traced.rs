//! Which requests of a run are traced, and by what names: functions of (run, seed, index), the same whoever sends them. A server that
//! is told the name can say what became of the request on its side.

use rand::{Rng as _, RngExt as _};

use super::{Index, Seed};

/// The names of one traced request, as W3C's Trace Context has them. It is the root of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Of the trace.
    pub trace: [u8; 16],
    /// Of the client's span in it.
    pub span: [u8; 8],
}

impl Traced {
    /// Those of request `index`.
    pub fn of(run: u64, seed: Seed, index: Index) -> Self {
        let mut rng = Seed(seed.0 ^ run).stream("trace", index.key());
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        rng.fill_bytes(&mut trace);
        rng.fill_bytes(&mut span);
        // Names of zeros are none.
        trace[0] |= 1;
        span[0] |= 1;
        Self { trace, span }
    }

    /// Those of request `index`, if it is in the share `sample` (0 to 1) of all requests that are traced.
    pub fn sampled(run: u64, seed: Seed, index: Index, sample: f64) -> Option<Self> {
        let draw = || seed.stream("sample", index.key()).random::<f64>();
        (sample > 0.0 && draw() < sample).then(|| Self::of(run, seed, index))
    }

    /// The value of the header `traceparent` that tells a server of it.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", hex(&self.trace), hex(&self.span))
    }
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_run_and_index_and_repeat() {
        let of = |run, index| Traced::of(run, Seed(7), Index::Arrival(index));
        assert_eq!(of(1, 2), of(1, 2));
        assert_ne!(of(1, 2).trace, of(1, 3).trace);
        assert_ne!(of(1, 2).span, of(1, 3).span);
        assert_ne!(of(1, 2).trace, of(2, 2).trace);
    }

    #[test]
    fn a_share_is_sampled_whatever_the_run() {
        let sampled = |run, share| -> Vec<u64> {
            let is = |&i: &u64| Traced::sampled(run, Seed(7), Index::Arrival(i), share).is_some();
            (0..10_000).filter(is).collect()
        };
        let some = sampled(1, 0.01);
        assert!((60..140).contains(&some.len()), "{}", some.len());
        assert_eq!(some, sampled(2, 0.01));
        let more = sampled(1, 0.1);
        assert!(
            some.iter().all(|index| more.contains(index)),
            "a larger share has the smaller one in it"
        );
        assert_eq!((sampled(1, 0.0).len(), sampled(1, 1.0).len()), (0, 10_000));
    }

    #[test]
    fn the_header_has_the_standards_form() {
        let traced = Traced {
            trace: [0x0a; 16],
            span: [0xb0; 8],
        };
        let wanted = "00-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a-b0b0b0b0b0b0b0b0-01";
        assert_eq!(traced.traceparent(), wanted);
    }
}
