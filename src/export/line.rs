//! A line of a records file, read back as the record that it was written from.
//! What no line holds (when a request could first have been sent, by how much a clock was behind) stays unknown; no figure is made.

use serde::Deserialize;

use crate::domain::{
    FinishReason, HitRate, Index, Mark, Offset, Outcome, Record, ServerFigures, Turn, Usage,
};

/// Why bytes are no line of a records file.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// They end in the middle.
    #[error("cut off in the middle")]
    Cut,
    /// They are something else, or damaged.
    #[error("{0}")]
    Broken(serde_json::Error),
    /// The times of content events and their tokens are not of one length.
    #[error("`{times}` content events with the tokens of `{tokens}`")]
    Uneven {
        /// How many times there are.
        times: usize,
        /// How many counts of tokens.
        tokens: usize,
    },
}

/// The request that `line` tells of. Fields that are not known here are passed over.
///
/// Of the record, `ready` and `begun` are unknown, and stand as due and `None`; times are the run's, so that nothing is behind.
///
/// # Errors
///
/// When it is no line of a records file, or not a whole one.
pub fn read(line: &[u8]) -> Result<Record, LineError> {
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        if error.is_eof() {
            LineError::Cut
        } else {
            LineError::Broken(error)
        }
    })?;
    let (times, tokens) = (line.content_ns.len(), line.tokens.len());
    if times != tokens {
        return Err(LineError::Uneven { times, tokens });
    }
    Ok(line.record())
}

#[derive(Deserialize)]
struct Line {
    index: Index,
    outcome: Outcome,
    due_ns: u64,
    sent_ns: Option<u64>,
    headers_ns: Option<u64>,
    content_ns: Vec<u64>,
    tokens: Vec<u32>,
    first_visible_ns: Option<u64>,
    end_ns: u64,
    streamed: bool,
    status: Option<u16>,
    error: String,
    retry_after_s: Option<f64>,
    finish: Option<FinishReason>,
    usage: UsageFields,
    logprob_tokens: Option<u32>,
    tokenizer_tokens: Option<u32>,
    max_tokens: u32,
    requested_prompt_tokens: Option<u32>,
    counted_prompt_tokens: Option<u32>,
    output_chars: u64,
    body_bytes: u64,
    new_connection: bool,
    connect_ns: u64,
    choices: Option<u32>,
    vectors: Option<u32>,
    conversation: Option<Place>,
    server: Option<ServerFields>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names in the file")]
struct UsageFields {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    cached_tokens: Option<u32>,
    reasoning_tokens: Option<u32>,
}

/// Turns are counted from 1.
#[derive(Deserialize)]
struct Place {
    session: u64,
    turn: u32,
    of: u32,
}

#[derive(Deserialize)]
struct ServerFields {
    total_ns: Option<u64>,
    first_token_ns: Option<u64>,
    speculation: Vec<HitFields>,
}

#[derive(Deserialize)]
struct HitFields {
    position: u32,
    hits: u32,
    total: u32,
}

impl Line {
    fn record(self) -> Record {
        let at = Offset::from_nanos;
        let marks = self.content_ns.into_iter().zip(self.tokens);
        Record {
            index: self.index,
            due: at(self.due_ns),
            behind_ns: 0,
            ready: at(self.due_ns),
            begun: None,
            sent: self.sent_ns.map(at),
            headers: self.headers_ns.map(at),
            marks: marks
                .map(|(nanos, tokens)| Mark {
                    at: at(nanos),
                    tokens,
                })
                .collect(),
            first_visible: self.first_visible_ns.map(at),
            end: at(self.end_ns),
            streamed: self.streamed,
            outcome: self.outcome,
            error: self.error,
            status: self.status,
            server_code: None,
            retry_after_s: self.retry_after_s,
            choices: self.choices.unwrap_or(1),
            vectors: self.vectors.unwrap_or(0),
            server: self.server.map(|server| Box::new(server.figures())),
            turn: self.conversation.map(Place::turn),
            finish: self.finish,
            usage: self.usage.usage(),
            logprob_tokens: self.logprob_tokens,
            tokenizer_tokens: self.tokenizer_tokens,
            max_tokens: self.max_tokens,
            requested_prompt_tokens: self.requested_prompt_tokens,
            counted_prompt_tokens: self.counted_prompt_tokens,
            output_chars: self.output_chars,
            body_bytes: self.body_bytes,
            new_connection: self.new_connection,
            connect_ns: self.connect_ns,
        }
    }
}

impl UsageFields {
    const fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cached_tokens: self.cached_tokens,
            reasoning_tokens: self.reasoning_tokens,
        }
    }
}

