//! The authorizer: who may use which role of whom (docs/protocol/onchain-authorizer.md).
#![no_std]

use psyche_common::accounts::*;
use psyche_common::authorization::{
    read_keys, Authorization, BASE_LEN, DISCRIMINATOR, SCOPE_AT, SEED,
};
use psyche_common::borsh::Reader;
use psyche_common::entry::{Call, Instruction};
use psyche_common::error::*;
use psyche_common::memory::copy;
use psyche_common::pinocchio::cpi::Seed;
use psyche_common::pinocchio::AccountView;
use psyche_common::{errors, lifecycle, program, sysvar};

/// `PsyAUmhpmiUouWsnJdNGFSX8vZ6rWjXjgDPHsgqPGyw`
const ID: [u8; 32] = [
    0x05, 0xdc, 0x68, 0x6a, 0xce, 0x21, 0xfc, 0xa7, 0xb3, 0x0c, 0x73, 0xbb, 0xd9, 0x3b, 0x90, 0xd2,
    0x47, 0xc1, 0xa3, 0xaf, 0x43, 0x9b, 0x14, 0x91, 0x98, 0x6d, 0xfb, 0xbe, 0x97, 0x05, 0x0a, 0x52,
];

program! { ids: 1 = [ID], instructions: &INSTRUCTIONS }

static INSTRUCTIONS: [Instruction; 4] = [
    Instruction(
        [0x14, 0x9d, 0xc4, 0xb3, 0xe7, 0xdf, 0x6d, 0x66],
        "AuthorizationCreate",
        create,
    ),
    Instruction(
        [0x1d, 0x74, 0x41, 0xa1, 0x61, 0xbd, 0x3a, 0xf9],
        "AuthorizationGrantorUpdate",
        grantor_update,
    ),
    Instruction(
        [0xba, 0x6f, 0x7f, 0xc7, 0x59, 0x90, 0xc1, 0x43],
        "AuthorizationGranteeUpdate",
        grantee_update,
    ),
    Instruction(
        [0x81, 0xd0, 0xf8, 0x20, 0xc8, 0x85, 0x57, 0x17],
        "AuthorizationClose",
        close,
    ),
];

errors! {
    STILL_ACTIVE = 6000, "AuthorizationActiveIsTrue", "An active authorization cannot be closed";
    CLOSING_TOO_EARLY = 6001, "AuthorizationClosingConditionsNotReachedYet", "The authorization has delegates and its last grantor update is less than 30 days ago";
}

/// Seconds after a grantor update during which delegates keep an authorization open.
const CLOSING_DELAY: i64 = 30 * 24 * 60 * 60;

const NAME: &str = "authorization";

/// Section 4.1.
fn create(call: &Call) -> Outcome {
    let mut arguments = Reader::new(call.arguments);
    let (Some(grantee), Some(scope)) = (arguments.array::<32>(), arguments.bytes()) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let mut accounts = Accounts::new(call.accounts);
    let payer = accounts.signer("payer")?;
    let grantor = accounts.signer("grantor")?;
    let mut authorization = accounts.any(NAME)?;
    accounts.system_program()?;

    let grantor: &[u8; 32] = grantor.address().as_array();
    let seeds: [&[u8]; 4] = [SEED, grantor, grantee, scope];
    let bump = lifecycle::find_bump(&authorization, &seeds, call.program, NAME)?;
    let bump_seed = [bump];
    let signer = [
        Seed::from(SEED),
        Seed::from(grantor),
        Seed::from(grantee),
        Seed::from(scope),
        Seed::from(&bump_seed),
    ];
    let space = BASE_LEN + scope.len();
    lifecycle::create(&payer, &authorization, space, call.program, &signer, NAME)?;
    require_writable(&payer, "payer")?;

    // The new account is all zero: inactive, no delegates, never updated.
    let data = data_mut(&mut authorization);
    data[..8].copy_from_slice(&DISCRIMINATOR);
    data[8] = bump;
    data[9..41].copy_from_slice(grantor);
    data[41..73].copy_from_slice(grantee);
    data[73..77].copy_from_slice(&(scope.len() as u32).to_le_bytes());
    copy(&mut data[SCOPE_AT..], scope);
    Ok(())
}

