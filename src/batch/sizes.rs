//! Which sequence lengths, batch sizes and pairs of them are tried.

/// Words that are no list of lengths or pairs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// Not `a:b,c:d`.
    #[error("`{0}` is not a pair like 2000:8")]
    Pair(String),
    /// Not a count.
    #[error("`{0}` is not a number of tokens above 0")]
    Length(String),
}

/// `s:b,s:b`.
pub fn parse_pairs(text: &str) -> Result<Vec<(u32, u32)>, PairError> {
    let pair = |text: &str| {
        let (left, right) = text.split_once(':')?;
        Some((left.trim().parse().ok()?, right.trim().parse().ok()?))
    };
    let words = text.split(',').filter(|word| !word.trim().is_empty());
    words
        .map(|word| pair(word).ok_or_else(|| PairError::Pair(word.trim().to_owned())))
        .collect()
}

/// `s,s,s`.
pub fn parse_lengths(text: &str) -> Result<Vec<u32>, PairError> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let length = word.parse().ok().filter(|&length: &u32| length > 0);
            length.ok_or_else(|| PairError::Length(word.to_owned()))
        })
        .collect()
}

/// `least`, twice that, and so on, up to `most`.
pub fn doubling(least: u32, most: u32) -> Vec<u32> {
    std::iter::successors(Some(least.max(1)), |length| length.checked_mul(2))
        .take_while(|&length| length <= most)
        .collect()
}

/// Batch sizes from `least` to `most`: each up to 8, then in steps that grow with them; `most` is always there.
pub fn batch_sizes(least: u32, most: u32) -> Vec<u32> {
    let all = std::iter::successors(Some((1_u32, 1_u32)), |&(size, step)| {
        let step = match size {
            ..8 => 1,
            32..128 => 16,
            size if size.is_power_of_two() => size / 2,
            _ => step,
        };
        Some((u32::checked_add(size, step)?, step))
    });
    let mut sizes: Vec<u32> = all
        .map(|(size, _)| size)
        .take_while(|&size| size < most)
        .filter(|&size| size >= least)
        .collect();
    sizes.push(most);
    sizes
}

/// Pairs of prompt tokens and cached tokens: lengths grow by 4 from `least`, each with none of it cached, and with 1/8, 3/8, 5/8
/// and 7/8; long ones also with 1/32 and 31/32.
pub fn prefill_pairs(least: u32, most: u32) -> Vec<(u32, u32)> {
    std::iter::successors(Some(least.max(1)), |length| length.checked_mul(4))
        .take_while(|&length| length <= most)
        .flat_map(|length| {
            let step = length / 8;
            let mut cached: Vec<u32> = [0, 1, 3, 5, 7].map(|part| part * step).into();
            if step >= 4_000 {
                cached.extend([step / 4, length - step / 4]);
            }
            cached.sort_unstable();
            cached.dedup();
            cached.into_iter().map(move |cached| (length, cached))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_in_growing_steps() {
        assert_eq!(
            batch_sizes(1, 128),
            [
                1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128
            ]
        );
        assert_eq!(batch_sizes(3, 10), [3, 4, 5, 6, 7, 8, 10]);
        assert_eq!(batch_sizes(1, 1), [1]);
        assert_eq!(batch_sizes(128, 512), [128, 192, 256, 384, 512]);
    }

    #[test]
    fn lengths_double_and_quadruple() {
        assert_eq!(doubling(1000, 5000), [1000, 2000, 4000]);
        assert_eq!(
            prefill_pairs(500, 2000),
            [
                (500, 0),
                (500, 62),
                (500, 186),
                (500, 310),
                (500, 434),
                (2000, 0),
                (2000, 250),
                (2000, 750),
                (2000, 1250),
                (2000, 1750),
            ]
        );
        let long: Vec<u32> = prefill_pairs(32_000, 32_000)
            .iter()
            .map(|pair| pair.1)
            .collect();
        assert_eq!(long, [0, 1_000, 4_000, 12_000, 20_000, 28_000, 31_000]);
    }

    #[test]
    fn lists_are_read_and_nonsense_is_named() {
        assert_eq!(
            parse_pairs("1000:8, 2000:1"),
            Ok(vec![(1000, 8), (2000, 1)])
        );
        assert_eq!(parse_pairs("1000"), Err(PairError::Pair("1000".to_owned())));
        assert_eq!(parse_lengths("5,6"), Ok(vec![5, 6]));
        assert_eq!(parse_lengths("5,0"), Err(PairError::Length("0".to_owned())));
    }
}
