//! Creating and configuring a run (docs/protocol/onchain-treasurer.md 4.1 and 4.2).

use crate::coordinator::{self, Init, Owned};
use crate::error::RUN_ID_TOO_LONG;
use crate::state::Run;
use crate::token::{self, NewAssociated};
use crate::update_arguments::UpdateArguments;
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::lifecycle;
use psyche_common::pinocchio::cpi::Seed;
use psyche_common::AccountView;

const MAX_RUN_ID: usize = 32;

struct CreateArguments<'a> {
    index: &'a [u8; 8],
    run_id_len: usize,
    /// Run id and client version, encoded.
    texts: &'a [u8],
    main_authority: &'a [u8; 32],
    join_authority: &'a [u8; 32],
}

#[inline(never)]
fn read_create(arguments: &[u8]) -> Option<CreateArguments<'_>> {
    let mut reader = Reader::new(arguments);
    let index = reader.array()?;
    let mut run_id_len = 0;
    let texts = reader.span(|r| {
        run_id_len = r.text()?.len();
        r.text().map(|_| ())
    })?;
    Some(CreateArguments {
        index,
        run_id_len,
        texts,
        main_authority: reader.array()?,
        join_authority: reader.array()?,
    })
}

/// Section 4.1.
pub fn create(call: &Call) -> Outcome {
    let arguments = read_create(call.arguments).ok_or(&BAD_ARGUMENTS)?;
    let mut accounts = Accounts::new(call.accounts);
    let payer = accounts.signer("payer")?;
    let mut view = accounts.any(Run::NAME)?;
    let run_collateral = accounts.any("run_collateral")?;
    let mint = token::next_mint(&mut accounts, "collateral_mint")?;
    let instance = accounts.any(coordinator::INSTANCE)?;
    let account = accounts.any(coordinator::ACCOUNT)?;
    coordinator::next_program(&mut accounts)?;
    accounts.program(&token::ASSOCIATED_TOKEN_PROGRAM, "associated_token_program")?;
    let token_program = accounts.program(&token::TOKEN_PROGRAM, "token_program")?;
    let system_program = accounts.system_program()?;

    let bump = [create_run_account(call, &payer, &view, arguments.index)?];
    token::create_associated(&NewAssociated {
        payer: &payer,
        account: &run_collateral,
        owner: &view,
        mint: &mint,
        system_program: &system_program,
        token_program: &token_program,
    })?;
    require_writable(&payer, "payer")?;
    require_writable(&instance, coordinator::INSTANCE)?;
    require_writable(&account, coordinator::ACCOUNT)?;

    require(arguments.run_id_len <= MAX_RUN_ID, || (&RUN_ID_TOO_LONG).into())?;
    let run = Run {
        bump: &bump,
        index: arguments.index,
        main_authority: arguments.main_authority,
        join_authority: arguments.join_authority,
        coordinator_account: account.address().as_array(),
        coordinator_instance: instance.address().as_array(),
        collateral_mint: mint.address().as_array(),
    };
    run.write(&mut view);
    coordinator::init(&Init {
        payer: &payer,
        instance: &instance,
        account: &account,
        system_program: &system_program,
        main_authority: view.address().as_array(),
        join_authority: arguments.join_authority,
        texts: arguments.texts,
    })
}

#[inline(never)]
fn create_run_account(
    call: &Call,
    payer: &AccountView,
    view: &AccountView,
    index: &[u8; 8],
) -> Outcome<u8> {
    let bump = lifecycle::find_bump(view, &[Run::SEED, index], call.program, Run::NAME)?;
    let bump_seed = [bump];
    let signer = [Seed::from(Run::SEED), Seed::from(index), Seed::from(&bump_seed)];
    lifecycle::create(payer, view, Run::LEN, call.program, &signer, Run::NAME)?;
    Ok(bump)
}

/// Section 4.2. Everything that is not present stays as it is; the calls come in this order.
pub fn update(call: &Call) -> Outcome {
    let arguments = UpdateArguments::read(call.arguments).ok_or(&BAD_ARGUMENTS)?;
    let mut accounts = Accounts::new(call.accounts);
    let authority = accounts.signer("authority")?;
    let (view, run) = Run::next(&mut accounts, call)?;
    let instance = coordinator::next_instance(&mut accounts)?;
    let account = coordinator::next_account(&mut accounts)?;
    coordinator::next_program(&mut accounts)?;

    let matches = |key: &[u8; 32], account: &AccountView| {
        require_raw(same_key(key, account.address().as_array()), Run::NAME)
    };
    matches(run.main_authority, &authority)?;
    matches(run.coordinator_instance, &instance)?;
    matches(run.coordinator_account, &account)?;
    require_writable(&account, coordinator::ACCOUNT)?;

    let owned = Owned { run: &run, authority: &view, instance: &instance, account: &account };
    let calls = [
        (&coordinator::UPDATE, arguments.update),
        (&coordinator::SET_FUTURE_EPOCH_RATES, arguments.rates),
        (&coordinator::SET_PAUSED, arguments.paused),
        (&coordinator::UPDATE_CLIENT_VERSION, arguments.client_version),
    ];
    for (discriminator, arguments) in calls {
        if let Some(arguments) = arguments {
            owned.call(discriminator, arguments)?;
        }
    }
    Ok(())
}
