//! What runs on a machine of the double: its Chrome and its screensaver. Nothing of it is a process.

use super::files::Files;

/// Where the image's own Chrome has its profile.
const PROFILE: &str = "/tmp/chrome-cdp-profile";

/// The kernel keeps so many characters of a name.
const NAME: usize = 15;

/// How many commands are remembered.
const MAX_RAN: usize = 1000;

/// How a browser is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) enum Chrome {
    /// There is none.
    #[default]
    Absent,
    /// It answers.
    Up,
    /// It is there and does not answer, as one does that woke from a snapshot.
    Hanging,
}

/// By what processes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum By {
    /// A part of the name.
    Name,
    /// All of the name.
    WholeName,
    /// A part of the command line.
    Line,
}

impl By {
    /// Whether a pattern finds a process. Of patterns only alternatives and classes of one character are known.
    pub(in super::super) fn fits(self, pattern: &str, name: &str, line: &str) -> bool {
        let name: String = name.chars().take(NAME).collect();
        pattern.split('|').map(plain).any(|wish| match self {
            Self::Name => name.contains(&wish),
            Self::WholeName => name == wish,
            Self::Line => line.contains(&wish),
        })
    }
}

/// `[c]hrome` finds `chrome`.
fn plain(pattern: &str) -> String {
    let characters: Vec<char> = pattern.chars().collect();
    let mut text = String::new();
    let mut at = 0;
    while at < characters.len() {
        if let ['[', one, ']', ..] = characters[at..] {
            text.push(one);
            at += 3;
        } else {
            text.push(characters[at]);
            at += 1;
        }
    }
    text
}

#[derive(Debug, Clone)]
pub(in super::super) struct Processes {
    chrome: Chrome,
    has_screensaver: bool,
    ran: Vec<String>,
}

impl Default for Processes {
    fn default() -> Self {
        Self::with(Chrome::Absent)
    }
}

impl Processes {
    pub(in super::super) fn with(chrome: Chrome) -> Self {
        Self { chrome, has_screensaver: true, ran: Vec::new() }
    }

    /// Whether a program is a browser.
    pub(in super::super) fn is_chrome(program: &str) -> bool {
        let name = program.rsplit('/').next().unwrap_or_default();
        matches!(name, "google-chrome" | "google-chrome-stable" | "chromium" | "chromium-browser")
    }

    /// A browser that is up, or was when the machine went to sleep, has its profile locked.
    pub(super) fn leave_files(&self, files: &mut Files) {
        if self.has_chrome() {
            // The files are in memory, where everything can be made.
            let _ = files.make_folder(PROFILE);
            let _ = files.write(&format!("{PROFILE}/SingletonLock"), Vec::new());
        }
    }

    /// Remembers a command that was run.
    pub(in super::super) fn note(&mut self, name: &str, arguments: &[String]) {
        if self.ran.len() < MAX_RAN {
            let words = std::iter::once(name).chain(arguments.iter().map(String::as_str));
            self.ran.push(words.collect::<Vec<_>>().join(" "));
        }
    }

    pub(in super::super) fn ran(&self) -> &[String] {
        &self.ran
    }

    pub(in super::super) fn has_chrome(&self) -> bool {
        self.chrome != Chrome::Absent
    }

    pub(in super::super) fn chrome_answers(&self) -> bool {
        self.chrome == Chrome::Up
    }

    pub(in super::super) fn has_screensaver(&self) -> bool {
        self.has_screensaver
    }

    pub(in super::super) fn start_chrome(&mut self, answers: bool) {
        self.chrome = if answers { Chrome::Up } else { Chrome::Hanging };
    }

    /// The processes that a pattern finds, by their names.
    pub(in super::super) fn find(&self, pattern: &str, by: By) -> Vec<&'static str> {
        let chrome = ("chrome", "/opt/google/chrome/chrome --remote-debugging-port=9225");
        let saver = ("xfce4-screensaver", "xfce4-screensaver");
        [(self.has_chrome(), chrome), (self.has_screensaver, saver)]
            .into_iter()
            .filter(|(is_there, (name, line))| *is_there && by.fits(pattern, name, line))
            .map(|(_, (name, _))| name)
            .collect()
    }

    /// Ends the processes that a pattern finds, and says how many.
    pub(in super::super) fn end(&mut self, pattern: &str, by: By) -> usize {
        let found = self.find(pattern, by);
        for name in &found {
            match *name {
                "chrome" => self.chrome = Chrome::Absent,
                _ => self.has_screensaver = false,
            }
        }
        found.len()
    }
}
