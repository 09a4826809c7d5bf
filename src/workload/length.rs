//! How many output tokens each request asks for: a draw from (seed, index), total at run time.
//! It checks the settings once, before the run; it knows nothing about prompts.

use std::fmt::Write as _;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Normal};

use super::{LengthLaw, LengthSpec};
use crate::domain::{Index, Seed};

/// Draws until a length is accepted; more are a sign that the cap excludes nearly everything.
const MOST_DRAWS: u32 = 1_000;
/// Requests that are tried before the run.
const PROBES: u64 = 256;

/// Settings that give no output lengths.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LengthError {
    /// A constant length over the cap.
    #[error("the output length `{mean}` is over its cap `{cap}`")]
    OverCap {
        /// The constant.
        mean: u32,
        /// The cap.
        cap: u32,
    },
    /// The relative width is not a number from 0 up.
    #[error("the output length range `{0}` is not a number from 0 up")]
    Range(f64),
    /// Draws are (nearly) never between 1 and the cap.
    #[error("no output length from 1 to the cap in {MOST_DRAWS} draws of `{0}`")]
    NeverAccepted(String),
}

impl LengthError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::OverCap { .. } => "raise --max-tokens-cap or lower --max-tokens",
            Self::Range(_) => "--max-tokens-range 0.3 is 30 % of the mean",
            Self::NeverAccepted(_) => "raise --max-tokens-cap, or bring --max-tokens closer to it",
        }
    }
}

impl LengthSpec {
    /// The settings as a summary shows them: `128`, `uniform(128 +/- 38)`, `normal(128, 38) capped at 200`.
    pub fn describe(&self) -> String {
        let (mean, width) = (self.mean, self.width());
        let mut text = match self.law {
            LengthLaw::Constant => mean.to_string(),
            LengthLaw::Uniform => format!("uniform({mean} +/- {width})"),
            LengthLaw::Exponential => format!("exponential({mean})"),
            LengthLaw::Normal => format!("normal({mean}, {width})"),
        };
        if self.jitter > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, " with jitter +/- {}", self.jitter);
        }
        if let Some(cap) = self.cap {
            let _ = write!(text, " capped at {cap}");
        }
        text
    }

    /// The most tokens that a request can be drawn; `None` where only chance limits them.
    pub fn most(&self) -> Option<u32> {
        let width = match self.law {
            LengthLaw::Constant => 0,
            LengthLaw::Uniform => u32::try_from(self.width()).unwrap_or(u32::MAX),
            LengthLaw::Exponential | LengthLaw::Normal => return self.cap,
        };
        let most = self.mean.saturating_add(width).saturating_add(self.jitter);
        Some(self.cap.map_or(most, |cap| most.min(cap)))
    }

    /// trunc(range · mean).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and a width that large accepts nothing anyway"
    )]
    fn width(&self) -> i64 {
        (self.range * f64::from(self.mean)) as i64
    }
}

/// Gives every request its output length.
#[derive(Clone, Debug)]
pub(super) struct Lengths {
    spec: LengthSpec,
    seed: Seed,
    law: Sampler,
}

#[derive(Clone, Debug)]
enum Sampler {
    Constant,
    Uniform { low: i64, high: i64 },
    Exponential(Exp<f64>),
    Normal(Normal<f64>),
}

impl Lengths {
    /// Checks `spec` and tries it on some requests.
    pub(super) fn new(spec: LengthSpec, seed: Seed) -> Result<Self, LengthError> {
        if !(spec.range.is_finite() && spec.range >= 0.0) {
            return Err(LengthError::Range(spec.range));
        }
        let lengths = Self {
            law: sampler(&spec)?,
            spec,
            seed,
        };
        if let (Some(value), Some(cap)) = (lengths.fixed(), spec.cap)
            && value > cap
        {
            return Err(LengthError::OverCap { mean: value, cap });
        }
        if (0..PROBES).all(|key| lengths.draw(key).is_some()) {
            Ok(lengths)
        } else {
            Err(LengthError::NeverAccepted(spec.describe()))
        }
    }

