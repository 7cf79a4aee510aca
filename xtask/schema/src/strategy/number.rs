//! Numbers within the bounds of a schema, their edges and what lies just outside.
//!
//! Only numbers whose JSON text reads back as the same number: integers within 2^53 and short
//! binary fractions.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::schema::{Kind, flag, kind};
use super::seeded::{Appetite, Dice};

/// Beyond it, a number no longer survives every JSON reader.
const EXACT: i64 = 1 << 53;
/// Where open decimals are drawn from.
const ORDINARY: f64 = 1e6;

/// The bounds of a numeric schema.
#[derive(Debug)]
pub(super) struct Span<'a> {
    integer: bool,
    low: Option<Edge<'a>>,
    high: Option<Edge<'a>>,
    step: Option<&'a Value>,
}

/// One bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<'a> {
    bound: &'a Value,
    exclusive: bool,
    /// −1 for the lower bound, 1 for the upper.
    outward: i64,
    /// The keyword that a number outside breaks.
    pub keyword: &'static str,
}

impl<'a> Span<'a> {
    pub fn of(schema: &'a Value) -> Self {
        let edge = |name: &str, exclusive: &str, keywords: [&'static str; 2], outward| {
            let bound = schema.get(name)?;
            let exclusive = flag(schema, exclusive);
            let keyword = keywords[usize::from(exclusive)];
            Some(Edge { bound, exclusive, outward, keyword })
        };
        let lows = ["minimum", "exclusiveMinimum"];
        let highs = ["maximum", "exclusiveMaximum"];
        Self {
            integer: kind(schema) == Kind::Integer,
            low: edge(lows[0], lows[1], lows, -1),
            high: edge(highs[0], highs[1], highs, 1),
            step: schema.get("multipleOf"),
        }
    }

    /// The bounds that are set, lower first.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'a>> {
        self.low.into_iter().chain(self.high)
    }

    /// The outermost number that a bound allows; none for a decimal exclusive bound.
    pub fn inside(&self, edge: &Edge) -> Option<Value> {
        if self.integer {
            return Some(self.multiple(edge.integer()?, -edge.outward).into());
        }
        (!edge.exclusive).then(|| edge.bound.clone())
    }

    /// The nearest number that a bound refuses.
    pub fn outside(&self, edge: &Edge) -> Value {
        match edge.integer() {
            Some(inside) if self.integer => {
                self.multiple(inside + edge.outward, edge.outward).into()
            }
            _ if edge.exclusive => edge.bound.clone(),
            _ => edge.further(),
        }
    }

    pub fn draw(&self, dice: &mut Dice, appetite: Appetite) -> Value {
        if let (false, None) = (self.integer || dice.one_in(2), self.step)
            && let Some(fraction) = self.fraction(dice)
        {
            return fraction;
        }
        let (low, high) = self.integers();
        let step = self.whole_step();
        let (first, last) = (self.multiple(low, 1) / step, self.multiple(high, -1) / step);
        let drawn = match (appetite, dice.below(6)) {
            (Appetite::Lean, _) | (Appetite::Wild, 0) => first.max(last.min(0)),
            (Appetite::Wild, 1) => first,
            (Appetite::Wild, 2) => last,
            (Appetite::Small | Appetite::Full, _) => dice.between(first, last.min(first + 999)),
            (Appetite::Wild, _) => dice.between(first, last),
        };
        (drawn * step).into()
    }

    /// Whether a number keeps `multipleOf`.
    pub fn on_step(&self, number: &Number) -> bool {
        let parts = self.step.and_then(Value::as_f64).zip(number.as_f64());
        parts.is_none_or(|(step, number)| (number / step).fract() == 0.0)
    }

    /// The nearest multiple of `multipleOf` from a number on, upwards or downwards.
    fn multiple(&self, from: i64, direction: i64) -> i64 {
        let step = self.whole_step();
        let up = if direction > 0 { step - 1 } else { 0 };
        (from + up).div_euclid(step) * step
    }

    fn whole_step(&self) -> i64 {
        self.step.and_then(Value::as_i64).unwrap_or(1).max(1)
    }

    /// The least and the greatest integer within the bounds.
    fn integers(&self) -> (i64, i64) {
        let low = self.low.and_then(|edge| edge.integer()).unwrap_or(-EXACT);
        (low, self.high.and_then(|edge| edge.integer()).unwrap_or(EXACT))
    }

    /// A number within the bounds that is no integer.
    fn fraction(&self, dice: &mut Dice) -> Option<Value> {
        let bound = |edge: Option<Edge>, open| edge.and_then(|e| e.bound.as_f64()).unwrap_or(open);
        let low = bound(self.low, -ORDINARY).max(bound(self.high, ORDINARY) - 2.0 * ORDINARY);
        let high = bound(self.high, low + 2.0 * ORDINARY).min(low + 2.0 * ORDINARY);
        let at = dice.between(1, 1023) as f64 / 1024.0;
        let spread = high - low;
        let drawn =
            if spread > 8.0 { (low + at * spread).floor() + 0.25 } else { low + at * spread };
        let value = Value::from(drawn);
        let survives = serde_json::from_str::<Value>(&value.to_string()).ok()? == value;
        (survives && drawn.fract() != 0.0 && low < drawn && drawn < high).then_some(value)
    }
}

impl Edge<'_> {
    /// Whether a number is on the allowed side.
    pub fn admits(&self, number: &Number) -> bool {
        let Some(bound) = self.bound.as_number() else { return true };
        match (compare(number, bound), self.exclusive) {
            (Ordering::Equal, exclusive) => !exclusive,
            (Ordering::Less, _) => self.outward > 0,
            (Ordering::Greater, _) => self.outward < 0,
        }
    }

    fn further(&self) -> Value {
        match (self.bound.as_i64(), self.bound.as_f64()) {
            (Some(bound), _) => (bound + self.outward).into(),
            (None, Some(bound)) => (bound + self.outward as f64).into(),
            (None, None) => Value::Null,
        }
    }

    /// The outermost integer that is allowed.
    fn integer(&self) -> Option<i64> {
        let whole = self.bound.as_i64().or_else(|| {
            let bound = self.bound.as_f64()?;
            Some(if self.outward > 0 { bound.floor() } else { bound.ceil() } as i64)
        })?;
        let touches = self.exclusive && self.bound.as_f64() == Some(whole as f64);
        Some(if touches { whole - self.outward } else { whole })
    }
}

/// Exact for integers, which doubles are not beyond 2^53.
pub(super) fn compare(a: &Number, b: &Number) -> Ordering {
    let whole = |n: &Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return a.cmp(&b);
    }
    a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
}
