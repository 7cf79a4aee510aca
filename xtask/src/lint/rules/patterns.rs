//! Patterns: in the linear subset, the same in every language, anchored, and of a length that the
//! schema's bounds allow.

use regex_syntax::ast::{self, Ast, Visitor};
use regex_syntax::hir::{Hir, HirKind, Look};
use regex_syntax::{Error, ast::ErrorKind};

use crate::document::{Finding, Node, NodeValue, Object, Site, Span};
use crate::lint::view::View;
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let sites = view.sites(Object::Schema).chain(view.sites(Object::PropertyNames));
    sites.flat_map(|(file, site)| pattern(view, file, site)).collect()
}

fn pattern(view: &View<'_>, file: usize, site: &Site<'_>) -> Vec<Finding> {
    let Some((text, span)) = site.node.get("pattern").and_then(|it| Some((it.as_str()?, it.span)))
    else {
        return Vec::new();
    };
    let at = |part: &ast::Span| within(span, text, part);
    let hir = match regex_syntax::parse(text) {
        Ok(hir) => hir,
        Err(error) => {
            let (part, message) = unreadable(&error);
            let place = part.map_or(span, |part| at(&part));
            return vec![view.finding(file, place, &rule::PATTERN_SYNTAX, message)];
        }
    };
    let mut findings = Vec::new();
    for (part, rule, message) in portability(text) {
        findings.push(view.finding(file, at(&part), rule, message));
    }
    let properties = hir.properties();
    let is_anchored = properties.look_set_prefix().contains(Look::Start)
        && properties.look_set_suffix().contains(Look::End);
    if !is_anchored {
        let message = format!("`{text}` accepts any text that contains a match");
        let finding = view.finding(file, span, &rule::PATTERN_ANCHOR, message);
        findings.push(finding.help(anchored(text)));
    }
    findings.extend(lengths(view, file, site.node, &hir));
    findings
}

/// The pattern for the whole text, and what it accepts as it stands.
fn anchored(text: &str) -> String {
    let bare = text.trim_start_matches('^').trim_end_matches('$');
    if bare.contains('|') {
        return format!("write `^(?:{bare})$` to match the whole text");
    }
    let start = if text.starts_with('^') { "^" } else { "^.*" };
    let end = if text.ends_with('$') { "$" } else { ".*$" };
    format!("write `^{bare}$` for the whole text, or `{start}{bare}{end}` for what it accepts now")
}

/// What is wrong and where, in words of this project.
fn unreadable(error: &Error) -> (Option<ast::Span>, String) {
    let Error::Parse(error) = error else { return (None, "the pattern is too large".to_owned()) };
    let message = match error.kind() {
        ErrorKind::UnsupportedLookAround => "look-around cannot be matched in linear time".into(),
        ErrorKind::UnsupportedBackreference => {
            "a back-reference cannot be matched in linear time".into()
        }
        other => format!("not a regular expression: {other}"),
    };
    (Some(*error.span()), message)
}

type Remark = (ast::Span, &'static rule::Rule, String);

/// What other languages read differently, or not at all.
fn portability(text: &str) -> Vec<Remark> {
    let Ok(ast) = ast::parse::Parser::new().parse(text) else { return Vec::new() };
    ast::visit(&ast, Portability { text, remarks: Vec::new() }).unwrap_or_default()
}

struct Portability<'p> {
    text: &'p str,
    remarks: Vec<Remark>,
}

impl Portability<'_> {
    fn class(&mut self, span: ast::Span, instead: Option<&str>) {
        let shown = &self.text[span.start.offset..span.end.offset];
        let instead = instead.unwrap_or("the characters themselves");
        let message = format!("`{shown}` differs between languages; write {instead}");
        self.remarks.push((span, &rule::PATTERN_CLASS, message));
    }

    fn perl(&mut self, class: &ast::ClassPerl) {
        let instead = match (&class.kind, class.negated) {
            (ast::ClassPerlKind::Digit, false) => "`[0-9]`",
            (ast::ClassPerlKind::Word, false) => "`[A-Za-z0-9_]`",
            (ast::ClassPerlKind::Space, false) => "`[ \\t]`",
            (ast::ClassPerlKind::Digit, true) => "`[^0-9]`",
            (ast::ClassPerlKind::Word, true) => "`[^A-Za-z0-9_]`",
            (ast::ClassPerlKind::Space, true) => "`[^ \\t]`",
        };
        self.class(class.span, Some(instead));
    }

    fn syntax(&mut self, span: ast::Span, message: &str) {
        self.remarks.push((span, &rule::PATTERN_SYNTAX, message.to_owned()));
    }
}