    /// The length of request `index`. Where draws are never accepted (practically excluded by `new`), the
    /// mean, cut to 1 and the cap.
    pub(super) fn at(&self, index: Index) -> u32 {
        let most = self.spec.cap.unwrap_or(u32::MAX).max(1);
        self.draw(index.key())
            .unwrap_or_else(|| self.spec.mean.clamp(1, most))
    }

    /// The one length there is: constant without jitter. It alone may be 0.
    const fn fixed(&self) -> Option<u32> {
        match (&self.law, self.spec.jitter) {
            (Sampler::Constant, 0) => Some(self.spec.mean),
            _ => None,
        }
    }

    fn draw(&self, key: u64) -> Option<u32> {
        if let Some(value) = self.fixed() {
            return Some(value);
        }
        let mut rng = self.seed.stream("output-length", key);
        let most = i64::from(self.spec.cap.unwrap_or(u32::MAX));
        (0..MOST_DRAWS)
            .map(|_| self.draw_once(&mut rng))
            .find(|length| (1..=most).contains(length))
            .and_then(|length| u32::try_from(length).ok())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and what is out of range is drawn again"
    )]
    fn draw_once(&self, rng: &mut ChaCha8Rng) -> i64 {
        let length = match &self.law {
            Sampler::Constant => i64::from(self.spec.mean),
            Sampler::Uniform { low, high } => rng.random_range(*low..=*high),
            Sampler::Exponential(law) => law.sample(rng).round() as i64,
            Sampler::Normal(law) => law.sample(rng).round() as i64,
        };
        let jitter = i64::from(self.spec.jitter);
        match jitter {
            0 => length,
            _ => length.saturating_add(rng.random_range(-jitter..=jitter)),
        }
    }
}

