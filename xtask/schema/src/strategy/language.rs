//! The strings that match a pattern as a whole, by exact length: a small automaton over
//! characters with a table of which lengths can still be reached.
//!
//! Exact lengths are what `proptest::string::string_regex` cannot give, and bounds need them.

use regex_syntax::hir::{self, Hir, HirKind, Look, Repetition};

use super::seeded::Dice;
use super::text::EXOTIC;

/// A class wider than this is drawn as text, not range by range.
const WIDE: u32 = 512;

/// A pattern's strings of up to a horizon of characters.
#[derive(Debug)]
pub(super) struct Language {
    nodes: Vec<Node>,
    entry: usize,
    /// `alive[n][node]`: from the node, exactly `n` more characters can end the match.
    alive: Vec<Vec<bool>>,
    lengths: Vec<usize>,
}

#[derive(Debug)]
enum Node {
    Accept,
    Chars(Class, usize),
    Split(Vec<usize>),
    /// `$`: only where nothing follows.
    End(usize),
}

/// The characters of one step.
#[derive(Debug)]
struct Class {
    ranges: Vec<(char, char)>,
    wide: bool,
}

impl Language {
    /// # Panics
    /// When the pattern does not parse: the lint of documents excludes that.
    pub fn new(pattern: &str, horizon: usize) -> Self {
        let hir = regex_syntax::parse(pattern).expect("the lint admits linear patterns");
        let mut nodes = vec![Node::Accept];
        let entry = compile(&hir, 0, &mut nodes);
        let mut alive: Vec<Vec<bool>> = Vec::with_capacity(horizon + 1);
        for n in 0..=horizon {
            let row = reach(&nodes, n, alive.last());
            alive.push(row);
        }
        let lengths = (0..=horizon).filter(|n| alive[*n][entry]).collect();
        Self { nodes, entry, alive, lengths }
    }

    /// The lengths that occur, in characters, ascending.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// A matching string of exactly `length` characters, if there is one; of letters where
    /// `plain` and the pattern allow.
    pub fn draw(&self, dice: &mut Dice, length: usize, plain: bool) -> Option<String> {
        let mut left = length;
        let mut node = self.entry;
        let mut out = String::new();
        if !*self.alive.get(left)?.get(node)? {
            return None;
        }
        loop {
            match &self.nodes[node] {
                Node::Accept => return Some(out),
                Node::End(next) => node = *next,
                Node::Split(ways) => {
                    let open: Vec<usize> =
                        ways.iter().copied().filter(|way| self.alive[left][*way]).collect();
                    node = *dice.pick(&open);
                }
                Node::Chars(class, next) => {
                    out.push(class.draw(dice, plain));
                    left -= 1;
                    node = *next;
                }
            }
        }
    }
}

/// Which nodes can end after exactly `n` characters, given the row for one character less.
fn reach(nodes: &[Node], n: usize, shorter: Option<&Vec<bool>>) -> Vec<bool> {
    let mut row = vec![false; nodes.len()];
    loop {
        let mut changed = false;
        for (id, node) in nodes.iter().enumerate() {
            let now = match node {
                Node::Accept => n == 0,
                Node::Chars(_, next) => shorter.is_some_and(|row| row[*next]),
                Node::Split(ways) => ways.iter().any(|way| row[*way]),
                Node::End(next) => n == 0 && row[*next],
            };
            changed |= now != row[id];
            row[id] = now;
        }
        if !changed {
            return row;
        }
    }
}

