//! What one request gets: its fault, lengths and times, all drawn from (seed, request number).
//! Pure: two servers with the same script treat request `k` alike.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardUniform};

use super::ask::Ask;
use super::fault::Fault;
use super::law::Delay;
use super::numerals;
use super::script::Script;

/// What a draw is for; each has a stream of its own, so that one more draw of one shifts no other.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Fault = 1,
    Length = 2,
    FirstToken = 3,
    Gaps = 4,
}

fn generator(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
}

impl Finish {
    /// OpenAI's and TGI's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// The plan of one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) fault: Option<Fault>,
    /// Tokens of each choice.
    pub(super) tokens: u32,
    /// How many of them are reasoning.
    pub(super) reasoning: u32,
    pub(super) finish: Finish,
    /// The number that is said in place of words.
    pub(super) says: Option<u32>,
    pub(super) prompt_tokens: u64,
    /// From the start to the first token, in ns.
    pub(super) first_token: u64,
}

impl Course {
    /// The plan for request `number`; `wanted` is a fault asked for by the request itself.
    pub(super) fn new(script: &Script, number: u64, ask: &Ask, wanted: Option<Fault>) -> Self {
        let fault = wanted.or_else(|| drawn_fault(script, number));
        let prompt_tokens = script.prompt_tokens(ask.prompt_words);
        let says = script.numeral(number, ask.numeral);
        let (tokens, finish) = length(script, number, ask, says, fault);
        Self {
            says,
            fault,
            tokens,
            reasoning: script.reasoning_tokens.min(tokens),
            finish,
            prompt_tokens,
            first_token: first_token(script, number, prompt_tokens),
        }
    }
}

fn drawn_fault(script: &Script, number: u64) -> Option<Fault> {
    if script.faults.is_empty() {
        return None;
    }
    let mut rng = generator(script.seed, Purpose::Fault, number);
    let mut left: f64 = StandardUniform.sample(&mut rng);
    for candidate in &script.faults {
        if left < candidate.share {
            return Some(candidate.fault);
        }
        left -= candidate.share;
    }
    None
}

fn length(
    script: &Script,
    number: u64,
    ask: &Ask,
    says: Option<u32>,
    fault: Option<Fault>,
) -> (u32, Finish) {
    if ask.items > 0 {
        return (0, Finish::Stop);
    }
    let limit = ask
        .max_tokens
        .unwrap_or(u32::MAX)
        .min(script.max_output_tokens);
    let spoken = says.map(|says| {
        script
            .reasoning_tokens
            .saturating_add(numerals::digits(says))
    });
    let natural = spoken.unwrap_or_else(|| match script.output_tokens {
        Some(_) if ask.ignore_eos && ask.max_tokens.is_some() => limit,
        Some(law) => law
            .draw(&mut generator(script.seed, Purpose::Length, number))
            .max(1),
        None => ask.max_tokens.unwrap_or(script.default_output_tokens),
    });
    let tokens = natural.max(ask.min_tokens).min(limit);
    match fault {
        Some(Fault::Empty) => (0, Finish::Stop),
        Some(Fault::Short(after)) if after < tokens => (after, Finish::Stop),
        _ if tokens == limit => (tokens, Finish::Length),
        _ => (tokens, Finish::Stop),
    }
}

fn first_token(script: &Script, number: u64, prompt_tokens: u64) -> u64 {
    let drawn = script.ttft.always().unwrap_or_else(|| {
        let mut rng = generator(script.seed, Purpose::FirstToken, number);
        script.ttft.draw(&mut rng)
    });
    let prefill = script
        .prefill_rate
        .map_or(0, |rate| prefill(prompt_tokens, rate));
    drawn.saturating_add(prefill)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "prompts are far below 2^53 tokens, the rate is above 0, and a float cast saturates"
)]
fn prefill(prompt_tokens: u64, rate: f64) -> u64 {
    (prompt_tokens as f64 / rate * 1e9) as u64
}

/// The gaps between the tokens of one answer, in order.
#[derive(Clone, Debug)]
pub(super) enum Gaps {
    Constant(u64),
    Drawn(Delay, Box<ChaCha8Rng>),
}

impl Gaps {
    pub(super) fn new(script: &Script, number: u64) -> Self {
        match script.inter_token.always() {
            Some(nanos) => Self::Constant(nanos),
            None => Self::Drawn(
                script.inter_token,
                Box::new(generator(script.seed, Purpose::Gaps, number)),
            ),
        }
    }

