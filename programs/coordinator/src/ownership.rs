//! Creating, configuring and closing a run (docs/protocol/onchain-coordinator.md 4.1 to 4.5, 4.7).

use crate::error::*;
use crate::groups::*;
use crate::layout::{
    Account, Config, ACCOUNT_LEN, DISCRIMINATOR, LAYOUT_VERSION, MAX_CLIENTS, MAX_WITNESSES,
    MODEL_LEN,
};
use crate::model;
use crate::run_state::*;
use crate::run_tick::{log_state, run_tick};
use crate::tick::{pause, start_waiting};
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::lifecycle;
use psyche_common::log::Line;
use psyche_common::memory::{clear, copy};
use psyche_common::pinocchio::cpi::Seed;
use psyche_common::sysvar::now;

const MAX_RUN_ID: usize = 32;

/// Section 4.1.
pub fn init_coordinator(call: &Call) -> Outcome {
    let mut arguments = Reader::new(call.arguments);
    let (Some(main_authority), Some(join_authority), Some(run_id), Some(client_version)) = (
        arguments.array::<32>(),
        arguments.array::<32>(),
        arguments.text(),
        arguments.text(),
    ) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let mut accounts = Accounts::new(call.accounts);
    let payer = accounts.signer("payer")?;
    let mut instance = accounts.any(INSTANCE)?;
    let mut view = accounts.any(ACCOUNT)?;
    accounts.system_program()?;

    let seed = run_id_seed(run_id);
    let bump = lifecycle::find_bump(&instance, &[INSTANCE_SEED, seed], call.program, INSTANCE)?;
    let bump_seed = [bump];
    let signer = [
        Seed::from(INSTANCE_SEED),
        Seed::from(seed),
        Seed::from(&bump_seed),
    ];
    lifecycle::create(
        &payer,
        &instance,
        INSTANCE_LEN,
        call.program,
        &signer,
        INSTANCE,
    )?;
    require_writable(&payer, "payer")?;
    require_writable(&view, ACCOUNT)?;
    require(view.owned_by(call.program), || OWNER.on(ACCOUNT))?;

    require(run_id.len() <= MAX_RUN_ID, || (&RUN_ID_TOO_LONG).into())?;
    let content = data_mut(&mut instance);
    content[..8].copy_from_slice(&INSTANCE_DISCRIMINATOR);
    content[8] = bump;
    content[9..41].copy_from_slice(main_authority);
    content[41..73].copy_from_slice(join_authority);
    content[73..105].copy_from_slice(view.address().as_array());
    content[105..109].copy_from_slice(&(run_id.len() as u32).to_le_bytes());
    copy(&mut content[109..], run_id);

    require(view.data_len() == ACCOUNT_LEN, || (&ACCOUNT_SIZE).into())?;
    let head = &mut data_mut(&mut view)[..8];
    require(head.iter().all(|byte| *byte == 0), || {
        (&DISCRIMINATOR_SET).into()
    })?;
    head.copy_from_slice(&DISCRIMINATOR);
    let account = Account::of(&mut view);
    account.version = LAYOUT_VERSION;
    account.nonce = 0;
    let version_len = client_version.len().min(account.client_version.len());
    store_text(&mut account.client_version, &client_version[..version_len]);
    store_text(&mut account.coordinator.run_id, run_id);
    Ok(())
}

fn store_text(field: &mut [u8], text: &[u8]) {
    clear(field);
    copy(field, text);
}

/// Section 4.2.
pub fn free_coordinator(call: &Call) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let authority = accounts.signer("authority")?;
    let mut spill = accounts.system_account("spill")?;
    let (mut instance_view, instance) = Instance::next(&mut accounts, call)?;
    let mut view = next_account(&mut accounts, call)?;

    require_writable(&spill, "spill")?;
    instance.require_seeds(&instance_view, call)?;
    require_writable(&instance_view, INSTANCE)?;
    require_raw(
        same_key(instance.main_authority, authority.address().as_array()),
        INSTANCE,
    )?;
    require(!same(instance_view.address(), spill.address()), || {
        CLOSE_TARGET.on(INSTANCE)
    })?;
    require_writable(&view, ACCOUNT)?;
    require_raw(
        same_key(instance.coordinator_account, view.address().as_array()),
        ACCOUNT,
    )?;
    require(!same(view.address(), spill.address()), || {
        CLOSE_TARGET.on(ACCOUNT)
    })?;

    let halted = Account::of(&mut view).coordinator.is_halted();
    require(halted, || (&CLOSE_NOT_HALTED).into())?;
    lifecycle::close(&mut instance_view, &mut spill);
    lifecycle::close(&mut view, &mut spill);
    Ok(())
}

struct Update<'a> {
    metadata: Option<&'a [u8; 360]>,
    config: Option<Config>,
    has_model: bool,
    progress: Option<(u16, u32, u64)>,
}

