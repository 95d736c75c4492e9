//! Checks that a `pattern` means the same in Rust and in JavaScript.
//!
//! The host compiles a pattern with Rust's `regex`; readers of the schema take it for an ECMA-262 expression, with
//! or without the flag `u`. Syntax that the two do not share is rejected with the portable spelling.
//!
//! `\d`, `\w`, `\s` and `\b` are accepted although they match Unicode in Rust and mostly ASCII in JavaScript: a
//! value that satisfies the schema also passes here. `\p{…}` is rejected: without the flag `u` JavaScript reads it
//! as the letter `p`, and not every reader sets the flag.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassAsciiKind, ClassSetBinaryOp, ClassSetItem, GroupKind, HexLiteralKind,
    Literal, LiteralKind, Span, SpecialLiteralKind, Visitor,
};

/// Describes the first problem of a pattern; `None` if it is valid and portable.
pub(crate) fn problem(pattern: &str) -> Option<String> {
    let rejected = |problem: String| Some(format!("this pattern is not a regular expression: {problem}"));
    // `error.kind()` alone: the parser's full message draws the pattern over several lines.
    let ast = match Parser::new().parse(pattern) {
        Ok(ast) => ast,
        Err(error) => {
            return rejected(format!("{}, at character {}", error.kind(), error.span().start.column));
        }
    };
    if let Err(regex_syntax::Error::Translate(error)) = regex_syntax::parse(pattern) {
        return rejected(error.kind().to_string());
    }
    ast::visit(&ast, Portable { pattern }).err()
}

/// Visitor that stops at the first syntax that JavaScript does not share.
struct Portable<'a> {
    pattern: &'a str,
}

type Outcome = Result<(), String>;

impl Portable<'_> {
    fn text(&self, span: &Span) -> &str {
        &self.pattern[span.start.offset..span.end.offset]
    }

    /// Returns the error about the part of the pattern at `span`.
    fn rust_only(&self, span: &Span, instead: &str) -> Outcome {
        let part = self.text(span);
        Err(format!(
            "`{part}` is not valid in JavaScript, whose regular expressions a schema uses: {instead}"
        ))
    }

    fn group(&self, group: &ast::Group) -> Outcome {
        match &group.kind {
            GroupKind::CaptureIndex(_) => Ok(()),
            GroupKind::CaptureName { name, starts_with_p } => {
                let mut span = Span::new(group.span.start, name.span.end);
                span.end.offset += '>'.len_utf8();
                let portable = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if !name.name.chars().all(portable) {
                    self.rust_only(&span, "name the group with `A-Z a-z 0-9 _`")
                } else if *starts_with_p {
                    self.rust_only(&span, &format!("write `(?<{}>…)`", name.name))
                } else {
                    Ok(())
                }
            }
            GroupKind::NonCapturing(flags) if flags.items.is_empty() => Ok(()),
            GroupKind::NonCapturing(flags) => self.flags(flags),
        }
    }

    fn flags(&self, flags: &ast::Flags) -> Outcome {
        let instead = match flags.items.first().map(|item| &item.kind) {
            Some(ast::FlagsItemKind::Flag(ast::Flag::CaseInsensitive)) => {
                "write both cases of each letter, as in `[Aa]`"
            }
            Some(ast::FlagsItemKind::Flag(ast::Flag::IgnoreWhitespace)) => {
                "write the pattern without spaces and comments"
            }
            Some(ast::FlagsItemKind::Flag(ast::Flag::DotMatchesNewLine)) => {
                "to match any character and line ends, write `[\\s\\S]`"
            }
            Some(ast::FlagsItemKind::Flag(ast::Flag::MultiLine)) => {
                "for the start or end of a line, write `(?:^|\\n)` or `(?:\\n|$)`"
            }
            Some(ast::FlagsItemKind::Flag(ast::Flag::SwapGreed)) => "write `*?` for the shortest match",
            _ => "remove the flags",
        };
        // Shown as `(?i)`, also if the flags are those of a group, as in `(?i:…)`.
        let shown = format!("(?{})", self.text(&flags.span));
        Err(format!("`{shown}` is not allowed, since a schema's patterns have no flags: {instead}"))
    }

    fn repetition(&self, repetition: &ast::Repetition) -> Outcome {
        let operator = self.text(&repetition.op.span);
        match &*repetition.ast {
            Ast::Repetition(_) => {
                let message = format!("group the repeated part, as in `(?:a+){operator}`");
                return self.rust_only(&repetition.span, &message);
            }
            Ast::Assertion(_) | Ast::Empty(_) => {
                return self
                    .rust_only(&repetition.span, &format!("remove `{operator}`, which repeats nothing"));
            }
            _ => {}
        }
        Ok(())
    }

    fn literal(&self, literal: &Literal, in_class: bool) -> Outcome {
        let c = literal.c;
        let as_it_is = || format!("write `{c}`, without the backslash");
        let instead = match literal.kind {
            LiteralKind::Verbatim if matches!(c, ']' | '}') => format!("write `\\{c}`"),
            LiteralKind::Meta if in_class && matches!(c, '&' | '~') => {
                format!("write {}", escaped(c))
            }
            LiteralKind::Meta if matches!(c, '#' | '&' | '~') || (c == '-' && !in_class) => as_it_is(),
            LiteralKind::Superfluous if c != '/' => as_it_is(),
            LiteralKind::HexFixed(HexLiteralKind::UnicodeLong) | LiteralKind::HexBrace(_) => {
                format!("write {}", escaped(c))
            }
            LiteralKind::Special(SpecialLiteralKind::Bell) => format!("write {}", escaped(c)),
            _ => return Ok(()),
        };
        self.rust_only(&literal.span, &instead)
    }

    fn assertion(&self, assertion: &ast::Assertion) -> Outcome {
        match assertion.kind {
            AssertionKind::StartText => self.rust_only(&assertion.span, "write `^`"),
            AssertionKind::EndText => self.rust_only(&assertion.span, "write `$`"),
            AssertionKind::StartLine
            | AssertionKind::EndLine
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => Ok(()),
            _ => self.rust_only(&assertion.span, "write `\\b`"),
        }
    }

    fn unicode(&self, class: &ast::ClassUnicode) -> Outcome {
        let (part, letter) = (self.text(&class.span), if class.negated { 'P' } else { 'p' });
        Err(format!(
            "`{part}` in this pattern means the letter `{letter}` to readers of the schema that do not set \
             JavaScript's flag `u`: list the characters, as in `[A-Za-z]`"
        ))
    }
}