impl Visitor for Portability<'_> {
    type Output = Vec<Remark>;
    type Err = ();

    fn finish(self) -> Result<Self::Output, ()> {
        Ok(self.remarks)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        match ast {
            Ast::ClassPerl(class) => self.perl(class),
            Ast::ClassUnicode(class) => self.class(class.span, None),
            Ast::Flags(flags) => self.syntax(flags.span, "flags are unknown to other languages"),
            Ast::Group(group) if matches!(group.kind, ast::GroupKind::CaptureName { .. }) => {
                self.syntax(group.span, "a pattern has no use for a named group");
            }
            Ast::Group(group) if group.flags().is_some_and(|flags| !flags.items.is_empty()) => {
                self.syntax(group.span, "flags are unknown to other languages");
            }
            Ast::Assertion(it) => match it.kind {
                ast::AssertionKind::StartLine | ast::AssertionKind::EndLine => {}
                _ => self.class(it.span, Some("`^` or `$`, or say it without")),
            },
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), ()> {
        match item {
            ast::ClassSetItem::Perl(class) => self.perl(class),
            ast::ClassSetItem::Unicode(class) => self.class(class.span, None),
            ast::ClassSetItem::Ascii(class) => self.class(class.span, None),
            _ => {}
        }
        Ok(())
    }
}

/// A part of a scalar's text; all of it when the scalar is written with escapes.
fn within(span: Span, text: &str, part: &ast::Span) -> Span {
    let chars = |bytes: usize| text[..bytes.min(text.len())].chars().count();
    let width = span.end_column.saturating_sub(span.column);
    let quotes = width.saturating_sub(text.chars().count());
    if span.line != span.end_line || !matches!(quotes, 0 | 2) {
        return span;
    }
    let shift = chars(part.start.offset) + quotes / 2;
    let column = span.column + shift;
    let length = (chars(part.end.offset) + quotes / 2).saturating_sub(shift).max(1);
    Span { column, end_column: column + length, index: span.index + shift, ..span }
}

fn lengths(view: &View<'_>, file: usize, schema: &Node, hir: &Hir) -> Option<Finding> {
    let (least, most) = length(hir);
    let bound = |name: &str| {
        let node = schema.get(name)?;
        if let NodeValue::Int(bound) = node.value { Some((node, bound)) } else { None }
    };
    if let Some((node, bound)) = bound("maxLength").filter(|(_, bound)| *bound < least) {
        let message = format!("the pattern matches no text of {bound} characters or fewer");
        let finding = view.finding(file, node.span, &rule::PATTERN_LENGTH, message);
        return Some(finding.help(format!("its shortest match has {least} characters")));
    }
    let (node, bound) = bound("minLength").filter(|(_, bound)| most.is_some_and(|m| *bound > m))?;
    let message = format!("the pattern matches no text of {bound} characters or more");
    let finding = view.finding(file, node.span, &rule::PATTERN_LENGTH, message);
    Some(finding.help(format!("its longest match has {} characters", most.unwrap_or_default())))
}

/// How many characters a match has: at least, and at most when there is an end to it.
fn length(hir: &Hir) -> (i64, Option<i64>) {
    let sum = |a: (i64, Option<i64>), b: (i64, Option<i64>)| {
        (a.0.saturating_add(b.0), a.1.zip(b.1).map(|(a, b)| a.saturating_add(b)))
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, Some(0)),
        HirKind::Class(_) => (1, Some(1)),
        HirKind::Literal(literal) => {
            let count = String::from_utf8_lossy(&literal.0).chars().count();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            (count, Some(count))
        }
        HirKind::Capture(capture) => length(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(length).fold((0, Some(0)), sum),
        HirKind::Alternation(parts) => {
            let each = parts.iter().map(length);
            let widen = |a: (i64, Option<i64>), b: (i64, Option<i64>)| {
                (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b)))
            };
            each.reduce(widen).unwrap_or((0, Some(0)))
        }
        HirKind::Repetition(it) => {
            let (least, most) = length(&it.sub);
            let end = it.max.map(i64::from).or((most == Some(0)).then_some(0));
            let most = most.zip(end).map(|(most, end)| most.saturating_mul(end));
            (least.saturating_mul(i64::from(it.min)), most)
        }
    }
}
