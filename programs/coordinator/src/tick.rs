//! The state machine (docs/protocol/coordinator-state-machine.md sections 4 and 5).

use crate::error::*;
use crate::layout::*;
use crate::model;
use crate::run_state::*;
use crate::selection::first_word;
use psyche_common::accounts::same_key;
use psyche_common::batch_size::batch_size;
use psyche_common::error::Outcome;
use psyche_common::hash::sha256;
use psyche_common::sysvar::Now;

pub enum Event {
    Ticked,
    EpochEnd { success: bool },
}

/// One step of the state machine. `joined` are the entries of the run's clients; those that joined
/// for the coming epoch are its pending members.
pub fn tick(run: &mut Coordinator, joined: &ClientsState, clock: &Now) -> Outcome<Event> {
    let now = clock.unix_timestamp as u64;
    match run.run_state {
        WAITING_FOR_MEMBERS => tick_waiting_for_members(run, joined, now),
        WARMUP => return Ok(tick_warmup(run, clock)),
        ROUND_TRAIN => {
            if run.has_timed_out(run.config.max_round_train_time, now) {
                run.change_state(ROUND_WITNESS, now);
            }
        }
        ROUND_WITNESS => tick_round_witness(run, clock),
        COOLDOWN => return Ok(tick_cooldown(run, now)),
        _ => return Err((&HALTED).into()),
    }
    Ok(Event::Ticked)
}

pub fn pending(joined: &ClientsState) -> impl Iterator<Item = &JoinedClient> {
    joined
        .clients
        .items()
        .iter()
        .filter(|client| client.active == joined.next_active)
}

#[inline(never)]
fn tick_waiting_for_members(run: &mut Coordinator, joined: &ClientsState, now: u64) {
    let enough = pending(joined).count() >= run.config.init_min_clients as usize;
    let waited = run.config.waiting_for_members_extra_time as u64;
    if pending(joined).next().is_none() || !enough || !run.has_timed_out(waited, now) {
        return;
    }
    let height = run.epoch.round().height;
    exit_unhealthy(&mut run.epoch, height);

    // Weights can come from peers only when somebody of the last epoch is back. Members are in the
    // order of joining, so one walk finds them; comparing all with all would exceed the compute limit.
    let mut survivors = run.epoch.clients.items().iter().peekable();
    let mut has_survivor = false;
    for client in joined.clients.items() {
        let is_survivor = |s: &&Client| same_key(&s.id.signer, &client.id.signer);
        if survivors.next_if(is_survivor).is_some() {
            has_survivor |= client.active == joined.next_active;
        }
    }
    if !has_survivor {
        match model::checkpoint_tag(&run.model) {
            model::P2P => model::set_checkpoint_tag(&mut run.model, model::HUB),
            model::P2P_GCS => model::set_checkpoint_tag(&mut run.model, model::GCS),
            _ => {}
        }
    }

    let cold_start_epoch = run.epoch.cold_start_epoch;
    zero(&mut run.epoch);
    run.epoch.first_round = 1;
    run.epoch.cold_start_epoch = cold_start_epoch;
    run.epoch.start_step = run.progress.step;
    run.epoch.start_timestamp = now;
    for client in pending(joined) {
        match run.epoch.clients.grow() {
            Some(slot) => *slot = Client::new(&client.id),
            None => break,
        }
    }
    run.change_state(WARMUP, now);
}

fn tick_warmup(run: &mut Coordinator, clock: &Now) -> Event {
    let now = clock.unix_timestamp as u64;
    if run.has_timed_out(run.config.warmup_time, now) {
        start_round_train(run, clock);
    } else {
        exit_unhealthy(&mut run.epoch, 0);
    }
    if run.epoch.clients.len() < run.config.min_clients as usize {
        start_waiting(run, now);
        return Event::EpochEnd { success: false };
    }
    Event::Ticked
}

fn tick_round_witness(run: &mut Coordinator, clock: &Now) {
    let now = clock.unix_timestamp as u64;
    if !run.has_timed_out(run.config.round_witness_time, now) {
        return;
    }
    run.epoch.first_round = 0;
    run.progress.step += 1;
    let witnesses = run.epoch.round().witnesses.len();
    let height = run.epoch.round().height;
    exit_unhealthy(&mut run.epoch, height);
    if witnesses == 0 {
        withdraw_all(&mut run.epoch);
        return start_cooldown(run, now);
    }
    if run.has_epoch_timed_out(now) && run.epoch.last_step == 0 {
        // Two more rounds apply the results that are still on their way.
        let last = run.progress.step + 2;
        if last >= 4 {
            run.epoch.last_step = last;
        }
    }
    let is_last = run.epoch.last_step != 0 && run.progress.step == run.epoch.last_step;
    if is_last
        || run.epoch.clients.len() < run.config.min_clients as usize
        || witnesses < quorum(&run.config, witnesses)
        || run.progress.step >= run.config.total_steps
        || run.pending_pause != 0
    {
        return start_cooldown(run, now);
    }
    start_round_train(run, clock);
}

