//! `llmload completions` and `llmload man`: what shells and `man` want to know of the command line, made from the command line
//! itself. Neither knows an option by name.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgMatches, Args, FromArgMatches};
use clap_complete::Shell;
use clap_mangen::Man;

use super::console::Console;
use super::failure::{Failure, status};
use super::files::replace;

/// The names of the subcommands.
pub(super) const COMPLETIONS: &str = "completions";
pub(super) const MAN: &str = "man";

/// The subcommands.
pub(super) fn commands() -> [clap::Command; 2] {
    let completions = "Print a script by which a shell completes this program's options";
    let man = "Print the manual page of this program, or write one for each command";
    [
        CompletionsArgs::augment_args(clap::Command::new(COMPLETIONS)).about(completions),
        ManArgs::augment_args(clap::Command::new(MAN)).about(man),
    ]
}

/// Options of `completions`.
#[derive(Clone, Debug, Args)]
struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Options of `man`.
#[derive(Clone, Debug, Args)]
struct ManArgs {
    /// The command whose page is printed; absent: the program's own
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,
    /// Write all pages into this folder: llmload.1, llmload-run.1 ...
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// `llmload completions`, of the program whose command line is `cli`.
pub(super) fn completions(cli: &clap::Command, matches: &ArgMatches) -> Result<u8, Failure> {
    let args = CompletionsArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let mut script = Vec::new();
    let name = cli.get_name().to_owned();
    clap_complete::generate(args.shell, &mut cli.clone(), name, &mut script);
    Console::default().print(&String::from_utf8_lossy(&script));
    Ok(status::OK)
}

/// `llmload man`, of the program whose command line is `cli`.
pub(super) fn man(cli: &clap::Command, matches: &ArgMatches) -> Result<u8, Failure> {
    let args = ManArgs::from_arg_matches(matches).map_err(Failure::usage)?;
    let pages = pages(cli);
    if let Some(dir) = &args.dir {
        return write_pages(dir, &pages);
    }
    let wanted = args.command.as_deref();
    let page = pages.iter().find(|page| page.command.as_deref() == wanted);
    let page = page.ok_or_else(|| {
        let name = wanted.unwrap_or_default();
        Failure::usage(anyhow::anyhow!("there is no command `{name}`"))
            .hint("`llmload --help` lists all commands")
    })?;
    Console::default().print(&page.text()?);
    Ok(status::OK)
}

fn write_pages(dir: &Path, pages: &[Page]) -> Result<u8, Failure> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the folder `{}`", dir.display()))
        .map_err(Failure::failed)?;
    for page in pages {
        let path = dir.join(page.man.get_filename());
        replace(&path, &page.text()?)
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Failure::failed)?;
    }
    let written = format!("{} pages are in {}\n", pages.len(), dir.display());
    Console::default().print(&written);
    Ok(status::OK)
}

/// One manual page.
struct Page {
    /// `None` for the program itself.
    command: Option<String>,
    man: Man,
}

impl Page {
    fn text(&self) -> Result<String, Failure> {
        let mut text = Vec::new();
        self.man.render(&mut text).map_err(Failure::failed)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The page of the program and one for each of its commands.
fn pages(cli: &clap::Command) -> Vec<Page> {
    let mut cli = cli.clone();
    // Names, usage lines and inherited options are filled in by this alone.
    cli.build();
    let own = cli.get_subcommands().filter(|sub| !sub.is_hide_set());
    let mut pages = Vec::new();
    for sub in own.filter(|sub| sub.get_name() != "help") {
        let name = format!("{}-{}", cli.get_name(), sub.get_name());
        pages.push(Page {
            command: Some(sub.get_name().to_owned()),
            man: Man::new(sub.clone().name(name)),
        });
    }
    pages.push(Page {
        command: None,
        man: Man::new(cli),
    });
    pages
}
