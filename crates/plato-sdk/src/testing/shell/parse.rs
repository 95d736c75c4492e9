//! From a line to what is to be run: words, pipes, redirects, conditions and groups.

/// A part of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    /// A variable, with what stands for it when it is empty; whether it is split at spaces.
    Variable {
        name: String,
        default: Option<String>,
        split: bool,
    },
    /// What a command writes; whether it is split at spaces.
    Output {
        line: String,
        split: bool,
    },
}

pub(super) type Word = Vec<Part>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Redirect {
    /// Into a file: which stream, and whether it is appended.
    To {
        stream: u8,
        append: bool,
        file: Word,
    },
    From(Word),
    /// Complaints go where output goes.
    Merge,
    /// Output goes where complaints go.
    Complain,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
    /// A list in parentheses or braces in the place of words; whether it has a shell of its own.
    pub(super) group: Option<(Vec<Step>, bool)>,
    /// A loop in the place of words.
    pub(super) each: Option<Loop>,
}

/// `for NAME in WORDS; do STEPS; done`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    pub(super) name: String,
    pub(super) words: Vec<Word>,
    pub(super) steps: Vec<Step>,
}

/// What ends a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    End,
    Closing(char),
    Done,
}

/// When a pipeline runs, by what came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    AfterSuccess,
    AfterFailure,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) when: When,
    pub(super) negated: bool,
    pub(super) pipeline: Vec<Command>,
}

