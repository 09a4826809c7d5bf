//! A model's chat template, rendered the way inference servers do it.
//! It counts no tokens and reads no files.

use std::collections::BTreeMap;

use minijinja::{Environment, Error, ErrorKind, Value};

use crate::domain::Message;

const NAME: &str = "chat_template";

/// A compiled chat template with the special tokens that it may name.
#[derive(Debug)]
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token` and the like, as text.
    special: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// Compiles `source` with the settings that model authors write for: blocks trimmed, Python's string methods.
    pub(super) fn new(source: String, special: BTreeMap<String, String>) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_fixed);
        environment.add_template_owned(NAME, source)?;
        Ok(Self {
            environment,
            special,
        })
    }

    /// `messages` as the model reads them, up to the place where its answer begins.
    pub(super) fn render(&self, messages: &[Message]) -> Result<String, Error> {
        let special = self
            .special
            .iter()
            .map(|(name, token)| (name.as_str(), Value::from(token.as_str())));
        let turn = [
            ("messages", Value::from_serialize(messages)),
            ("add_generation_prompt", Value::from(true)),
        ];
        let context: BTreeMap<_, _> = special.chain(turn).collect();
        self.environment.get_template(NAME)?.render(context)
    }
}

/// Templates refuse conversations that they cannot express.
fn raise_exception(text: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, text))
}

/// Today, for templates that print it: any day will do, since only the number of tokens matters and a
/// date's digits do not change it.
fn strftime_fixed(format: &str) -> String {
    let parts = [
        ("%Y", "2024"),
        ("%y", "24"),
        ("%m", "07"),
        ("%d", "26"),
        ("%b", "Jul"),
        ("%B", "July"),
        ("%A", "Friday"),
        ("%a", "Fri"),
        ("%H", "12"),
        ("%M", "30"),
        ("%S", "45"),
    ];
    parts
        .iter()
        .fold(format.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    fn render(source: &str) -> Result<String, String> {
        let special = BTreeMap::from([("bos_token".to_owned(), "<s>".to_owned())]);
        let message = Message {
            role: Role::User,
            content: " Hello ".to_owned(),
        };
        ChatTemplate::new(source.to_owned(), special)
            .and_then(|template| template.render(&[message]))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_sees_messages_special_tokens_and_python_methods() {
        let source = "{{ bos_token }}{% for m in messages %}\n[{{ m['role'].upper() }}]\
                      {{ m.content.strip() }}{% endfor %}\n{% if add_generation_prompt %}go{% endif %}";
        assert_eq!(render(source).as_deref(), Ok("<s>[USER]Hellogo"));
    }

    #[test]
    fn a_template_may_print_a_date_or_refuse() {
        assert_eq!(
            render("{{ strftime_now('%d %b %Y') }}").as_deref(),
            Ok("26 Jul 2024")
        );
        let refusal = render("{{ raise_exception('no system role') }}").unwrap_err();
        assert!(refusal.contains("no system role"), "{refusal}");
    }
}