fn tick_cooldown(run: &mut Coordinator, now: u64) -> Event {
    if !run.has_timed_out(run.config.cooldown_time, now) {
        return Event::Ticked;
    }
    run.progress.epoch_start_data_index = next_data_index(run);
    run.progress.epoch += 1;
    let height = run.epoch.round().height;
    exit_unhealthy(&mut run.epoch, height);
    match model::checkpoint_tag(&run.model) {
        model::HUB | model::DUMMY => model::set_checkpoint_tag(&mut run.model, model::P2P),
        model::GCS => model::set_checkpoint_tag(&mut run.model, model::P2P_GCS),
        _ => {}
    }
    if run.pending_pause != 0 {
        run.pending_pause = 0;
        pause(run, now);
    } else {
        start_waiting(run, now);
        run.epoch.cold_start_epoch = 0;
    }
    Event::EpochEnd { success: true }
}

/// Everybody leaves, and the next epoch starts cold.
pub fn pause(run: &mut Coordinator, now: u64) {
    withdraw_all(&mut run.epoch);
    run.change_state(PAUSED, now);
    run.epoch.cold_start_epoch = 1;
}

pub fn start_waiting(run: &mut Coordinator, now: u64) {
    let done = run.progress.step >= run.config.total_steps;
    run.change_state(if done { FINISHED } else { WAITING_FOR_MEMBERS }, now);
}

fn start_cooldown(run: &mut Coordinator, now: u64) {
    run.epoch.round_mut().witnesses.reset();
    run.change_state(COOLDOWN, now);
}

#[inline(never)]
pub fn start_round_train(run: &mut Coordinator, clock: &Now) {
    let (head, height, data_index) = if run.epoch.first_round != 0 {
        (0, 0, run.progress.epoch_start_data_index)
    } else {
        let head = (run.epoch.rounds_head + 1) % ROUNDS as u32;
        (head, run.epoch.round().height + 1, next_data_index(run))
    };
    run.epoch.rounds_head = head;
    let clients_len = run.epoch.clients.len() as u16;
    let round = run.epoch.round_mut();
    round.clients_len = clients_len;
    round.height = height;
    round.data_index = data_index;
    round.tie_breaker_tasks = 0;
    round.random_seed = random_seed(clock);
    round.witnesses.reset();
    run.change_state(ROUND_TRAIN, clock.unix_timestamp as u64);
}

/// Section 3.
fn random_seed(clock: &Now) -> u64 {
    first_word(&sha256(&[
        &clock.unix_timestamp.to_le_bytes(),
        &clock.slot.to_le_bytes(),
    ]))
}

/// The data index behind the current round.
fn next_data_index(run: &Coordinator) -> u64 {
    let data_index = run.epoch.round().data_index;
    let seq_len = model::max_seq_len(&run.model) as u64;
    // The back end has no 128-bit product, so the overflow check goes by halves.
    let low = (data_index & 0xffff_ffff).wrapping_mul(seq_len);
    let high = (data_index >> 32).wrapping_mul(seq_len) + (low >> 32);
    assert!(high >> 32 == 0);
    let tokens = high << 32 | low & 0xffff_ffff;
    let config = &run.config;
    let size = batch_size(
        config.global_batch_size_start,
        config.global_batch_size_end,
        config.global_batch_size_warmup_tokens,
        tokens,
    );
    data_index + size as u64
}

fn withdraw_all(epoch: &mut Epoch) {
    for client in epoch.clients.items_mut() {
        if client.state == Client::HEALTHY {
            client.state = Client::WITHDRAWN;
        }
    }
}

/// Moves every client that is not healthy to the exited list; the others keep their order.
#[inline(never)]
fn exit_unhealthy(epoch: &mut Epoch, height: u32) {
    let len = epoch.clients.len();
    let mut kept = 0;
    for i in 0..len {
        let client = epoch.clients.items()[i];
        if client.state == Client::HEALTHY {
            if kept != i {
                epoch.clients.items_mut()[kept] = client;
            }
            kept += 1;
        } else {
            let slot = epoch.exited_clients.grow().unwrap();
            *slot = client;
            slot.exited_height = height;
        }
    }
    if kept != len {
        epoch.clients.truncate(kept);
    }
}

/// Witnesses needed of `witnesses` (or of the configured number). Panics for none.
pub fn quorum(config: &Config, witnesses: usize) -> usize {
    let nodes = config.witness_nodes as usize;
    match if nodes == 0 { witnesses } else { nodes } {
        0 => panic!(),
        1 => 1,
        2 | 3 => 2,
        many => many.wrapping_mul(2) / 3,
    }
}
