//! Joining, ticking, witnessing, reporting and checkpoints: what clients send
//! (docs/protocol/onchain-coordinator.md 4.6 and 4.8 to 4.12; coordinator-state-machine.md 7 and 9 to 12).

use crate::error::*;
use crate::groups::*;
use crate::layout::*;
use crate::model;
use crate::run_state::*;
use crate::run_tick::run_tick;
use crate::selection::{Selection, TRAINER};
use crate::tick::{quorum, start_round_train};
use crate::PROGRAM_IDS;
use psyche_common::accounts::*;
use psyche_common::authorization::{self, Authorization};
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::hash::sha256;
use psyche_common::log::Line;
use psyche_common::sysvar::now;

/// What a join authorization is for.
const JOIN_SCOPE: &[u8] = b"CoordinatorJoinRun";

#[inline(always)]
fn read_identity(reader: &mut Reader) -> Option<Identity> {
    Some(Identity {
        signer: *reader.array()?,
        p2p_identity: *reader.array()?,
    })
}

/// Section 4.6.
pub fn join_run(call: &Call) -> Outcome {
    let Some(id) = read_identity(&mut Reader::new(call.arguments)) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let authorizer = PROGRAM_IDS.get(1);
    let mut accounts = Accounts::new(call.accounts);
    let user = accounts.signer("user")?;
    let permit = accounts.borsh(&authorizer, &authorization::DISCRIMINATOR, "authorization")?;
    let authorization =
        Authorization::read(data(&permit)).ok_or_else(|| ACCOUNT_BROKEN.on("authorization"))?;
    let (instance_view, instance) = Instance::next(&mut accounts, call)?;
    let mut view = next_account(&mut accounts, call)?;
    let user_key = user.address().as_array();
    let authorized = authorization.is_valid_for(instance.join_authority, user_key, JOIN_SCOPE);
    require_raw(authorized, "authorization")?;
    instance.require_seeds(&instance_view, call)?;
    let account = instance.load(&mut view)?;

    require(same_key(&id.signer, user_key), || (&SIGNER_MISMATCH).into())?;
    bump_nonce(account);
    enlist(account, &id)?;
    if account.coordinator.is_halted() {
        return Ok(());
    }
    run_tick(account, &now()?)
}

#[inline(never)]
fn enlist(account: &mut Account, id: &Identity) -> Outcome {
    let state = &mut account.clients_state;
    let next_active = state.next_active;
    if let Some(client) = state.find(&id.signer) {
        client.id = *id;
        client.active = next_active;
        Line::new()
            .text("Existing client ")
            .hex(&id.signer[..4])
            .text(" re-joined")
            .log();
        return Ok(());
    }
    let limit = account.coordinator.config.global_batch_size_end as usize;
    require(state.clients.len() != limit, || {
        (&MORE_CLIENTS_THAN_BATCHES).into()
    })?;
    let Some(slot) = state.clients.grow() else {
        return Err((&CLIENTS_FULL).into());
    };
    *slot = JoinedClient {
        id: *id,
        unused: 0,
        earned: 0,
        slashed: 0,
        active: next_active,
    };
    let mut line = Line::new();
    line.text("New client ")
        .hex(&id.signer[..4])
        .text(" joined, ");
    line.number(state.clients.len() as u64)
        .text(" total clients")
        .log();
    Ok(())
}

/// Section 4.8.
pub fn tick(call: &Call) -> Outcome {
    let (_, account) = permissionless_group(call)?;
    bump_nonce(account);
    run_tick(account, &now()?)
}

/// The parts of a witness as sent; blooms and root stay where they are until they are stored.
struct Report<'a> {
    proof: WitnessProof,
    blooms_and_root: &'a [u8; 416],
}

impl Report<'_> {
    #[inline(always)]
    fn read<'a>(reader: &mut Reader<'a>) -> Option<Report<'a>> {
        let proof = WitnessProof::new(reader.u64()?, reader.u64()?, reader.u8()?);
        Some(Report {
            proof,
            blooms_and_root: reader.array()?,
        })
    }
}

