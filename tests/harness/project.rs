//! Projects as `hive-host new` makes them, worked on by the commands of their own READMEs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::build::{target_folder, workspace};
use crate::host_process::{Finished, HostProcess};
use crate::keeper::scratch;
use crate::languages::toolchains;
use crate::shell::Shell;

/// A language that projects are made in.
#[derive(Debug, Clone, Copy)]
pub struct ProjectLanguage {
    /// As `hive-host new --lang` has it.
    pub lang: &'static str,
    /// The source with the greeting.
    pub handler: &'static str,
    /// A change of the handler to one that uses the library of the README, each text with its replacement; of C,
    /// which has none, to one that greets otherwise.
    pub change: &'static [(&'static str, &'static str)],
    /// What comes of the change.
    pub greeting: &'static str,
}

/// Of a project of each language.
pub const PROJECT_LANGUAGES: [ProjectLanguage; 6] = [
    ProjectLanguage {
        lang: "rust",
        handler: "src/lib.rs",
        change: &[
            (
                "use hive_guest::{",
                "use heck::ToTitleCase;\nuse hive_guest::{",
            ),
            (
                "\"hello {}\", ",
                "\"{} {}\", \"warm welcome\".to_title_case(), ",
            ),
        ],
        greeting: "Warm Welcome Ada",
    },
    ProjectLanguage {
        lang: "js",
        handler: "src/greet.js",
        change: OF_JAVASCRIPT,
        greeting: "Monday welcome Ada",
    },
    ProjectLanguage {
        lang: "ts",
        handler: "src/greet.ts",
        change: OF_JAVASCRIPT,
        greeting: "Monday welcome Ada",
    },
    ProjectLanguage {
        lang: "python",
        handler: "src/greet.py",
        change: &[
            ("from hive import", "import humanize\nfrom hive import"),
            ("hello ", "{humanize.ordinal(1)} welcome "),
        ],
        greeting: "1st welcome Ada",
    },
    ProjectLanguage {
        lang: "c",
        handler: "consumer.c",
        change: &[("hello ", "welcome ")],
        greeting: "welcome Ada",
    },
    ProjectLanguage {
        lang: "go",
        handler: "main.go",
        change: &[
            (
                "import hive \"hive-guest\"",
                "import (\n\thive \"hive-guest\"\n\n\t\"golang.org/x/text/unicode/norm\"\n)",
            ),
            ("\"hello \"", "norm.NFKC.String(\"①\") + \" welcome \""),
        ],
        greeting: "1 welcome Ada",
    },
];

const OF_JAVASCRIPT: &[(&str, &str)] = &[
    (
        "import { Reject, toQueue }",
        "import dayjs from 'dayjs';\nimport { Reject, toQueue }",
    ),
    ("hello ", "${dayjs('2026-01-05').format('dddd')} welcome "),
];

impl ProjectLanguage {
    /// The language of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(lang: &str) -> Self {
        let found = PROJECT_LANGUAGES.into_iter().find(|one| one.lang == lang);
        found.unwrap_or_else(|| panic!("no project is made in {lang}"))
    }
}

/// What `hive-host new` made.
#[derive(Debug)]
pub struct Project {
    /// Of the folder, the consumer and the queues.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// What the command printed.
    pub told: String,
    language: ProjectLanguage,
    shell: Shell,
}

impl Project {
    /// Makes one. Its commands run with the tools of `.toolchains`.
    pub async fn make(language: ProjectLanguage, name: &str) -> Result<Self> {
        let home = scratch("new");
        let command = format!("hive-host new {name} --lang {}", language.lang);
        let made = succeeded(Shell::within(&home).run(&command).await?)?;
        let folder = home.join(name);
        if language.lang == "rust" {
            // Whatever else is on the registry by now, these versions are on the machine.
            fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        }
        Ok(Self {
            name: name.to_owned(),
            shell: Shell::within(&folder).with_toolchains(),
            folder,
            told: made.stdout,
            language,
        })
    }

    /// The project, whose commands have one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.shell = self.shell.with(name, value);
        self
    }

    /// Puts what its set-up would fetch and build in its place: it is on the machine already.
    pub async fn set_up(&self) -> Result<()> {
        let link = |from: &Path, name| std::os::unix::fs::symlink(from, self.folder.join(name));
        match self.language.lang {
            "rust" => link(&target_folder(), "target")?,
            "python" | "c" => link(&toolchains().join("python"), ".venv")?,
            "js" | "ts" => {
                let modules = toolchains().join("javascript/node_modules");
                let modules = modules.display();
                // Links of files take a moment and no space, and npm changes no file in place but its own list.
                self.does(&format!(
                    "cp -al {modules} node_modules || {{ rm -rf node_modules; cp -a {modules} node_modules; }}\n\
                     rm -f node_modules/.package-lock.json"
                ))
                .await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The commands of its README, block by block.
    pub fn readme(&self) -> Result<Readme> {
        let text = fs::read_to_string(self.folder.join("README.md"))?;
        let blocks = text.split("```sh\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
        let mut blocks = blocks.collect::<Vec<_>>().into_iter();
        let mut next = || blocks.next().context("the README has fewer commands");
        Ok(Readme {
            set_up: next()?,
            build: next()?,
            run: next()?,
            send: next()?,
            change: next()?,
            library: blocks.next().unwrap_or_default(),
        })
    }

    /// Runs commands to their end.
    pub async fn run(&self, commands: &str) -> Result<Finished> {
        self.shell.run(commands).await
    }

    /// Runs commands, which must succeed.
    pub async fn does(&self, commands: &str) -> Result<Finished> {
        succeeded(self.run(commands).await?).with_context(|| commands.to_owned())
    }

    /// Starts `hive-host dev` with these arguments, and a broker in memory.
    pub fn dev(&self, arguments: &[&str]) -> Result<HostProcess> {
        let dev = ["dev", "hive.toml", "--port", "0"];
        self.shell.host(&[&dev, arguments].concat())
    }

    /// Replaces a text that a file has once.
    pub fn change(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(from).count() == 1, "{file} has {from:?} once");
        Ok(fs::write(&path, text.replace(from, to))?)
    }

    /// Changes its handler to one that uses the library.
    pub fn use_library(&self) -> Result<()> {
        for (from, to) in self.language.change {
            self.change(self.language.handler, from, to)?;
        }
        Ok(())
    }
}

/// The commands of a project's README.
#[derive(Debug)]
pub struct Readme {
    /// Fetches the tools, once.
    pub set_up: String,
    /// Tests, builds, and tries it.
    pub build: String,
    /// Runs it.
    pub run: String,
    /// Sends it a message, and looks at the result.
    pub send: String,
    /// Builds and swaps.
    pub change: String,
    /// Adds a library; empty where there is none to add.
    pub library: String,
}

impl Readme {
    /// The command that builds the component.
    pub fn build_command(&self) -> &str {
        self.change.lines().next().unwrap_or_default()
    }

    /// The commands that test it before it is built.
    pub fn tests(&self) -> String {
        let lines = self.build.lines();
        let tests = lines.take_while(|line| *line != self.build_command());
        tests.map(|line| format!("{line}\n")).collect()
    }

    /// The command that tries it on a message.
    pub fn invoke(&self) -> Result<&str> {
        let mut lines = self.build.lines();
        let found = lines.find(|line| line.starts_with("hive-host invoke "));
        found.context("the README tries it on a message")
    }
}

fn succeeded(finished: Finished) -> Result<Finished> {
    let Finished { stdout, stderr, .. } = &finished;
    ensure!(finished.code == Some(0), "it failed:\n{stdout}\n{stderr}");
    Ok(finished)
}