/// Adds the nodes of an expression that continues at `next`; gives its first node.
fn compile(hir: &Hir, next: usize, nodes: &mut Vec<Node>) -> usize {
    match hir.kind() {
        HirKind::Empty => next,
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0).into_owned();
            text.chars()
                .rev()
                .fold(next, |next, c| push(nodes, Node::Chars(Class::new(vec![(c, c)]), next)))
        }
        HirKind::Class(class) => push(nodes, Node::Chars(Class::new(ranges(class)), next)),
        HirKind::Look(Look::End) => push(nodes, Node::End(next)),
        HirKind::Look(_) => next,
        HirKind::Repetition(repetition) => repeat(repetition, next, nodes),
        HirKind::Capture(capture) => compile(&capture.sub, next, nodes),
        HirKind::Concat(subs) => subs.iter().rev().fold(next, |next, s| compile(s, next, nodes)),
        HirKind::Alternation(subs) => {
            let ways = subs.iter().map(|sub| compile(sub, next, nodes)).collect();
            push(nodes, Node::Split(ways))
        }
    }
}

fn repeat(repetition: &Repetition, next: usize, nodes: &mut Vec<Node>) -> usize {
    let mut entry = next;
    match repetition.max {
        None => {
            entry = push(nodes, Node::Split(vec![next]));
            let again = compile(&repetition.sub, entry, nodes);
            nodes[entry] = Node::Split(vec![again, next]);
        }
        Some(max) => {
            for _ in repetition.min..max {
                let once = compile(&repetition.sub, entry, nodes);
                entry = push(nodes, Node::Split(vec![once, next]));
            }
        }
    }
    (0..repetition.min).fold(entry, |entry, _| compile(&repetition.sub, entry, nodes))
}

fn push(nodes: &mut Vec<Node>, node: Node) -> usize {
    nodes.push(node);
    nodes.len() - 1
}

fn ranges(class: &hir::Class) -> Vec<(char, char)> {
    match class {
        hir::Class::Unicode(class) => class.iter().map(|r| (r.start(), r.end())).collect(),
        hir::Class::Bytes(class) => {
            class.iter().map(|r| (char::from(r.start()), char::from(r.end()))).collect()
        }
    }
}

impl Class {
    fn new(ranges: Vec<(char, char)>) -> Self {
        let width: u32 = ranges.iter().map(|(low, high)| *high as u32 - *low as u32 + 1).sum();
        Self { ranges, wide: width > WIDE }
    }

    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
    }

    /// One character, never U+0000 when there is another; a letter when `plain` and it may be.
    fn draw(&self, dice: &mut Dice, plain: bool) -> char {
        let any = if !plain && dice.one_in(4) {
            *dice.pick(EXOTIC)
        } else {
            char::from(b'a' + dice.below(26) as u8)
        };
        if self.wide && self.contains(any) {
            return any;
        }
        let (low, high) = *dice.pick(&self.ranges);
        let code = dice.between(i64::from(low.max('\u{1}') as u32), i64::from(high as u32));
        u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exactly_those_of_the_pattern() {
        let lengths = |pattern| Language::new(pattern, 12).lengths().to_vec();
        assert_eq!(lengths("^[0-9a-f]{4}$"), [4]);
        assert_eq!(lengths("^(ab|cde)?$"), [0, 2, 3]);
        assert_eq!(lengths("^a(-[a-z]{3})*$"), [1, 5, 9]);
        assert_eq!(lengths("^(a*)*b$"), (1..=12).collect::<Vec<_>>());
        assert_eq!(lengths("^[a-z]{2,3}(é|漢字)$"), [3, 4, 5]);
    }

    #[test]
    fn every_drawn_string_matches_and_has_the_asked_length() {
        let patterns = [
            "^[a-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
            "^[^\\u0000-\\u001f]+$",
            "^(\\*|[a-z.]+):[0-9]{1,5}$",
        ];
        for pattern in patterns {
            let language = Language::new(pattern, 40);
            let regex = regex::Regex::new(pattern).expect("a test pattern");
            for (seed, length) in language.lengths().iter().enumerate() {
                let text =
                    language.draw(&mut Dice::new(seed as u64), *length, false).expect("possible");
                assert!(regex.is_match(&text), "{text:?} does not match {pattern}");
                assert_eq!(text.chars().count(), *length);
                assert!(!text.contains('\0'));
            }
        }
    }
}
