//! The tick with its logs, its epoch book-keeping and the distribution of points
//! (docs/protocol/coordinator-state-machine.md section 6).

use crate::layout::*;
use crate::run_state::*;
use crate::tick::{pending, tick, Event};
use psyche_common::accounts::same_key;
use psyche_common::error::Outcome;
use psyche_common::log::{log, Line};
use psyche_common::sysvar::Now;

#[inline(never)]
pub fn run_tick(account: &mut Account, clock: &Now) -> Outcome {
    let run = &mut account.coordinator;
    if run.run_state == WAITING_FOR_MEMBERS {
        account.is_warmup_first_tick = 1;
        account.is_training_first_tick = 1;
        log_number(
            "Pending active clients ids: ",
            pending(&account.clients_state).count() as u64,
        );
    }
    log_state("Pre-tick run state: ", run.run_state);
    match tick(run, &account.clients_state, clock)? {
        Event::Ticked => {
            let is_first = run.epoch.first_round != 0;
            if is_first && run.run_state == WARMUP && account.is_warmup_first_tick != 0 {
                log(b"New epoch just starting, save epoch rewards rate");
                account.clients_state.current_epoch_rates =
                    account.clients_state.future_epoch_rates;
                account.is_warmup_first_tick = 0;
            } else if is_first
                && run.run_state == ROUND_TRAIN
                && account.is_training_first_tick != 0
            {
                log(b"New epoch just starting, save epoch active clients");
                account.clients_state.next_active += 1;
                account.is_training_first_tick = 0;
            }
        }
        Event::EpochEnd { success } => {
            // The misspelling is part of the line.
            log(if success {
                b"Epoch end, sucecsss: true"
            } else {
                b"Epoch end, sucecsss: false"
            });
            distribute(&mut account.clients_state, &run.epoch);
        }
    }
    log_state("Post-tick run state: ", run.run_state);
    Ok(())
}

/// Pays the healthy members of the ended epoch and slashes the ejected ones, by two cursors that
/// only move on a match.
#[inline(never)]
fn distribute(joined: &mut ClientsState, epoch: &Epoch) {
    let rates = joined.current_epoch_rates;
    let mut members = epoch.clients.items().iter().peekable();
    let mut exited = epoch.exited_clients.items().iter().peekable();
    let count = epoch.clients.len() as u64;
    let share = if count == 0 {
        0
    } else {
        rates.earning_rate_total_shared / count
    };
    for client in joined.clients.items_mut() {
        if let Some(member) = members.next_if(|m| same_key(&m.id.signer, &client.id.signer)) {
            if member.state == Client::HEALTHY {
                client.earned += share;
            }
        }
        if let Some(gone) = exited.next_if(|x| same_key(&x.id.signer, &client.id.signer)) {
            if gone.state == Client::EJECTED {
                client.slashed += rates.slashing_rate_per_client;
            }
        }
    }
}

#[inline(never)]
pub fn log_state(prefix: &str, state: u8) {
    Line::new().text(prefix).raw(name(state)).log();
}

#[inline(never)]
pub fn log_number(prefix: &str, number: u64) {
    Line::new().text(prefix).number(number).log();
}
