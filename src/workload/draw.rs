//! What one prompt is drawn by, and who makes a prompt of it.
//! It holds no text.

use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::Seed;

/// Makes prompts of one length; nothing is tokenized.
pub(super) trait Compose: fmt::Debug + Send + Sync {
    /// The prompt that `draw` draws, with `correction` tokens more to fill: what a tokenizer that does not add up needs.
    fn compose_off(&self, correction: i64, draw: Draw) -> String;

    /// The prompt that `draw` draws.
    fn compose(&self, draw: Draw) -> String {
        self.compose_off(0, draw)
    }
}

/// The draws of one prompt: each part of it has a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    seed: Seed,
    name: &'static str,
    key: u64,
}

impl Draw {
    /// Of the prompt of a request's key.
    pub(super) const fn prompt(seed: Seed, key: u64) -> Self {
        Self {
            seed,
            name: "prompt",
            key,
        }
    }

    /// Of a candidate for a pool of prompts.
    pub(super) const fn pool(seed: Seed, key: u64) -> Self {
        Self {
            seed,
            name: "pool",
            key,
        }
    }

    /// Of a made-up document.
    pub(super) const fn document(seed: Seed, key: u64) -> Self {
        Self {
            seed,
            name: "document",
            key,
        }
    }

    /// What the prompt itself is drawn from.
    pub(super) fn rng(self) -> ChaCha8Rng {
        self.seed.stream(self.name, self.key)
    }

    /// What stands even before a common prefix is drawn from this.
    pub(super) fn ahead(self) -> ChaCha8Rng {
        self.seed.stream("randomize", self.key)
    }

    /// Which of `groups` common prefixes the prompt has.
    pub(super) fn group(self, groups: usize) -> usize {
        if groups < 2 {
            return 0;
        }
        self.seed
            .stream("prefix-group", self.key)
            .random_range(0..groups)
    }
}
