//! Who is who in a round (docs/protocol/deterministic-selection.md sections 2 and 3).

use crate::layout::*;
use psyche_common::hash::sha256;

pub const TRAINER: u8 = 2;
const TIE_BREAKER: u8 = 0;
const VERIFIER: u8 = 1;

/// Swap-or-not shuffle of one index. Panics unless `index < count`.
fn shuffle(index: u64, count: u64, seed: &[u8; 32]) -> u64 {
    assert!(index < count);
    let mut current = index;
    let mut input = [0u8; 37];
    input[..32].copy_from_slice(seed);
    for round in 0..90u8 {
        input[32] = round;
        let pivot = first_word(&sha256(&[&input[..33]])) % count;
        let flip = (pivot + count - current) % count;
        let position = current.max(flip);
        input[33..].copy_from_slice(&((position / 256) as u32).to_le_bytes());
        let source = sha256(&[&input]);
        if source[position as usize % 256 / 8] >> (position % 8) & 1 == 1 {
            current = flip;
        }
    }
    current
}

/// The first eight bytes of a digest as a number.
pub fn first_word(digest: &[u8; 32]) -> u64 {
    u64::from_le_bytes(digest[..8].try_into().unwrap())
}

/// The parameters of committee and witness selection of one round.
pub struct Selection {
    base: [u8; 32],
    clients: u64,
    tie_breakers: u64,
    verifiers: u64,
    witnesses: u64,
}

impl Selection {
    /// `None` when the parameters contradict each other.
    pub fn of(round: &Round, config: &Config) -> Option<Selection> {
        let clients = round.clients_len as u64;
        let tie_breakers = round.tie_breaker_tasks as u64;
        let witnesses = config.witness_nodes as u64;
        let percent = config.verification_percent as u64;
        if clients < tie_breakers || (witnesses != 0 && clients < witnesses) || percent > 100 {
            return None;
        }
        Some(Selection {
            base: sha256(&[&round.random_seed.to_le_bytes()]),
            clients,
            tie_breakers,
            verifiers: (clients - tie_breakers).wrapping_mul(percent) / 100,
            witnesses: if witnesses == 0 {
                MAX_WITNESSES as u64
            } else {
                witnesses
            },
        })
    }

    /// Whether the client at `index` is an elected witness at `position`.
    pub fn is_witness(&self, index: u64, position: u64) -> bool {
        position == self.position(index, b"witness") && position < self.witnesses
    }

    /// Whether the client at `index` is in `committee`, at `position`.
    pub fn is_in_committee(&self, index: u64, position: u64, committee: u8) -> bool {
        let at = self.position(index, b"committee");
        let actual = if at < self.tie_breakers {
            TIE_BREAKER
        } else if at < self.tie_breakers + self.verifiers {
            VERIFIER
        } else {
            TRAINER
        };
        at == position && actual == committee
    }

    fn position(&self, index: u64, purpose: &[u8]) -> u64 {
        shuffle(index, self.clients, &sha256(&[&self.base, purpose]))
    }
}

impl Bloom {
    /// Whether the filter holds `item` (section 8).
    pub fn contains(&self, item: &[u8; 32]) -> bool {
        self.keys.iter().all(|key| {
            let mut state = *key;
            for byte in item {
                state = (state ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
            }
            let bit = state % 1024;
            self.words[bit as usize / 64] >> (bit % 64) & 1 == 1
        })
    }
}
