//! Paying out a client's points (docs/protocol/onchain-treasurer.md 4.3 and 4.4).

use crate::coordinator;
use crate::error::INVALID_PARAMETER;
use crate::state::{Participant, Run};
use crate::token::{self, Transfer};
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::lifecycle;
use psyche_common::pinocchio::cpi::Seed;

const USER_COLLATERAL: &str = "user_collateral";
const RUN_COLLATERAL: &str = "run_collateral";

/// Section 4.3.
pub fn create(call: &Call) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let payer = accounts.signer("payer")?;
    let user = accounts.signer("user")?;
    let (run, _) = Run::next(&mut accounts, call)?;
    let mut view = accounts.any(Participant::NAME)?;
    accounts.system_program()?;

    let (run, user) = (run.address().as_array(), user.address().as_array());
    let seeds: [&[u8]; 3] = [Participant::SEED, run, user];
    let bump = lifecycle::find_bump(&view, &seeds, call.program, Participant::NAME)?;
    let bump_seed = [bump];
    let signer =
        [Seed::from(Participant::SEED), Seed::from(run), Seed::from(user), Seed::from(&bump_seed)];
    let (len, name) = (Participant::LEN, Participant::NAME);
    lifecycle::create(&payer, &view, len, call.program, &signer, name)?;
    require_writable(&payer, "payer")?;
    Participant::write(&mut view, bump);
    Ok(())
}

/// Section 4.4. One base unit of the collateral for each point.
pub fn claim(call: &Call) -> Outcome {
    let points = Reader::new(call.arguments).u64().ok_or(&BAD_ARGUMENTS)?;
    let mut accounts = Accounts::new(call.accounts);
    let user = accounts.signer("user")?;
    let user_collateral = token::next_account(&mut accounts, USER_COLLATERAL)?;
    let (mut run_view, run) = Run::next(&mut accounts, call)?;
    let run_collateral = token::next_account(&mut accounts, RUN_COLLATERAL)?;
    let coordinator_account = coordinator::next_account(&mut accounts)?;
    let (mut view, participant) = Participant::next(&mut accounts, call)?;
    accounts.program(&token::TOKEN_PROGRAM, "token_program")?;

    let user_key = user.address().as_array();
    let run_key = *run_view.address().as_array();
    require_writable(&user_collateral.0, USER_COLLATERAL)?;
    require_raw(same_key(user_collateral.1.mint, run.collateral_mint), USER_COLLATERAL)?;
    require_raw(same_key(user_collateral.1.owner, user_key), USER_COLLATERAL)?;
    require_raw(!user_collateral.1.has_delegate, USER_COLLATERAL)?;
    require_writable(&run_view, Run::NAME)?;
    let coordinator_key = coordinator_account.address().as_array();
    require_raw(same_key(run.coordinator_account, coordinator_key), Run::NAME)?;
    token::require_associated(&run_collateral, &run_key, run.collateral_mint, RUN_COLLATERAL)?;
    require_writable(&run_collateral.0, RUN_COLLATERAL)?;
    coordinator::require_version(&coordinator_account)?;
    let seeds: [&[u8]; 4] = [Participant::SEED, &run_key, user_key, participant.bump];
    require_seeds(&view, &seeds, call.program, Participant::NAME)?;
    require_writable(&view, Participant::NAME)?;

    // An underflow is a panic: earned points never go down.
    let unclaimed =
        coordinator::earned(&coordinator_account, user_key) - participant.claimed_earned_points;
    require(points <= unclaimed, || (&INVALID_PARAMETER).into())?;
    Participant::add_claim(&mut view, points);
    Run::add_claim(&mut run_view, points);
    let transfer =
        Transfer { from: &run_collateral.0, to: &user_collateral.0, authority: &run_view };
    token::transfer(&transfer, points, &run.seeds())
}
