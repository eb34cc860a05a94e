//! Account checks in the order and with the errors of onchain-common.md section 4.

use crate::error::*;
use pinocchio::{AccountView, Address};

pub const SYSTEM_PROGRAM: Address = Address::new_from_array([0; 32]);

/// The accounts of an instruction, taken one by one.
pub struct Accounts<'a> {
    rest: core::slice::Iter<'a, AccountView>,
}

impl<'a> Accounts<'a> {
    pub fn new(accounts: &'a [AccountView]) -> Self {
        Accounts {
            rest: accounts.iter(),
        }
    }

    /// The next account, without any check of its own.
    pub fn any(&mut self, name: &'static str) -> Outcome<AccountView> {
        self.rest
            .next()
            .copied()
            .ok_or_else(|| TOO_FEW_ACCOUNTS.on(name))
    }

    pub fn signer(&mut self, name: &'static str) -> Outcome<AccountView> {
        let account = self.any(name)?;
        require(account.is_signer(), || NOT_SIGNER.on(name))?;
        Ok(account)
    }

    pub fn system_account(&mut self, name: &'static str) -> Outcome<AccountView> {
        let account = self.any(name)?;
        require(account.owned_by(&SYSTEM_PROGRAM), || {
            NOT_SYSTEM_OWNED.on(name)
        })?;
        Ok(account)
    }

    pub fn program(&mut self, id: &Address, name: &'static str) -> Outcome<AccountView> {
        let account = self.any(name)?;
        require(same(account.address(), id), || WRONG_PROGRAM.on(name))?;
        require(account.executable(), || NOT_EXECUTABLE.on(name))?;
        Ok(account)
    }

    pub fn system_program(&mut self) -> Outcome<AccountView> {
        self.program(&SYSTEM_PROGRAM, "system_program")
    }

    // Inlined: the back end passes at most five values to a function.
    /// A borsh account of `owner`; the caller decodes what follows the discriminator.
    #[inline(always)]
    pub fn borsh(
        &mut self,
        owner: &Address,
        discriminator: &[u8; 8],
        name: &'static str,
    ) -> Outcome<AccountView> {
        let account = self.any(name)?;
        if account.owned_by(&SYSTEM_PROGRAM) && account.lamports() == 0 {
            return Err(NOT_INITIALIZED.on(name));
        }
        typed(account, owner, discriminator, name)
    }

    /// A zero-copy account of `owner`.
    #[inline(always)]
    pub fn zero_copy(
        &mut self,
        owner: &Address,
        discriminator: &[u8; 8],
        name: &'static str,
    ) -> Outcome<AccountView> {
        let account = self.any(name)?;
        typed(account, owner, discriminator, name)
    }
}

#[inline(always)]
fn typed(
    account: AccountView,
    owner: &Address,
    discriminator: &[u8; 8],
    name: &'static str,
) -> Outcome<AccountView> {
    require(account.owned_by(owner), || WRONG_OWNER.on(name))?;
    let data = data(&account);
    require(data.len() >= 8, || DISCRIMINATOR_MISSING.on(name))?;
    require(data[..8] == discriminator[..], || {
        DISCRIMINATOR_WRONG.on(name)
    })?;
    Ok(account)
}

/// Whether two addresses are the same; words instead of a system call.
#[inline(always)]
pub fn same(a: &Address, b: &Address) -> bool {
    same_key(a.as_array(), b.as_array())
}

/// Whether two 32-byte keys are the same.
#[inline(always)]
pub fn same_key(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let (a, b) = (a.as_ptr().cast::<u64>(), b.as_ptr().cast::<u64>());
    // SAFETY: four unaligned words are the 32 bytes.
    unsafe { (0..4).all(|i| a.add(i).read_unaligned() == b.add(i).read_unaligned()) }
}

/// The bytes of an account. No other reference that writes to them may be alive.
#[inline(always)]
pub fn data(account: &AccountView) -> &'static [u8] {
    // SAFETY: account memory lives as long as the instruction; see the condition above.
    unsafe { core::slice::from_raw_parts(account.data_ptr(), account.data_len()) }
}

/// The bytes of an account, for writing. No other reference to them may be alive.
#[inline(always)]
pub fn data_mut(account: &mut AccountView) -> &'static mut [u8] {
    // SAFETY: as above.
    unsafe { core::slice::from_raw_parts_mut(account.data_mut_ptr(), account.data_len()) }
}

pub fn require_writable(account: &AccountView, name: &'static str) -> Outcome {
    require(account.is_writable(), || NOT_WRITABLE.on(name))
}

pub fn require_raw(condition: bool, name: &'static str) -> Outcome {
    require(condition, || RAW.on(name))
}

/// The address must be the program derived address of `seeds`, which end with the stored bump.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
pub fn require_seeds(
    account: &AccountView,
    seeds: &[&[u8]],
    program: &Address,
    name: &'static str,
) -> Outcome {
    match Address::create_program_address(seeds, program) {
        Ok(address) if same(&address, account.address()) => Ok(()),
        _ => Err(SEEDS.on(name)),
    }
}