/// The metadata of a witness is for readers of the transaction; here it only has to decode.
#[inline(never)]
fn is_metadata_well_formed(reader: &mut Reader) -> bool {
    #[inline(always)]
    fn check(reader: &mut Reader) -> Option<()> {
        reader.u32()?;
        for _ in 0..3 {
            reader.f32()?;
        }
        for _ in 0..8 {
            reader.take(32)?;
            reader.f32()?;
        }
        // Number of evals, 16 tokens and their number, prompt index.
        reader.take(8 + 16 * 4 + 8 + 1)?;
        reader.f32()?;
        Some(())
    }
    check(reader).is_some()
}

/// Common start of everything but the tick: group, nonce, and a signer who has joined the run.
#[inline(never)]
fn client_group(call: &Call) -> Outcome<(Key, &'static mut Account)> {
    let (user, account) = permissionless_group(call)?;
    bump_nonce(account);
    let joined = account.clients_state.find(&user).is_some();
    require(joined, || (&SIGNER_NOT_A_CLIENT).into())?;
    Ok((user, account))
}

/// Section 4.9.
pub fn witness(call: &Call) -> Outcome {
    let mut reader = Reader::new(call.arguments);
    let report = match Report::read(&mut reader) {
        Some(report) if is_metadata_well_formed(&mut reader) => report,
        _ => return Err((&BAD_ARGUMENTS).into()),
    };
    let (user, account) = client_group(call)?;
    let run = &mut account.coordinator;
    require(!run.is_halted(), || (&HALTED).into())?;
    let in_round = matches!(run.run_state, ROUND_TRAIN | ROUND_WITNESS);
    require(in_round, || (&INVALID_RUN_STATE).into())?;
    let Some(selection) = Selection::of(run.epoch.round(), &run.config) else {
        return Err((&INVALID_SELECTION).into());
    };
    let WitnessProof {
        index,
        position,
        witness,
        ..
    } = report.proof;
    let is_sender = match run.epoch.clients.items().get(index as usize) {
        Some(client) => same_key(&client.id.signer, &user),
        None => false,
    };
    // The byte is compared as it is: only 1 counts as true here.
    let elected = is_sender && witness == 1 && selection.is_witness(index, position);
    require(elected, || (&INVALID_WITNESS).into())?;

    let clock = now()?;
    if store(run, &user, &report)? && run.run_state == ROUND_TRAIN {
        run.change_state(ROUND_WITNESS, clock.unix_timestamp as u64);
    }
    run_tick(account, &clock)
}

/// Section 4.10.
pub fn warmup_witness(call: &Call) -> Outcome {
    let Some(report) = Report::read(&mut Reader::new(call.arguments)) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let (user, account) = client_group(call)?;
    let run = &mut account.coordinator;
    require(!run.is_halted(), || (&HALTED).into())?;
    let clock = now()?;
    // In RoundTrain the message is late, which is nobody's fault: nothing is stored.
    if run.run_state != ROUND_TRAIN {
        require(run.run_state == WARMUP, || (&INVALID_RUN_STATE).into())?;
        if store(run, &user, &report)? {
            start_round_train(run, &clock);
        }
    }
    run_tick(account, &clock)
}

/// Stores a witness in the current round; whether all that are expected are there now.
#[inline(never)]
fn store(run: &mut Coordinator, user: &Key, report: &Report) -> Outcome<bool> {
    let expected = match run.config.witness_nodes {
        0 => run.epoch.clients.len().min(MAX_WITNESSES),
        nodes => nodes as usize,
    };
    let clients = run.epoch.clients.items();
    let stored = run.epoch.round().witnesses.items();
    // An index out of range panics: a warmup witness may have brought one.
    let duplicate = stored
        .iter()
        .any(|w| same_key(&clients[w.proof.index as usize].id.signer, user));
    require(!duplicate, || (&DUPLICATE_WITNESS).into())?;
    let witnesses = &mut run.epoch.round_mut().witnesses;
    let Some(slot) = witnesses.grow() else {
        return Err((&WITNESSES_FULL).into());
    };
    slot.proof = report.proof;
    // SAFETY: two filters and a root follow the proof, 416 bytes of integers without padding.
    unsafe {
        let target = (&raw mut slot.participant_bloom).cast::<[u8; 416]>();
        target.copy_from_nonoverlapping(report.blooms_and_root, 1);
    }
    Ok(witnesses.len() == expected)
}

