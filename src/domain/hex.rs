//! Bytes as hexadecimal text, both ways.
//!
//! Knows nothing of what the bytes mean.

use std::fmt::Write as _;

/// Lower-case hex, two digits a byte.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Exactly `2 * N` hex digits of either case; `None` for anything else.
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        b'A'..=b'F' => Some(text - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// What was encoded decodes to the same bytes, in either case.
        #[test]
        fn decoding_undoes_encoding(bytes: [u8; 32]) {
            let text = super::encode(&bytes);
            prop_assert_eq!(super::decode(text.as_bytes()), Some(bytes));
            prop_assert_eq!(super::decode(text.to_uppercase().as_bytes()), Some(bytes));
        }

        /// A text with anything but hex digits, or of another length, is refused.
        #[test]
        fn other_text_is_refused(
            text in "[0-9a-f]{0,15}[^0-9a-fA-F][0-9a-f]{0,15}|[0-9a-f]{0,31}",
        ) {
            prop_assert_eq!(super::decode::<16>(text.as_bytes()), None);
        }
    }
}