/// Section 4.2.
fn grantor_update(call: &Call) -> Outcome {
    let active = Reader::new(call.arguments)
        .boolean()
        .ok_or(&BAD_ARGUMENTS)?;
    let mut accounts = Accounts::new(call.accounts);
    let grantor = accounts.signer("grantor")?;
    let (mut account, authorization) = authorization(&mut accounts, call)?;
    require_writable(&account, NAME)?;
    require_raw(
        same_key(authorization.grantor, grantor.address().as_array()),
        NAME,
    )?;

    let active_at = SCOPE_AT + authorization.scope.len();
    let timestamp_at = active_at + 5 + (authorization.delegates.len() << 5);
    let now = sysvar::now()?.unix_timestamp;
    let data = data_mut(&mut account);
    data[active_at] = active as u8;
    data[timestamp_at..timestamp_at + 8].copy_from_slice(&now.to_le_bytes());
    Ok(())
}

/// Section 4.3.
fn grantee_update(call: &Call) -> Outcome {
    let mut arguments = Reader::new(call.arguments);
    let (Some(clear), Some(added)) = (arguments.boolean(), read_keys(&mut arguments)) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let mut accounts = Accounts::new(call.accounts);
    let mut payer = accounts.signer("payer")?;
    let grantee = accounts.signer("grantee")?;
    let (mut account, authorization) = authorization(&mut accounts, call)?;
    accounts.system_program()?;

    require_writable(&payer, "payer")?;
    let kept = if clear {
        0
    } else {
        authorization.delegates.len()
    };
    let count = kept + added.len();
    let count_at = SCOPE_AT + authorization.scope.len() + 1;
    let timestamp = authorization.grantor_update_unix_timestamp;
    let is_grantee = same_key(authorization.grantee, grantee.address().as_array());
    let len = BASE_LEN + authorization.scope.len() + (count << 5);
    lifecycle::resize(&mut account, &mut payer, len, NAME)?;
    require_writable(&account, NAME)?;
    require_raw(is_grantee, NAME)?;

    let data = data_mut(&mut account);
    data[count_at..count_at + 4].copy_from_slice(&(count as u32).to_le_bytes());
    let mut at = count_at + 4 + (kept << 5);
    for key in added {
        data[at..at + 32].copy_from_slice(key);
        at += 32;
    }
    data[at..at + 8].copy_from_slice(&timestamp.to_le_bytes());
    Ok(())
}

/// Section 4.4.
fn close(call: &Call) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let grantor = accounts.signer("grantor")?;
    let mut spill = accounts.system_account("spill")?;
    let (mut account, authorization) = authorization(&mut accounts, call)?;
    accounts.system_program()?;

    require_writable(&spill, "spill")?;
    require_writable(&account, NAME)?;
    require_raw(
        same_key(authorization.grantor, grantor.address().as_array()),
        NAME,
    )?;
    require(!same(account.address(), spill.address()), || {
        CLOSE_TARGET.on(NAME)
    })?;

    require(!authorization.active, || (&STILL_ACTIVE).into())?;
    let open_until = authorization
        .grantor_update_unix_timestamp
        .saturating_add(CLOSING_DELAY);
    let closable =
        authorization.delegates.is_empty() || sysvar::now()?.unix_timestamp >= open_until;
    require(closable, || (&CLOSING_TOO_EARLY).into())?;
    lifecycle::close(&mut account, &mut spill);
    Ok(())
}

fn authorization(
    accounts: &mut Accounts,
    call: &Call,
) -> Outcome<(AccountView, Authorization<'static>)> {
    let account = accounts.borsh(call.program, &DISCRIMINATOR, NAME)?;
    let content = Authorization::read(data(&account)).ok_or_else(|| ACCOUNT_BROKEN.on(NAME))?;
    Ok((account, content))
}
