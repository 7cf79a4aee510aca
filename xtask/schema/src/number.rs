//! The texts of numbers in a JSON text, and whether a double holds one exactly.

/// The text of every number in `json`, in order. Strings are skipped; a text that is not JSON
/// gives texts that nobody asks for, since its reading fails.
pub fn number_lexemes(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            rest = &rest[start..];
            if rest.starts_with('"') {
                rest = after_string(rest);
                continue;
            }
            let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            let (lexeme, after) = rest.split_at(end);
            rest = after;
            return Some(lexeme);
        }
    })
}

/// Whether `double`, printed in its shortest form, is the number `lexeme` spells.
pub fn is_exact(lexeme: &str, double: f64) -> bool {
    double.is_finite() && digits_and_exponent(lexeme) == digits_and_exponent(&format!("{double:e}"))
}

fn is_part(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')
}

/// What follows the string that `text` begins with.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// A decimal number as its significant digits and the power of ten of the last one.
fn digits_and_exponent(text: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let zeros = all.len() - all.trim_end_matches('0').len();
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((significant.to_owned(), exponent.checked_add(i64::try_from(zeros).ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lexemes_come_in_order_and_strings_hide_theirs() {
        let found: Vec<_> = number_lexemes(r#"{"a1":-1.5e3,"b\"2":[2,"3",4E+1]}"#).collect();
        assert_eq!(found, ["-1.5e3", "2", "4E+1"]);
    }

    #[test]
    fn exact_means_the_same_decimal() {
        for exact in ["0", "-0.0", "0.1", "1.10", "100", "1e2", "12.5E-1", "1e300", "1e20"] {
            assert!(is_exact(exact, exact.parse().unwrap()), "{exact}");
        }
        for rounded in ["0.1000000000000000055", "9007199254740993", "123456789012345678901"] {
            assert!(!is_exact(rounded, rounded.parse().unwrap()), "{rounded}");
        }
        assert!(!is_exact("1e400", f64::INFINITY));
    }
}
