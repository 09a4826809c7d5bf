//! Which kind of API the prompts are for. It knows no server and no address.

/// What a request asks of a model, as far as its content depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The next message of a conversation: the server's chat template has tokens of its own.
    Chat,
    /// The continuation of a text.
    Completion,
    /// Vectors of a batch of texts.
    Embeddings,
    /// An order of documents.
    Rerank,
}

impl Api {
    /// Whether the answer is text.
    pub(super) const fn generates(self) -> bool {
        matches!(self, Self::Chat | Self::Completion)
    }
}
