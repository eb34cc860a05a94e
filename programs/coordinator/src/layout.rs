//! The coordinator account as it lies in memory (docs/protocol/onchain-coordinator.md section 1.2).
//!
//! The account is worked on in place: at 119,152 bytes it fits neither stack nor heap.

use psyche_common::accounts::{data_mut, same_key};
use psyche_common::memory::clear;
use psyche_common::AccountView;

pub const DISCRIMINATOR: [u8; 8] = [0xef, 0x21, 0xb1, 0x37, 0x2c, 0x9b, 0x56, 0x2b];
pub const ACCOUNT_LEN: usize = 119_160;
pub const LAYOUT_VERSION: u64 = 1;
pub const MAX_CLIENTS: usize = 256;
pub const MAX_WITNESSES: usize = 32;
pub const ROUNDS: usize = 4;
pub const MODEL_LEN: usize = 552;

pub type Key = [u8; 32];

/// A list of fixed capacity: all slots, then the number of used ones.
#[repr(C)]
pub struct List<T, const N: usize> {
    slots: [T; N],
    len: u64,
}

impl<T, const N: usize> List<T, N> {
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    pub fn items(&self) -> &[T] {
        &self.slots[..self.len as usize]
    }

    #[inline(always)]
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.slots[..self.len as usize]
    }

    /// One more slot, with whatever it holds; `None` when the list is full.
    #[inline(always)]
    pub fn grow(&mut self) -> Option<&mut T> {
        let slot = self.slots.get_mut(self.len as usize)?;
        self.len += 1;
        Some(slot)
    }

    /// Keeps the first `len` elements and zeroes the slots of the others.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        zero(&mut self.slots[len..self.len as usize]);
        self.len = len as u64;
    }

    /// Empties the list and zeroes every slot.
    #[inline(always)]
    pub fn reset(&mut self) {
        zero(&mut self.slots[..]);
        self.len = 0;
    }
}

/// Zeroes plain old data.
#[inline(always)]
pub fn zero<T: ?Sized>(value: &mut T) {
    let len = size_of_val(value);
    // SAFETY: all types of this file are integers and arrays of them: zero bytes are a value.
    clear(unsafe { core::slice::from_raw_parts_mut((value as *mut T).cast::<u8>(), len) });
}

#[repr(C)]
pub struct Account {
    pub version: u64,
    pub metadata: [u8; 360],
    pub coordinator: Coordinator,
    pub clients_state: ClientsState,
    pub is_warmup_first_tick: u8,
    pub is_training_first_tick: u8,
    pub client_version: [u8; 96],
    _padding: [u8; 6],
    pub nonce: u64,
}

#[repr(C)]
pub struct Coordinator {
    pub run_id: [u8; 32],
    pub run_state: u8,
    _padding: [u8; 7],
    /// See model.rs.
    pub model: [u8; MODEL_LEN],
    pub config: Config,
    pub progress: Progress,
    pub epoch: Epoch,
    pub run_state_start: u64,
    pub pending_pause: u8,
    _padding_end: [u8; 7],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Config {
    pub warmup_time: u64,
    pub cooldown_time: u64,
    pub max_round_train_time: u64,
    pub round_witness_time: u64,
    pub global_batch_size_warmup_tokens: u64,
    pub epoch_time: u64,
    pub total_steps: u32,
    pub init_min_clients: u16,
    pub min_clients: u16,
    pub witness_nodes: u16,
    pub global_batch_size_start: u16,
    pub global_batch_size_end: u16,
    pub verification_percent: u8,
    pub waiting_for_members_extra_time: u8,
}

#[repr(C)]
pub struct Progress {
    pub epoch: u16,
    _padding: [u8; 2],
    pub step: u32,
    pub epoch_start_data_index: u64,
}

#[repr(C)]
pub struct Epoch {
    pub rounds: [Round; ROUNDS],
    pub clients: List<Client, MAX_CLIENTS>,
    pub exited_clients: List<Client, MAX_CLIENTS>,
    pub rounds_head: u32,
    pub start_step: u32,
    /// 0: not set.
    pub last_step: u32,
    _padding: [u8; 4],
    pub start_timestamp: u64,
    pub first_round: u8,
    pub cold_start_epoch: u8,
    _padding_end: [u8; 6],
}

#[repr(C)]
pub struct Round {
    pub witnesses: List<Witness, MAX_WITNESSES>,
    pub data_index: u64,
    pub random_seed: u64,
    pub height: u32,
    pub clients_len: u16,
    pub tie_breaker_tasks: u16,
}

#[repr(C)]
pub struct Witness {
    pub proof: WitnessProof,
    pub participant_bloom: Bloom,
    pub broadcast_bloom: Bloom,
    pub broadcast_merkle: [u8; 32],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct WitnessProof {
    pub position: u64,
    pub index: u64,
    pub witness: u8,
    _padding: [u8; 7],
}

impl WitnessProof {
    pub fn new(position: u64, index: u64, witness: u8) -> Self {
        WitnessProof {
            position,
            index,
            witness,
            _padding: [0; 7],
        }
    }
}

#[repr(C)]
pub struct Bloom {
    pub keys: [u64; 8],
    pub words: [u64; 16],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Identity {
    pub signer: Key,
    pub p2p_identity: Key,
}

/// Member of an epoch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Client {
    pub id: Identity,
    pub state: u8,
    _padding: [u8; 3],
    pub exited_height: u32,
}

impl Client {
    pub const HEALTHY: u8 = 0;
    pub const DROPPED: u8 = 1;
    pub const WITHDRAWN: u8 = 2;
    pub const EJECTED: u8 = 3;