/// The steps of a line.
pub(super) fn parse(line: &str) -> Result<Vec<Step>, String> {
    let mut parser = Parser { rest: line.chars().collect(), at: 0 };
    let steps = parser.list(Until::End)?;
    Ok(steps)
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found =
            text.chars().enumerate().all(|(index, wish)| self.rest.get(self.at + index) == Some(&wish));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn spaces(&mut self) {
        loop {
            if self.eat("\\\n") {
            } else if matches!(self.peek(), Some(' ' | '\t')) {
                self.at += 1;
            } else if self.peek() == Some('#') {
                while self.peek().is_some_and(|character| character != '\n') {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    /// Eats a word of the shell's own, such as `do`.
    fn keyword(&mut self, word: &str) -> bool {
        let start = self.at;
        let is_whole =
            self.eat(word) && !self.peek().is_some_and(|next| next.is_alphanumeric() || next == '_');
        if !is_whole {
            self.at = start;
        }
        is_whole
    }

    fn list(&mut self, until: Until) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        let mut when = When::Always;
        loop {
            self.spaces();
            while when == When::Always && matches!(self.peek(), Some('\n' | ';')) {
                self.at += 1;
                self.spaces();
            }
            match (self.peek(), until) {
                (None, Until::End) if when == When::Always => return Ok(steps),
                (Some(end), Until::Closing(closing)) if end == closing && when == When::Always => {
                    self.at += 1;
                    return Ok(steps);
                }
                (Some(_), Until::Done) if when == When::Always && self.keyword("done") => return Ok(steps),
                (None, _) => return Err("syntax error: unexpected end of file".to_owned()),
                (Some(_), _) => {}
            }
            let negated = self.eat("! ");
            let mut pipeline = vec![self.command()?];
            loop {
                self.spaces();
                if self.rest[self.at..].starts_with(&['|', '|']) || !self.eat("|") {
                    break;
                }
                self.spaces();
                pipeline.push(self.command()?);
            }
            steps.push(Step { when, negated, pipeline });
            when = if self.eat("&&") {
                When::AfterSuccess
            } else if self.eat("||") {
                When::AfterFailure
            } else {
                // What is sent to the background is waited for all the same.
                self.eat("&");
                When::Always
            };
            if when != When::Always {
                while matches!(self.peek(), Some('\n' | ' ')) {
                    self.at += 1;
                }
            }
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        let mut command = Command { words: Vec::new(), redirects: Vec::new(), group: None, each: None };
        self.spaces();
        if self.eat("(") {
            command.group = Some((self.list(Until::Closing(')'))?, true));
        } else if self.eat("{ ") {
            command.group = Some((self.list(Until::Closing('}'))?, false));
        } else if self.keyword("for") {
            command.each = Some(self.each()?);
        }
        let is_compound = command.group.is_some() || command.each.is_some();
        loop {
            self.spaces();
            if let Some(redirect) = self.redirect()? {
                command.redirects.push(redirect);
                continue;
            }
            match self.peek() {
                None | Some('\n' | ';' | '|' | '&' | ')' | '}') => break,
                Some('(') => return Err("syntax error near unexpected token `('".to_owned()),
                Some(_) if is_compound => {
                    return Err("syntax error: a word behind a group".to_owned());
                }
                Some(_) => {
                    let word = self.word()?;
                    command.words.push(word);
                }
            }
        }
        if command.words.is_empty() && command.redirects.is_empty() && !is_compound {
            let found = self.peek().map_or_else(|| "newline".to_owned(), String::from);
            return Err(format!("syntax error near unexpected token `{found}'"));
        }
        Ok(command)
    }

    /// A loop, behind its `for`.
    fn each(&mut self) -> Result<Loop, String> {
        let broken = || "syntax error: `for NAME in WORDS; do …; done' is expected".to_owned();
        self.spaces();
        let mut name = String::new();
        while let Some(character) = self.peek().filter(|next| next.is_alphanumeric() || *next == '_') {
            name.push(character);
            self.at += 1;
        }
        self.spaces();
        if name.is_empty() || !self.keyword("in") {
            return Err(broken());
        }
        let mut words = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                Some(';' | '\n') => break,
                None => return Err(broken()),
                Some(_) => words.push(self.word()?),
            }
        }
        while matches!(self.peek(), Some(';' | '\n' | ' ')) {
            self.at += 1;
        }
        if !self.keyword("do") {
            return Err(broken());
        }
        Ok(Loop { name, words, steps: self.list(Until::Done)? })
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, String> {
        if self.eat("2>&1") {
            return Ok(Some(Redirect::Merge));
        }
        if self.eat(">&2") || self.eat("1>&2") {
            return Ok(Some(Redirect::Complain));
        }
        // Both streams, 2 first so that it follows.
        let (stream, append) = if self.eat("&>") {
            (3, false)
        } else if self.eat("2>>") {
            (2, true)
        } else if self.eat("2>") {
            (2, false)
        } else if self.eat("1>>") || self.eat(">>") {
            (1, true)
        } else if self.eat("1>") || self.eat(">") {
            (1, false)
        } else if self.eat("<") {
            self.spaces();
            return Ok(Some(Redirect::From(self.word()?)));
        } else {
            return Ok(None);
        };
        self.spaces();
        Ok(Some(Redirect::To { stream, append, file: self.word()? }))
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut parts: Word = Vec::new();
        let mut text = String::new();
        // An empty pair of quotes is a word.
        let mut quoted = false;
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')') => break,
                Some('\'') => {
                    self.at += 1;
                    quoted = true;
                    text.push_str(&self.until_quote()?);
                }
                Some('"') => {
                    self.at += 1;
                    quoted = true;
                    self.double_quoted(&mut parts, &mut text)?;
                }
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                    self.at += 1;
                }
                Some('$' | '`') => self.expansion(&mut parts, &mut text, true)?,
                Some(character) => {
                    text.push(character);
                    self.at += 1;
                }
            }
        }
        if !text.is_empty() || (quoted && parts.is_empty()) {
            parts.push(Part::Text(text));
        }
        if parts.is_empty() {
            return Err("syntax error: a word is missing".to_owned());
        }
        Ok(parts)
    }

    fn until_quote(&mut self) -> Result<String, String> {
        let start = self.at;
        let length = self.rest[start..].iter().position(|character| *character == '\'');
        let length = length.ok_or("unexpected EOF while looking for matching `''")?;
        self.at = start + length + 1;
        Ok(self.rest[start..start + length].iter().collect())
    }

    fn double_quoted(&mut self, parts: &mut Word, text: &mut String) -> Result<(), String> {
        loop {
            match self.peek() {
                None => return Err("unexpected EOF while looking for matching `\"'".to_owned()),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(character @ ('"' | '\\' | '$' | '`')) => text.push(character),
                        Some('\n') | None => {}
                        Some(character) => text.extend(['\\', character]),
                    }
                    self.at += 1;
                }
                Some('$' | '`') => self.expansion(parts, text, false)?,
                Some(character) => {
                    text.push(character);
                    self.at += 1;
                }
            }
        }
    }

    /// A variable or a command behind `$`, or between backquotes.
    fn expansion(&mut self, parts: &mut Word, text: &mut String, split: bool) -> Result<(), String> {
        let part = if self.eat("`") {
            let start = self.at;
            let length = self.rest[start..].iter().position(|character| *character == '`');
            let length = length.ok_or("unexpected EOF while looking for matching ``'")?;
            self.at = start + length + 1;
            Part::Output { line: self.rest[start..start + length].iter().collect(), split }
        } else if self.eat("$(") {
            Part::Output { line: self.until_parenthesis()?, split }
        } else if self.eat("${") {
            let start = self.at;
            let length = self.rest[start..].iter().position(|character| *character == '}');
            let length = length.ok_or("bad substitution")?;
            self.at = start + length + 1;
            let inside: String = self.rest[start..start + length].iter().collect();
            match inside.split_once(":-") {
                Some((name, default)) => {
                    Part::Variable { name: name.to_owned(), default: Some(default.to_owned()), split }
                }
                None => Part::Variable { name: inside, default: None, split },
            }
        } else {
            self.at += 1;
            let mut name = String::new();
            while let Some(character) = self.peek() {
                let is_status = name.is_empty() && character == '?';
                if !is_status && !character.is_ascii_alphanumeric() && character != '_' {
                    break;
                }
                name.push(character);
                self.at += 1;
                if name == "?" {
                    break;
                }
            }
            if name.is_empty() {
                text.push('$');
                return Ok(());
            }
            Part::Variable { name, default: None, split }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(text)));
        }
        parts.push(part);
        Ok(())
    }

    /// The line in `$(…)`, with other parentheses in it.
    fn until_parenthesis(&mut self) -> Result<String, String> {
        let (start, mut depth) = (self.at, 1);
        let mut quote = None;
        while let Some(character) = self.peek() {
            self.at += 1;
            match (quote, character) {
                (None, '\'' | '"') => quote = Some(character),
                (Some(open), close) if open == close => quote = None,
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.rest[start..self.at - 1].iter().collect());
            }
        }
        Err("unexpected EOF while looking for matching `)'".to_owned())
    }
}
