//! Every target holds on its corpus and on what lies near it, the same every time: what a fuzzer
//! once found stays mended, and a target that no longer runs is noticed without one.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use vestibule_fuzz::{TARGETS, Target};

/// Mutations of each input of the corpus.
const MUTATIONS: u64 = 40;

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|bad| panic!("{}: {bad}", folder.display()));
    let read = entries.map(|entry| {
        let path = entry.expect("a folder can be read").path();
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read(&path).expect("an input can be read"))
    });
    let mut all: Vec<_> = read.collect();
    all.sort_unstable();
    all
}

/// Numbers that look drawn and are the same every time (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((it ^ (it >> 31)) % (bound.max(1) as u64)).expect("it is below a usize")
    }
}

/// Some bytes changed, cut out, doubled, or taken from another input.
fn mutated(input: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let to = at + numbers.below((bytes.len() - at).min(16) + 1);
        let begin = numbers.below(other.len() + 1);
        let piece = &other[begin..begin + numbers.below((other.len() - begin).min(16) + 1)];
        match numbers.below(5) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).expect("a byte"),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let copy = bytes[at..to].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => drop(bytes.splice(at..to, piece.iter().copied())),
        }
    }
    bytes
}

fn holds(target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_ok()
}

#[test]
fn every_target_holds_on_its_corpus_and_near_it() {
    for (name, target) in TARGETS {
        let (inputs, mut numbers) = (corpus(name), Numbers(1));
        assert!(inputs.len() >= 5, "{name} has a corpus");
        for (file, input) in &inputs {
            assert!(holds(target, input), "{name} on corpus/{name}/{file}");
            for _ in 0..MUTATIONS {
                let other = &inputs[numbers.below(inputs.len())].1;
                let near = mutated(input, other, &mut numbers);
                assert!(holds(target, &near), "{name} on {}", near.escape_ascii());
            }
        }
    }
}