    pub fn new(id: &Identity) -> Self {
        Client {
            id: *id,
            state: Self::HEALTHY,
            _padding: [0; 3],
            exited_height: 0,
        }
    }
}

#[repr(C)]
pub struct ClientsState {
    /// Everyone who ever joined.
    pub clients: List<JoinedClient, MAX_CLIENTS>,
    pub next_active: u64,
    pub current_epoch_rates: Rates,
    pub future_epoch_rates: Rates,
}

#[repr(C)]
pub struct JoinedClient {
    pub id: Identity,
    pub unused: u64,
    pub earned: u64,
    pub slashed: u64,
    pub active: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rates {
    pub earning_rate_total_shared: u64,
    pub slashing_rate_per_client: u64,
}

/// Offsets of section 1.2, which count from the discriminator.
macro_rules! offsets {
    ($($offset:literal = $($field:ident).+;)*) => {
        $(const _: () = assert!(8 + core::mem::offset_of!(Account, $($field).+) == $offset);)*
    };
}

offsets! {
    8 = version;
    16 = metadata;
    376 = coordinator.run_id;
    408 = coordinator.run_state;
    416 = coordinator.model;
    968 = coordinator.config.warmup_time;
    1000 = coordinator.config.global_batch_size_warmup_tokens;
    1016 = coordinator.config.total_steps;
    1031 = coordinator.config.waiting_for_members_extra_time;
    1032 = coordinator.progress.epoch;
    1036 = coordinator.progress.step;
    1040 = coordinator.progress.epoch_start_data_index;
    1048 = coordinator.epoch.rounds;
    57496 = coordinator.epoch.clients.slots;
    75928 = coordinator.epoch.clients.len;
    75936 = coordinator.epoch.exited_clients.slots;
    94368 = coordinator.epoch.exited_clients.len;
    94376 = coordinator.epoch.rounds_head;
    94384 = coordinator.epoch.last_step;
    94392 = coordinator.epoch.start_timestamp;
    94401 = coordinator.epoch.cold_start_epoch;
    94408 = coordinator.run_state_start;
    94416 = coordinator.pending_pause;
    94424 = clients_state.clients.slots;
    119000 = clients_state.clients.len;
    119008 = clients_state.next_active;
    119016 = clients_state.current_epoch_rates;
    119032 = clients_state.future_epoch_rates;
    119048 = is_warmup_first_tick;
    119050 = client_version;
    119152 = nonce;
}
const _: () = assert!(8 + size_of::<Account>() == ACCOUNT_LEN);
const _: () = assert!(size_of::<Round>() == 14_112 && size_of::<Witness>() == 440);
const _: () = assert!(size_of::<Client>() == 72 && size_of::<JoinedClient>() == 96);
const _: () = assert!(size_of::<Config>() == 64 && size_of::<Epoch>() == 93_360);

impl Account {
    /// The account behind its discriminator. Panics when the data is too short for it.
    pub fn of(view: &mut AccountView) -> &'static mut Account {
        let data = data_mut(view);
        assert!(data.len() >= ACCOUNT_LEN);
        // SAFETY: long enough, 8-aligned as all account data, and any bytes are a value.
        unsafe { &mut *data[8..].as_mut_ptr().cast() }
    }
}

impl Epoch {
    pub fn round(&self) -> &Round {
        &self.rounds[self.rounds_head as usize]
    }

    pub fn round_mut(&mut self) -> &mut Round {
        &mut self.rounds[self.rounds_head as usize]
    }

    pub fn previous_round(&self) -> Option<&Round> {
        if self.rounds_head == 0 && self.round().height == 0 {
            return None;
        }
        Some(&self.rounds[(self.rounds_head as usize + ROUNDS - 1) % ROUNDS])
    }

    /// Who was at `index` in a round of `clients_len` clients: those who left since then are found
    /// from the end of the exited list.
    pub fn historical_client(&self, index: usize, clients_len: usize) -> Option<&Client> {
        if let Some(client) = self.clients.items().get(index) {
            return Some(client);
        }
        let back = clients_len.checked_sub(index)?;
        let exited = self.exited_clients.items();
        exited.get(exited.len().checked_sub(back)?)
    }
}

impl ClientsState {
    pub fn find(&mut self, signer: &Key) -> Option<&mut JoinedClient> {
        self.clients
            .items_mut()
            .iter_mut()
            .find(|client| same_key(&client.id.signer, signer))
    }
}