#[inline(never)]
fn read_update<'a>(arguments: &'a [u8], block: &mut [u8; MODEL_LEN]) -> Option<Update<'a>> {
    let mut reader = Reader::new(arguments);
    let metadata = reader.option(|r| r.array())?;
    let config = match reader.option(|r| r.array::<64>())? {
        // SAFETY: 64 bytes of integers in the same order and places as in memory.
        Some(bytes) => Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast::<Config>()) }),
        None => None,
    };
    let has_model = reader.boolean()?;
    if has_model {
        model::read_model(&mut reader, block)?;
    }
    let progress = reader.option(|r| Some((r.u16()?, r.u32()?, r.u64()?)))?;
    Some(Update {
        metadata,
        config,
        has_model,
        progress,
    })
}

/// Section 4.3.
pub fn update(call: &Call) -> Outcome {
    let mut block = [0u8; MODEL_LEN];
    let Some(update) = read_update(call.arguments, &mut block) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let account = owner_group(call)?;
    bump_nonce(account);
    let run = &mut account.coordinator;
    require(run.run_state != FINISHED, || {
        (&UPDATE_CONFIG_FINISHED).into()
    })?;
    let changes_run = update.config.is_some() || update.has_model || update.progress.is_some();
    require(run.is_halted() || !changes_run, || {
        (&UPDATE_CONFIG_NOT_HALTED).into()
    })?;

    if let Some(metadata) = update.metadata {
        copy(&mut account.metadata, metadata);
    }
    if let Some(config) = &update.config {
        require(is_config_valid(config), || (&CONFIG_INVALID).into())?;
        run.config = *config;
    }
    if update.has_model {
        require(model::is_valid(&block), || (&MODEL_INVALID).into())?;
        copy(&mut run.model, &block);
    }
    if update.config.is_some() || update.has_model {
        let fits = model::cold_start_fits(&run.model, &run.config);
        require(fits, || (&CONFIG_INVALID).into())?;
    }
    if let Some((epoch, step, epoch_start_data_index)) = update.progress {
        // The model's error number, as on the network.
        require(step > 0, || (&MODEL_INVALID).into())?;
        run.progress.epoch = epoch;
        run.progress.step = step;
        run.progress.epoch_start_data_index = epoch_start_data_index;
    }
    Ok(())
}

/// docs/protocol/run-config.md section 5.
#[inline(never)]
fn is_config_valid(config: &Config) -> bool {
    config.warmup_time < config.epoch_time
        && (1..config.epoch_time).contains(&config.max_round_train_time)
        && config.round_witness_time != 0
        && config.min_clients != 0
        && config.init_min_clients >= config.min_clients
        && config.init_min_clients as usize <= MAX_CLIENTS
        && config.global_batch_size_start != 0
        && config.global_batch_size_end >= config.global_batch_size_start
        && config.total_steps != 0
        && config.witness_nodes <= config.min_clients
        && config.witness_nodes as usize <= MAX_WITNESSES
        && config.cooldown_time != 0
        && config.waiting_for_members_extra_time != 0
}

/// Section 4.4. Does not change the nonce.
pub fn update_client_version(call: &Call) -> Outcome {
    let Some(version) = Reader::new(call.arguments).text() else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let account = owner_group(call)?;
    require(account.coordinator.is_halted(), || {
        (&UPDATE_CONFIG_NOT_HALTED).into()
    })?;
    store_text(&mut account.client_version, version);
    Line::new().text("new version: ").raw(version).log();
    Ok(())
}

/// Section 4.5.
pub fn set_future_epoch_rates(call: &Call) -> Outcome {
    let mut arguments = Reader::new(call.arguments);
    let (Some(earning), Some(slashing)) =
        (arguments.option(|r| r.u64()), arguments.option(|r| r.u64()))
    else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let account = owner_group(call)?;
    bump_nonce(account);
    let rates = &mut account.clients_state.future_epoch_rates;
    if let Some(rate) = earning {
        rates.earning_rate_total_shared = rate;
    }
    if let Some(rate) = slashing {
        rates.slashing_rate_per_client = rate;
    }
    Ok(())
}

/// Section 4.7; docs/protocol/coordinator-state-machine.md section 8.
pub fn set_paused(call: &Call) -> Outcome {
    let Some(paused) = Reader::new(call.arguments).boolean() else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let account = owner_group(call)?;
    bump_nonce(account);
    let state = account.coordinator.run_state;
    log_state(
        if paused {
            "set_paused called: paused=true, state="
        } else {
            "set_paused called: paused=false, state="
        },
        state,
    );
    let clock = now()?;
    let timestamp = clock.unix_timestamp as u64;
    let run = &mut account.coordinator;
    if paused {
        require(!run.is_halted(), || (&HALTED).into())?;
        if run.is_active() {
            run.pending_pause = 1;
        } else {
            pause(run, timestamp);
        }
        return Ok(());
    }
    require(is_config_valid(&run.config), || (&CONFIG_INVALID).into())?;
    require(model::is_valid(&run.model), || (&MODEL_INVALID).into())?;
    require(model::cold_start_fits(&run.model, &run.config), || {
        (&CONFIG_INVALID).into()
    })?;
    if run.run_state == UNINITIALIZED {
        run.run_state = PAUSED;
        run.progress.step = 1;
    }
    require(run.progress.step != 0, || (&PROGRESS_INVALID).into())?;
    require(run.run_state == PAUSED, || (&CANNOT_RESUME).into())?;
    start_waiting(run, timestamp);
    account.clients_state.next_active += 1;
    run_tick(account, &clock)
}
