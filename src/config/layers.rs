//! Files and environment under the command line: which layer decides each setting, and the one
//! clap parse of the result. It looks at single values only through clap, and knows no meaning.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::catalogue::{self, Setting, Shape};
use super::error::{ConfigError, Fault};
use super::rules::{EXCLUSIVE, EXCLUSIVE_FLAGS, NEEDS};
use super::source::{Layer, Source};
use super::web::{self, Form};
use super::{Surroundings, conf, value};

/// The subcommands that share one settings file.
pub(super) const SHARING: [&str; 6] = ["run", "master", "worker", "ctl", "health", "doctor"];

/// Below this Jaro-Winkler similarity another key is no help.
const ALIKE: f64 = 0.75;

/// One setting as one layer has it.
struct Assignment {
    values: Vec<String>,
    place: Source,
}

/// Every setting of a subcommand after all layers.
pub(super) struct Merged {
    /// What clap made of them.
    pub matches: ArgMatches,
    /// The settings, in help order.
    pub settings: Vec<Setting>,
    sources: BTreeMap<String, Source>,
}

impl Merged {
    /// Where the value of setting `id` comes from.
    pub(super) fn source(&self, id: &str) -> Source {
        self.sources.get(id).cloned().unwrap_or(Source::Default)
    }

    /// Whether anybody said anything about setting `id`.
    pub(super) fn is_given(&self, id: &str) -> bool {
        self.sources.contains_key(id)
    }
}

/// Lays the layers of subcommand `name` over each other. `typed` is what clap found on the command
/// line, `words` what stands there after the subcommand's name.
pub(super) fn merge(
    cli: &clap::Command,
    name: &str,
    typed: &ArgMatches,
    words: &[OsString],
    around: &dyn Surroundings,
) -> Result<Merged, ConfigError> {
    let none = Form::new();
    merge_under(cli, name, typed, words, around, &none)
}

/// The same under a form, whose fields are stronger than the command line.
pub(super) fn merge_under(
    cli: &clap::Command,
    name: &str,
    typed: &ArgMatches,
    words: &[OsString],
    around: &dyn Surroundings,
    form: &Form,
) -> Result<Merged, ConfigError> {
    let Some(command) = cli.find_subcommand(name) else {
        return Err(Fault::new(format!("`{name}` takes no settings")).at(Source::CommandLine));
    };
    let settings = catalogue::settings(command);
    let mut assigned = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for setting in &settings {
        if is_typed(typed, setting) {
            sources.insert(setting.id.clone(), Source::CommandLine);
        }
    }
    let environment = environment(&settings, around)?;
    let mut layers = files(cli, &settings, typed, &environment, around)?;
    layers.push(environment);
    for (id, assignment) in layers.into_iter().flatten() {
        if sources.get(&id) != Some(&Source::CommandLine) {
            sources.insert(id.clone(), assignment.place.clone());
            assigned.insert(id, assignment);
        }
    }
    fill_in(&settings, form, &mut sources, &mut assigned)?;
    exclude(&settings, &mut sources, &mut assigned)?;
    need(&settings, &sources)?;
    let matches = if form.is_empty() {
        parse(command, &settings, &assigned, words)?
    } else {
        let stands = |setting: &&Setting| sources.get(&setting.id) == Some(&Source::CommandLine);
        let words = web::retyped(typed, settings.iter().filter(stands));
        parse(command, &settings, &assigned, &words)?
    };
    Ok(Merged {
        matches,
        settings,
        sources,
    })
}

fn is_typed(typed: &ArgMatches, setting: &Setting) -> bool {
    let given = |id: &str| typed.value_source(id) == Some(ValueSource::CommandLine);
    given(&setting.id) || (setting.has_negative && given(&setting.negative_id()))
}

/// Lays a form over everything else.
fn fill_in(
    settings: &[Setting],
    form: &Form,
    sources: &mut BTreeMap<String, Source>,
    assigned: &mut Assignments,
) -> Result<(), ConfigError> {
    for (name, value) in form {
        let setting = web::named(settings, name)?;
        let place = Source::Form(name.clone());
        let (id, value) = (setting.id.clone(), value.as_deref().map(str::trim));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            sources.remove(&id);
            assigned.remove(&id);
            continue;
        };
        let values = match setting.shape {
            Shape::Flag { .. } => switch(setting, value, true).map(|word| vec![word]),
            Shape::Value | Shape::List => Ok(vec![value.to_owned()]),
        };
        let values = values.map_err(|fault| fault.at(place.clone()))?;
        sources.insert(id.clone(), place.clone());
        assigned.insert(id, Assignment { values, place });
    }
    Ok(())
}

type Assignments = BTreeMap<String, Assignment>;