const _: () = assert!(core::mem::offset_of!(Witness, broadcast_merkle) + 32 == 24 + 416);

/// Section 4.11.
pub fn health_check(call: &Call) -> Outcome {
    let mut reader = Reader::new(call.arguments);
    let (Some(id), Some(committee), Some(position), Some(index)) = (
        read_identity(&mut reader),
        reader.variant(3),
        reader.u64(),
        reader.u64(),
    ) else {
        return Err((&BAD_ARGUMENTS).into());
    };
    let (_, account) = client_group(call)?;
    let run = &mut account.coordinator;
    require(!run.is_halted(), || (&HALTED).into())?;
    require(run.epoch.round().height >= 2, || {
        (&INVALID_HEALTH_CHECK).into()
    })?;
    let proof = Proof {
        committee,
        position,
        index,
    };
    require(!is_healthy(run, &id, &proof)?, || {
        (&INVALID_HEALTH_CHECK).into()
    })?;
    let client = &mut run.epoch.clients.items_mut()[index as usize];
    if client.state == Client::HEALTHY {
        client.state = Client::DROPPED;
    }
    run_tick(account, &now()?)
}

struct Proof {
    committee: u8,
    position: u64,
    index: u64,
}

/// Whether enough witnesses of the previous round saw the client take part.
#[inline(never)]
fn is_healthy(run: &Coordinator, id: &Identity, proof: &Proof) -> Outcome<bool> {
    let is_named = |client: Option<&Client>| match client {
        Some(client) => same_key(&client.id.signer, &id.signer),
        None => false,
    };
    let Some(round) = run.epoch.previous_round() else {
        return Err((&NO_ACTIVE_ROUND).into());
    };
    let index = proof.index as usize;
    let clients_len = round.clients_len as usize;
    let was_there =
        index < clients_len && is_named(run.epoch.historical_client(index, clients_len));
    require(was_there, || (&INVALID_PROOF).into())?;
    let Some(selection) = Selection::of(round, &run.config) else {
        return Err((&INVALID_SELECTION).into());
    };
    let proven = is_named(run.epoch.clients.items().get(index))
        && selection.is_in_committee(proof.index, proof.position, proof.committee);
    require(proven, || (&INVALID_PROOF).into())?;
    // Nobody knows how a verifier or tie breaker would be judged.
    assert!(proof.committee == TRAINER);
    let item = sha256(&[&id.signer]);
    let witnesses = round.witnesses.items();
    let score = witnesses
        .iter()
        .filter(|w| w.participant_bloom.contains(&item))
        .count();
    Ok(score >= quorum(&run.config, witnesses.len()))
}

/// Section 4.12.
pub fn checkpoint(call: &Call) -> Outcome {
    let mut block: model::CheckpointBlock = [0; 136];
    if model::read_checkpoint(&mut Reader::new(call.arguments), &mut block).is_none() {
        return Err((&BAD_ARGUMENTS).into());
    }
    let (user, account) = client_group(call)?;
    let run = &mut account.coordinator;
    let is_member = run
        .epoch
        .clients
        .items()
        .iter()
        .any(|c| same_key(&c.id.signer, &user));
    require(is_member, || (&SIGNER_NOT_A_CLIENT).into())?;
    let merged = match (model::checkpoint_tag(&run.model), block[0]) {
        (model::P2P | model::P2P_GCS, model::HUB) => Some(model::P2P),
        (model::P2P | model::P2P_GCS, model::GCS) => Some(model::P2P_GCS),
        (stored @ (model::HUB | model::GCS), sent) if stored == sent => Some(stored),
        _ => None,
    };
    if let Some(tag) = merged {
        model::set_checkpoint(&mut run.model, &block, tag);
    }
    if run.is_halted() {
        let mut line = Line::new();
        line.text("Checkpoint recorded while halted (state: ")
            .raw(name(run.run_state));
        line.text("), skipping tick").log();
        return Ok(());
    }
    run_tick(account, &now()?)
}