fn sampler(spec: &LengthSpec) -> Result<Sampler, LengthError> {
    let mean = f64::from(spec.mean);
    let never = || LengthError::NeverAccepted(spec.describe());
    Ok(match spec.law {
        LengthLaw::Constant => Sampler::Constant,
        LengthLaw::Uniform => Sampler::Uniform {
            low: i64::from(spec.mean).saturating_sub(spec.width()),
            high: i64::from(spec.mean).saturating_add(spec.width()),
        },
        // A mean of 0 would be a rate of infinity, which only ever draws 0.
        LengthLaw::Exponential if spec.mean == 0 => return Err(never()),
        LengthLaw::Exponential => Sampler::Exponential(Exp::new(1.0 / mean).map_err(|_| never())?),
        LengthLaw::Normal => {
            Sampler::Normal(Normal::new(mean, spec.range * mean).map_err(|_| never())?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: LengthSpec = LengthSpec {
        mean: 128,
        law: LengthLaw::Constant,
        range: 0.3,
        cap: None,
        jitter: 0,
    };

    fn draws(spec: LengthSpec, count: u64) -> Vec<u32> {
        let lengths = Lengths::new(spec, Seed(7)).unwrap();
        (0..count).map(|i| lengths.at(Index::Arrival(i))).collect()
    }

    fn count(values: &[u32]) -> f64 {
        f64::from(u32::try_from(values.len()).unwrap())
    }

    fn mean(values: &[u32]) -> f64 {
        values.iter().copied().map(f64::from).sum::<f64>() / count(values)
    }

    fn deviation(values: &[u32]) -> f64 {
        let mean = mean(values);
        let squares: f64 = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        (squares / count(values)).sqrt()
    }

    fn with(law: LengthLaw) -> LengthSpec {
        LengthSpec { law, ..BASE }
    }

    #[test]
    fn settings_read_as_in_the_summary() {
        let text = |spec: LengthSpec| spec.describe();
        assert_eq!(text(BASE), "128");
        assert_eq!(text(with(LengthLaw::Uniform)), "uniform(128 +/- 38)");
        assert_eq!(text(with(LengthLaw::Exponential)), "exponential(128)");
        let normal = with(LengthLaw::Normal);
        assert_eq!(
            text(LengthSpec {
                cap: Some(200),
                ..normal
            }),
            "normal(128, 38) capped at 200"
        );
        assert_eq!(
            text(LengthSpec { jitter: 9, ..BASE }),
            "128 with jitter +/- 9"
        );
    }

    #[test]
    fn uniform_lengths_fill_mean_plus_minus_the_truncated_width() {
        let values = draws(with(LengthLaw::Uniform), 20_000);
        assert_eq!(values.iter().min(), Some(&90));
        assert_eq!(values.iter().max(), Some(&166));
        assert!((mean(&values) - 128.0).abs() < 0.6, "{}", mean(&values));
        // (n² - 1) / 12 with n = 77.
        assert!((deviation(&values) - 22.23).abs() < 0.3);
    }

    #[test]
    fn normal_lengths_have_the_asked_mean_and_deviation() {
        let values = draws(with(LengthLaw::Normal), 20_000);
        assert!((mean(&values) - 128.0).abs() < 1.0, "{}", mean(&values));
        assert!((deviation(&values) - 38.4).abs() < 0.8);
    }

    #[test]
    fn exponential_lengths_have_the_asked_mean_and_deviation() {
        let values = draws(with(LengthLaw::Exponential), 40_000);
        assert!((mean(&values) - 128.5).abs() < 2.0, "{}", mean(&values));
        assert!((deviation(&values) - 128.0).abs() < 3.0);
    }

    #[test]
    fn jitter_is_uniform_on_top_of_the_law() {
        let values = draws(LengthSpec { jitter: 5, ..BASE }, 5_000);
        assert_eq!(values.iter().min(), Some(&123));
        assert_eq!(values.iter().max(), Some(&133));
        assert!((mean(&values) - 128.0).abs() < 0.2);
    }

    #[test]
    fn a_cap_truncates_and_does_not_pile_up() {
        let spec = LengthSpec {
            cap: Some(130),
            ..with(LengthLaw::Normal)
        };
        let values = draws(spec, 5_000);
        assert!(values.iter().all(|v| (1..=130).contains(v)));
        let at_cap = values.iter().filter(|v| **v == 130).count();
        assert!(at_cap < 200, "{at_cap} of 5,000 at the cap");
    }

    #[test]
    fn no_draw_is_longer_than_the_most() {
        let most = |spec: LengthSpec| (spec.most(), draws(spec, 5_000).into_iter().max());
        let jittered = LengthSpec { jitter: 5, ..BASE };
        let capped = LengthSpec {
            cap: Some(130),
            ..with(LengthLaw::Uniform)
        };
        assert_eq!(most(BASE), (Some(128), Some(128)));
        assert_eq!(most(jittered), (Some(133), Some(133)));
        assert_eq!(most(with(LengthLaw::Uniform)), (Some(166), Some(166)));
        assert_eq!(most(capped), (Some(130), Some(130)));
        assert_eq!(with(LengthLaw::Exponential).most(), None);
        assert_eq!(with(LengthLaw::Normal).most(), None);
    }

    #[test]
    fn no_output_can_be_asked_for() {
        assert_eq!(draws(LengthSpec { mean: 0, ..BASE }, 3), [0, 0, 0]);
        let never = LengthSpec {
            mean: 0,
            ..with(LengthLaw::Exponential)
        };
        assert!(Lengths::new(never, Seed(1)).is_err());
    }

    #[test]
    fn settings_that_give_no_length_are_refused_before_the_run() {
        let error = |spec| Lengths::new(spec, Seed(1)).unwrap_err().to_string();
        assert_eq!(
            error(LengthSpec {
                cap: Some(100),
                ..BASE
            }),
            "the output length `128` is over its cap `100`"
        );
        assert_eq!(
            error(LengthSpec {
                cap: Some(20),
                ..with(LengthLaw::Uniform)
            }),
            "no output length from 1 to the cap in 1000 draws of `uniform(128 +/- 38) capped at 20`"
        );
        assert_eq!(
            error(LengthSpec {
                range: -1.0,
                ..BASE
            }),
            "the output length range `-1` is not a number from 0 up"
        );
    }

    proptest! {
        #[test]
        fn a_length_is_a_function_of_seed_and_index(seed: u64, i: u64, mean in 1_u32..5_000) {
            for law in [LengthLaw::Uniform, LengthLaw::Normal, LengthLaw::Exponential] {
                let spec = LengthSpec { mean, ..with(law) };
                let at = || Lengths::new(spec, Seed(seed)).unwrap().at(Index::Arrival(i));
                prop_assert_eq!(at(), at());
                prop_assert!(at() >= 1);
            }
        }
    }
}