fn environment(
    settings: &[Setting],
    around: &dyn Surroundings,
) -> Result<Assignments, ConfigError> {
    let mut found = Assignments::new();
    for setting in settings {
        let set = |name: String| {
            Some((
                around.variable(&name).filter(|text| !text.is_empty())?,
                name,
            ))
        };
        let Some((text, variable)) = setting.variables().into_iter().find_map(set) else {
            continue;
        };
        let place = Source::Environment(variable);
        let values = match setting.shape {
            Shape::Flag { .. } => {
                vec![switch(setting, &text, true).map_err(|fault| fault.at(place.clone()))?]
            }
            Shape::Value => vec![text],
            Shape::List => text
                .lines()
                .map(str::to_owned)
                .filter(|line| !line.trim().is_empty())
                .collect(),
        };
        found.insert(setting.id.clone(), Assignment { values, place });
    }
    Ok(found)
}

/// The three files, weakest first; each is there or not but for the one named by `--config`.
fn files(
    cli: &clap::Command,
    settings: &[Setting],
    typed: &ArgMatches,
    environment: &Assignments,
    around: &dyn Surroundings,
) -> Result<Vec<Assignments>, ConfigError> {
    let home = around.variable("HOME").filter(|home| !home.is_empty());
    let home = home.map(|home| Path::new(&home).join(".locust.conf"));
    let from_environment = || environment.get("config")?.values.first().map(PathBuf::from);
    let named = typed
        .get_one::<PathBuf>("config")
        .cloned()
        .or_else(from_environment);
    let shown = named.as_ref().map(|path| path.display().to_string());
    let candidates = [
        (Layer::Home, home, "~/.locust.conf".to_owned()),
        (
            Layer::Here,
            Some(PathBuf::from("locust.conf")),
            "./locust.conf".to_owned(),
        ),
        (Layer::Named, named, shown.unwrap_or_default()),
    ];
    let mut layers = Vec::new();
    for (layer, path, name) in candidates {
        let Some(path) = path else { continue };
        match around.file(&path) {
            Ok(text) => layers.push(file(cli, settings, layer, &name, &text)?),
            Err(error) if layer != Layer::Named && error.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(ConfigError::Unreadable { name, cause }),
        }
    }
    Ok(layers)
}

fn file(
    cli: &clap::Command,
    settings: &[Setting],
    layer: Layer,
    name: &str,
    text: &str,
) -> Result<Assignments, ConfigError> {
    let at = |line| Source::File {
        layer,
        name: name.to_owned(),
        line,
    };
    let entries = conf::parse(text).map_err(|(line, fault)| fault.at(at(line)))?;
    let mut found = Assignments::new();
    for entry in entries {
        let place = at(entry.line);
        let key = conf::canonical(&entry.key);
        let named = |setting: &Setting| Some((setting.id.clone(), setting.is_named(&key)?));
        let Some((id, positive)) = settings
            .iter()
            .filter(|setting| setting.in_files())
            .find_map(named)
        else {
            known_elsewhere(cli, &key, &entry.key, place)?;
            continue;
        };
        let Some(setting) = settings.iter().find(|setting| setting.id == id) else {
            continue;
        };
        let values =
            values(setting, positive, entry.value).map_err(|fault| fault.at(place.clone()))?;
        match found.get_mut(&id) {
            Some(earlier) if setting.shape == Shape::List => earlier.values.extend(values),
            _ => {
                found.insert(id, Assignment { values, place });
            }
        }
    }
    Ok(found)
}

fn values(setting: &Setting, positive: bool, value: Option<String>) -> Result<Vec<String>, Fault> {
    match (setting.shape, value) {
        (Shape::Flag { .. }, value) => {
            switch(setting, value.as_deref().unwrap_or("true"), positive).map(|word| vec![word])
        }
        (_, None) => Err(Fault::new(format!("`{}` needs a value", setting.long))
            .hint(format!("write `{} = …`", setting.long))),
        (Shape::Value, Some(value)) => Ok(vec![value]),
        (Shape::List, Some(value)) => Ok(conf::list(&value).unwrap_or_else(|| vec![value])),
    }
}

/// `true` or `false` for a flag, turned round for its `no-` key.
fn switch(setting: &Setting, text: &str, positive: bool) -> Result<String, Fault> {
    let long = &setting.long;
    let on = value::boolean(text).ok_or_else(|| {
        Fault::new(format!("`{text}` is not a yes or no for `{long}`")).hint("write true or false")
    })? == positive;
    Ok(on.to_string())
}

