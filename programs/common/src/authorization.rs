//! The `Authorization` account (onchain-authorizer.md section 2), as both programs read it.

use crate::accounts::same_key;
use crate::borsh::Reader;

pub const DISCRIMINATOR: [u8; 8] = [0x03, 0x44, 0xa8, 0xf3, 0xc3, 0xa8, 0x20, 0x4b];

/// First seed of the address.
pub const SEED: &[u8] = b"Authorization";

/// Length without scope and delegates.
pub const BASE_LEN: usize = 90;

/// Where the scope starts.
pub const SCOPE_AT: usize = 77;

pub struct Authorization<'a> {
    pub bump: u8,
    pub grantor: &'a [u8; 32],
    /// All zero: anyone.
    pub grantee: &'a [u8; 32],
    pub scope: &'a [u8],
    pub active: bool,
    pub delegates: &'a [[u8; 32]],
    pub grantor_update_unix_timestamp: i64,
}

impl<'a> Authorization<'a> {
    /// Decodes account data; `None` when it is cut off or not canonical.
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        reader.take(DISCRIMINATOR.len())?;
        Some(Authorization {
            bump: reader.u8()?,
            grantor: reader.array()?,
            grantee: reader.array()?,
            scope: reader.bytes()?,
            active: reader.boolean()?,
            delegates: read_keys(&mut reader)?,
            grantor_update_unix_timestamp: reader.u64()? as i64,
        })
    }

    /// Whether `user` may use this authorization of `grantor` for `scope`.
    pub fn is_valid_for(&self, grantor: &[u8; 32], user: &[u8; 32], scope: &[u8]) -> bool {
        self.active
            && same_key(self.grantor, grantor)
            && self.scope == scope
            && (same_key(self.grantee, &[0; 32])
                || same_key(self.grantee, user)
                || self
                    .delegates
                    .iter()
                    .any(|delegate| same_key(delegate, user)))
    }
}

/// A list of keys behind its u32 count.
#[inline(always)]
pub fn read_keys<'a>(reader: &mut Reader<'a>) -> Option<&'a [[u8; 32]]> {
    let count = reader.u32()? as usize;
    Some(reader.take(count << 5)?.as_chunks().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(grantee: [u8; 32], active: u8, delegates: &[[u8; 32]]) -> Vec<u8> {
        let mut data = DISCRIMINATOR.to_vec();
        data.push(255);
        data.extend([1; 32]);
        data.extend(grantee);
        data.extend([3, 0, 0, 0]);
        data.extend(b"abc");
        data.push(active);
        data.extend((delegates.len() as u32).to_le_bytes());
        data.extend(delegates.concat());
        data.extend(7i64.to_le_bytes());
        data
    }

    fn valid(data: &[u8], user: u8) -> bool {
        Authorization::read(data)
            .unwrap()
            .is_valid_for(&[1; 32], &[user; 32], b"abc")
    }

    #[test]
    fn is_valid_for_anyone_the_grantee_or_a_delegate_while_active() {
        assert!(valid(&account([0; 32], 1, &[]), 9));
        assert!(!valid(&account([0; 32], 0, &[]), 9));
        assert!(valid(&account([9; 32], 1, &[]), 9));
        assert!(!valid(&account([8; 32], 1, &[]), 9));
        assert!(valid(&account([8; 32], 1, &[[7; 32], [9; 32]]), 9));
    }

    #[test]
    fn needs_grantor_and_scope_to_match() {
        let data = account([0; 32], 1, &[]);
        let authorization = Authorization::read(&data).unwrap();
        assert!(!authorization.is_valid_for(&[2; 32], &[9; 32], b"abc"));
        assert!(!authorization.is_valid_for(&[1; 32], &[9; 32], b"ab"));
        assert_eq!(authorization.grantor_update_unix_timestamp, 7);
    }

    #[test]
    fn refuses_cut_off_and_unclean_data() {
        let data = account([0; 32], 1, &[[7; 32]]);
        for len in 0..data.len() {
            assert!(Authorization::read(&data[..len]).is_none());
        }
        assert!(Authorization::read(&account([0; 32], 2, &[])).is_none());
    }
}