impl Place {
    const fn turn(self) -> Turn {
        Turn {
            session: self.session,
            number: self.turn.saturating_sub(1),
            of: self.of,
        }
    }
}

impl ServerFields {
    fn figures(self) -> ServerFigures {
        let rates = self.speculation.into_iter().map(|rate| HitRate {
            position: rate.position,
            hits: rate.hits,
            total: rate.total,
        });
        ServerFigures {
            total_ns: self.total_ns,
            first_token_ns: self.first_token_ns,
            speculation: rates.collect(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::{record_line, sample};

    /// A record of few numbers, as a line can hold it.
    pub(in crate::export) fn any_record() -> impl Strategy<Value = Record> {
        let times = (0..1_u64 << 40, prop::option::of(0..1_u64 << 40));
        let marks = prop::collection::vec((0..1_u64 << 40, any::<u32>()), 0..6);
        let counts = (
            prop::option::of(any::<u32>()),
            prop::option::of(any::<u32>()),
        );
        let kind = (
            0..Outcome::ALL.len(),
            any::<bool>(),
            any::<String>(),
            any::<bool>(),
        );
        let rest = (
            any::<(u32, u32)>(),
            prop::option::of((any::<u64>(), 0..u32::MAX, any::<u32>())),
            prop::option::of((any::<u64>(), any::<u32>())),
        );
        (times, marks, counts, kind, rest).prop_map(
            |((due, sent), marks, (prompt, output), (outcome, open, error, streamed), rest)| {
                let ((user, turn), place, server) = rest;
                let at = Offset::from_nanos;
                let index = if open {
                    Index::Arrival(due)
                } else {
                    Index::Turn { user, turn }
                };
                Record {
                    index,
                    due: at(due),
                    ready: at(due),
                    begun: None,
                    behind_ns: 0,
                    sent: sent.map(at),
                    marks: marks
                        .into_iter()
                        .map(|(nanos, tokens)| Mark {
                            at: at(nanos),
                            tokens,
                        })
                        .collect(),
                    outcome: Outcome::ALL[outcome],
                    error,
                    streamed,
                    usage: Usage {
                        prompt_tokens: prompt,
                        completion_tokens: output,
                        ..Usage::default()
                    },
                    turn: place.map(|(session, number, of)| Turn {
                        session,
                        number,
                        of,
                    }),
                    server: server.map(|(nanos, hits)| {
                        Box::new(ServerFigures {
                            total_ns: Some(nanos),
                            first_token_ns: None,
                            speculation: vec![HitRate {
                                position: 1,
                                hits,
                                total: hits,
                            }],
                        })
                    }),
                    server_code: None,
                    ..sample::record(0)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_no_part_of_it_is_taken_for_all(record in any_record(), cut: prop::sample::Index) {
            let mut line = Vec::new();
            record_line::write(&record, &mut line).unwrap();
            line.pop();
            prop_assert_eq!(read(&line).unwrap(), record);
            let part = &line[..cut.index(line.len())];
            // A character may be cut too.
            prop_assert!(matches!(read(part), Err(LineError::Cut | LineError::Broken(_))));
        }
    }

    #[test]
    fn other_things_are_refused_by_what_they_are() {
        let words = |line: &str| read(line.as_bytes()).unwrap_err().to_string();
        assert_eq!(words("{\"index\""), "cut off in the middle");
        assert!(words("{\"a\": 1}").contains("missing field `index`"));
        let mut line = Vec::new();
        record_line::write(&sample::record(0), &mut line).unwrap();
        let text = String::from_utf8(line).unwrap();
        let short = text.replace("\"tokens\":[1,1,2]", "\"tokens\":[1,1]");
        assert_eq!(words(&short), "`3` content events with the tokens of `2`");
        let later = text.replacen('{', "{\"new_field\":[1],", 1);
        assert!(read(later.as_bytes()).is_ok());
    }
}