impl Visitor for Portable<'_> {
    type Output = ();
    type Err = String;

    fn finish(self) -> Outcome {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Outcome {
        match ast {
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Literal(literal) => self.literal(literal, false),
            Ast::Assertion(assertion) => self.assertion(assertion),
            Ast::ClassUnicode(class) => self.unicode(class),
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => self.group(group),
            Ast::Empty(_)
            | Ast::Dot(_)
            | Ast::ClassPerl(_)
            | Ast::ClassBracketed(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Outcome {
        match item {
            ClassSetItem::Literal(literal) => self.literal(literal, true),
            ClassSetItem::Range(range) => {
                self.literal(&range.start, true).and_then(|()| self.literal(&range.end, true))
            }
            ClassSetItem::Ascii(class) => {
                let listed = if class.negated {
                    format!("a list that begins with `^`, as in `[^{}]`", ascii(&class.kind))
                } else {
                    format!("`{}`", ascii(&class.kind))
                };
                self.rust_only(&class.span, &format!("write {listed}"))
            }
            ClassSetItem::Unicode(class) => self.unicode(class),
            ClassSetItem::Bracketed(class) => self.rust_only(
                &class.span,
                "write one list of characters, without brackets inside, or `\\[` for the bracket itself",
            ),
            ClassSetItem::Empty(_) | ClassSetItem::Perl(_) | ClassSetItem::Union(_) => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, operation: &ClassSetBinaryOp) -> Outcome {
        self.rust_only(&operation.span, "list the remaining characters")
    }
}

/// Returns an escape of a character that needs no flag.
fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ ..=0xFF => format!("`\\x{code:02X}`"),
        code @ ..=0xFFFF => format!("`\\u{code:04X}`"),
        _ => format!("the character itself, `{c}`"),
    }
}

/// Returns the characters of a class such as `[:alpha:]`, to write inside `[…]`.
fn ascii(kind: &ClassAsciiKind) -> &'static str {
    match kind {
        ClassAsciiKind::Alnum => "A-Za-z0-9",
        ClassAsciiKind::Alpha => "A-Za-z",
        ClassAsciiKind::Ascii => "\\x00-\\x7F",
        ClassAsciiKind::Blank => "\\t ",
        ClassAsciiKind::Cntrl => "\\x00-\\x1F\\x7F",
        ClassAsciiKind::Digit => "0-9",
        ClassAsciiKind::Graph => "!-~",
        ClassAsciiKind::Lower => "a-z",
        ClassAsciiKind::Print => " -~",
        ClassAsciiKind::Punct => "!-\\/:-@\\[-`{-~",
        ClassAsciiKind::Space => "\\t\\n\\v\\f\\r ",
        ClassAsciiKind::Upper => "A-Z",
        ClassAsciiKind::Word => "A-Za-z0-9_",
        ClassAsciiKind::Xdigit => "A-Fa-f0-9",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_patterns_are_accepted() {
        for pattern in [
            "",
            "^[a-z]+$",
            r"^(?:\+\d{1,3} )?[\w.-]+@[\w-]+(?:\.[\w-]+)*$",
            r"(?<year>\d{4})-(?<month>\d\d)",
            r"^[^\s\]\[\\^-]*?$|a{2,}|b{0,3}?|\bword\B",
            r"[A-Fa-f0-9\x2D\u00E9é😀]\/\.\*\$\{\}\(\)\|",
            r"[a\-z]\t\r\n\v\f.",
            "[A-Za-z] & # ~ \" '",
        ] {
            assert_eq!(problem(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn other_patterns_are_rejected_with_their_portable_spelling() {
        for (pattern, part, instead) in [
            (r"(?P<year>\d+)", "`(?P<year>`", "write `(?<year>…)`"),
            (r"(?<a.b>\d+)", "`(?<a.b>`", "name the group with"),
            ("(?i)abc", "`(?i)`", "both cases"),
            ("(?i:abc)", "`(?i)`", "both cases"),
            ("(?x) a # b", "`(?x)`", "without spaces and comments"),
            ("(?s).", "`(?s)`", r"`[\s\S]`"),
            ("(?m)^a$", "`(?m)`", "`(?:^|\\n)`"),
            (r"(?-u)a", "`(?-u)`", "remove the flags"),
            (r"\Aabc", r"`\A`", "write `^`"),
            (r"abc\z", r"`\z`", "write `$`"),
            (r"\b{start}a", r"`\b{start}`", r"write `\b`"),
            (r"\<a", r"`\<`", r"write `\b`"),
            ("[[:alpha:]_]", "`[:alpha:]`", "write `A-Za-z`"),
            ("[[:^digit:]]", "`[:^digit:]`", "`[^0-9]`"),
            (r"\x{7F}", r"`\x{7F}`", r"write `\x7F`"),
            (r"\u{e9}", r"`\u{e9}`", r"write `\xE9`"),
            (r"\U0001F600", r"`\U0001F600`", "the character itself, `😀`"),
            (r"\x{2028}", r"`\x{2028}`", r"write `\u2028`"),
            ("[a-z&&[^b]]", "`a-z&&[^b]`", "list the remaining characters"),
            ("[a-z--b]", "`a-z--b`", "list the remaining characters"),
            ("[a-c~~b-d]", "`a-c~~b-d`", "list the remaining characters"),
            ("[a[bc]]", "`[bc]`", "one list of characters"),
            (r"\pL", r"`\pL`", "list the characters"),
            (r"[\p{Greek}a]", r"`\p{Greek}`", "list the characters"),
            (r"\P{L}", r"`\P{L}`", "list the characters"),
            ("[]a]", "`]`", r"write `\]`"),
            ("a]", "`]`", r"write `\]`"),
            ("a}", "`}`", r"write `\}`"),
            (r"a\#b", r"`\#`", "write `#`"),
            (r"[a\&\&]", r"`\&`", r"write `\x26`"),
            (r"a\-b", r"`\-`", "write `-`"),
            (r"a\%b", r"`\%`", "write `%`"),
            (r"\a", r"`\a`", r"write `\x07`"),
            ("a++", "`a++`", "as in `(?:a+)+`"),
            ("^*a", "`^*`", "repeats nothing"),
        ] {
            let problem = problem(pattern).unwrap_or_else(|| panic!("{pattern} is accepted"));
            assert!(problem.starts_with(part) && problem.contains(instead), "{pattern}: {problem}");
        }
    }

    #[test]
    fn a_syntax_error_names_its_position() {
        assert_eq!(
            problem("(a").unwrap(),
            "this pattern is not a regular expression: unclosed group, at character 1"
        );
        assert!(
            problem(r"(?=a)").unwrap().starts_with("this pattern is not a regular expression: look-around")
        );
    }
}