    /// The time that the next `tokens` tokens take, in ns.
    pub(super) fn span(&mut self, tokens: u32) -> u64 {
        match self {
            Self::Constant(nanos) => nanos.saturating_mul(u64::from(tokens)),
            Self::Drawn(law, rng) => {
                (0..tokens).fold(0_u64, |sum, _| sum.saturating_add(law.draw(rng)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(max_tokens: Option<u32>) -> Ask {
        let body = br#"{"messages":[{"content":"one two three"}]}"#;
        Ask {
            max_tokens,
            ..Ask::chat(body).unwrap()
        }
    }

    #[test]
    fn a_request_gets_the_same_in_every_run() {
        let script = Script {
            ttft: "exp(20ms)".parse().unwrap(),
            inter_token: "exp(5ms)".parse().unwrap(),
            output_tokens: Some("uniform(1,1000)".parse().unwrap()),
            faults: vec!["cut=0.3".parse().unwrap(), "hang=0.3".parse().unwrap()],
            ..Script::default()
        };
        let plan = |script: &Script, number| Course::new(script, number, &ask(None), None);
        let mut alike = 0;
        for number in 0..50 {
            assert_eq!(plan(&script, number), plan(&script, number));
            let other = Script {
                seed: 1,
                ..script.clone()
            };
            alike += u32::from(plan(&script, number) == plan(&other, number));
        }
        assert_eq!(alike, 0);
        let (mut a, mut b) = (Gaps::new(&script, 9), Gaps::new(&script, 9));
        let singly: u64 = (0..10).map(|_| a.span(1)).sum();
        assert_eq!(b.span(10), singly);
    }

    #[test]
    fn faults_come_in_their_shares() {
        let script = Script {
            faults: vec!["cut=0.1".parse().unwrap(), "hang=0.3".parse().unwrap()],
            ..Script::default()
        };
        let mut counts = [0_u32; 3];
        for number in 0..10_000 {
            let place = match drawn_fault(&script, number) {
                Some(Fault::Cut(_)) => 0,
                Some(Fault::Hang) => 1,
                _ => 2,
            };
            counts[place] += 1;
        }
        assert!(counts[0].abs_diff(1_000) < 120, "{counts:?}");
        assert!(counts[1].abs_diff(3_000) < 200, "{counts:?}");
    }

    #[test]
    fn an_answer_is_as_long_as_asked_unless_the_script_says_less() {
        let tokens = |script: &Script, ask: &Ask, fault| {
            let course = Course::new(script, 0, ask, fault);
            (course.tokens, course.finish)
        };
        let plain = Script::default();
        assert_eq!(tokens(&plain, &ask(None), None), (64, Finish::Stop));
        assert_eq!(tokens(&plain, &ask(Some(7)), None), (7, Finish::Length));
        assert_eq!(
            tokens(&plain, &ask(Some(7)), Some(Fault::Short(2))),
            (2, Finish::Stop)
        );
        assert_eq!(
            tokens(&plain, &ask(Some(7)), Some(Fault::Empty)),
            (0, Finish::Stop)
        );
        let five = Script {
            output_tokens: Some("5".parse().unwrap()),
            max_output_tokens: 100,
            ..Script::default()
        };
        assert_eq!(tokens(&five, &ask(Some(7)), None), (5, Finish::Stop));
        assert_eq!(tokens(&five, &ask(Some(3)), None), (3, Finish::Length));
        let at_least = |min_tokens| Ask {
            min_tokens,
            ..ask(Some(9))
        };
        assert_eq!(tokens(&five, &at_least(7), None), (7, Finish::Stop));
        assert_eq!(tokens(&five, &at_least(9), None), (9, Finish::Length));
        let forced = Ask {
            ignore_eos: true,
            ..ask(Some(700))
        };
        assert_eq!(tokens(&five, &forced, None), (100, Finish::Length));
    }

    #[test]
    fn a_prompt_delays_the_first_token_by_its_length() {
        let script = Script {
            prefill_rate: Some(1_000.0),
            prompt_overhead: 7,
            ..Script::default()
        };
        let course = Course::new(&script, 0, &ask(None), None);
        assert_eq!(course.prompt_tokens, 10);
        assert_eq!(course.first_token, 30_000_000);
    }
}