/// A key of another subcommand is skipped, since all share the file; any other is an error.
fn known_elsewhere(
    cli: &clap::Command,
    key: &str,
    written: &str,
    place: Source,
) -> Result<(), ConfigError> {
    let all = SHARING
        .iter()
        .filter_map(|name| cli.find_subcommand(name))
        .flat_map(catalogue::settings);
    let (all, others): (Vec<Setting>, Vec<Setting>) = all.partition(Setting::in_files);
    if all.iter().any(|setting| setting.is_named(key).is_some()) {
        return Ok(());
    }
    if others.iter().any(|setting| setting.long == key) {
        let fault = Fault::new(format!("`{key}` cannot stand in a settings file"));
        return Err(fault.hint("give it on the command line").at(place));
    }
    let nearest = all
        .iter()
        .map(|setting| (strsim::jaro_winkler(key, &setting.long), &setting.long))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, long)| long.clone());
    Err(ConfigError::UnknownKey {
        place,
        key: written.to_owned(),
        nearest,
    })
}

fn long_of<'a>(settings: &'a [Setting], id: &'a str) -> &'a str {
    settings
        .iter()
        .find(|setting| setting.id == id)
        .map_or(id, |setting| &setting.long)
}

fn exclude(
    settings: &[Setting],
    sources: &mut BTreeMap<String, Source>,
    assigned: &mut Assignments,
) -> Result<(), ConfigError> {
    let off = |id: &str, assigned: &Assignments| {
        EXCLUSIVE_FLAGS.contains(&id)
            && assigned
                .get(id)
                .is_some_and(|assignment| assignment.values == ["false"])
    };
    for &(one, other) in EXCLUSIVE {
        let (Some(first), Some(second)) = (sources.get(one), sources.get(other)) else {
            continue;
        };
        if off(one, assigned) {
            continue;
        }
        if first.rank() == second.rank() {
            let (one, other) = (long_of(settings, one), long_of(settings, other));
            return Err(
                Fault::new(format!("--{one} and --{other} exclude each other"))
                    .hint("leave one of them out")
                    .at(second.clone()),
            );
        }
        let weaker = if first.rank() < second.rank() {
            one
        } else {
            other
        };
        sources.remove(weaker);
        assigned.remove(weaker);
    }
    Ok(())
}

fn need(settings: &[Setting], sources: &BTreeMap<String, Source>) -> Result<(), ConfigError> {
    for &(one, others) in NEEDS {
        let missing = others.iter().all(|other| !sources.contains_key(*other));
        let source = sources.get(one);
        let is_said = matches!(source, Some(Source::CommandLine | Source::Form(_)));
        if let Some(place) = source.filter(|_| is_said && missing) {
            let one = long_of(settings, one);
            let others: Vec<String> = others
                .iter()
                .map(|other| format!("--{}", long_of(settings, other)))
                .collect();
            let others = others.join(" or ");
            return Err(
                Fault::new(format!("--{one} means nothing without {others}"))
                    .hint(format!("give {others}, or leave --{one} out"))
                    .at(place.clone()),
            );
        }
    }
    Ok(())
}

/// Parses the weaker layers' words before those of the command line. Each assignment is tried
/// alone first, so that an error knows where it stands.
fn parse(
    command: &clap::Command,
    settings: &[Setting],
    assigned: &Assignments,
    words: &[OsString],
) -> Result<ArgMatches, ConfigError> {
    let mut line: Vec<OsString> = vec![command.get_name().into()];
    for setting in settings {
        let Some(assignment) = assigned.get(&setting.id) else {
            continue;
        };
        let options = options(setting, &assignment.values);
        let alone = line.iter().take(1).chain(&options);
        command
            .clone()
            .try_get_matches_from(alone)
            .map_err(|error| reworded(&error).at(assignment.place.clone()))?;
        line.extend(options);
    }
    line.extend_from_slice(words);
    Ok(command.clone().try_get_matches_from(line)?)
}

fn options(setting: &Setting, values: &[String]) -> Vec<OsString> {
    let option = |value: &String| match (setting.shape, value.as_str()) {
        (Shape::Flag { .. }, "true") => Some(format!("--{}", setting.long)),
        (Shape::Flag { .. }, _) => setting
            .has_negative
            .then(|| format!("--no-{}", setting.long)),
        _ => Some(format!("--{}={value}", setting.long)),
    };
    values
        .iter()
        .filter_map(option)
        .map(OsString::from)
        .collect()
}

/// clap's message without its frame; its tip becomes the hint.
fn reworded(error: &clap::Error) -> Fault {
    let text = error.render().to_string();
    let mut paragraphs = text
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let fault = Fault::new(first.strip_prefix("error: ").unwrap_or(&first));
    match paragraphs.find_map(|part| Some(part.strip_prefix("tip: ")?.to_owned())) {
        Some(tip) => fault.hint(tip),
        None => fault,
    }
}
