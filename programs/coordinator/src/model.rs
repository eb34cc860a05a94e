//! The model block: from its argument encoding to its memory image, and its validity.
//! (docs/protocol/onchain-coordinator.md sections 1.4 to 1.6, run-config.md section 5)

use crate::layout::{Config, MODEL_LEN};
use psyche_common::borsh::Reader;
use psyche_common::log::log;

/// A checkpoint in memory: u32 tag, 129 bytes of payload, 3 bytes of padding.
pub type CheckpointBlock = [u8; 136];

pub const EPHEMERAL: u8 = 0;
pub const DUMMY: u8 = 1;
pub const HUB: u8 = 2;
pub const P2P: u8 = 3;
pub const GCS: u8 = 4;
pub const P2P_GCS: u8 = 5;

/// Offsets in the model block; tags are u32 there, but no tag needs more than its first byte.
const MAX_SEQ_LEN: usize = 8;
const COLD_START_STEPS: usize = 12;
const ARCHITECTURE: usize = 16;
const CHECKPOINT: usize = 20;
const DATA_TYPE: usize = 156;
const DATA_LOCATION: usize = 160;
const SCHEDULE: usize = 464;
const OPTIMIZER: usize = 520;
/// Where the repository or bucket name starts in a checkpoint block, behind the optional part.
const REPO: usize = 4 + 65;

pub fn max_seq_len(model: &[u8; MODEL_LEN]) -> u32 {
    word(model, MAX_SEQ_LEN)
}

pub fn checkpoint_tag(model: &[u8; MODEL_LEN]) -> u8 {
    model[CHECKPOINT]
}

/// Changes the kind of the checkpoint, which keeps its repository: payloads of all kinds that are
/// exchanged for each other have the same shape.
pub fn set_checkpoint_tag(model: &mut [u8; MODEL_LEN], tag: u8) {
    model[CHECKPOINT..CHECKPOINT + 4].copy_from_slice(&(tag as u32).to_le_bytes());
}

pub fn set_checkpoint(model: &mut [u8; MODEL_LEN], block: &CheckpointBlock, tag: u8) {
    model[CHECKPOINT..DATA_TYPE].copy_from_slice(block);
    set_checkpoint_tag(model, tag);
}

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(block[at..at + 4].try_into().unwrap())
}

/// Copies the next `N` bytes of the arguments to `at`.
#[inline(always)]
fn copy<const N: usize>(reader: &mut Reader, block: &mut [u8], at: usize) -> Option<()> {
    block[at..at + N].copy_from_slice(reader.array::<N>()?);
    Some(())
}

/// Copies floats that are not NaN.
#[inline(always)]
fn doubles(reader: &mut Reader, block: &mut [u8], at: usize, count: usize) -> Option<()> {
    for i in 0..count {
        block[at + 8 * i..at + 8 * i + 8].copy_from_slice(reader.f64()?);
    }
    Some(())
}

#[inline(always)]
fn float(reader: &mut Reader, block: &mut [u8], at: usize) -> Option<()> {
    block[at..at + 4].copy_from_slice(reader.f32()?);
    Some(())
}

/// An optional f32: u32 tag, then the value.
#[inline(always)]
fn optional_float(reader: &mut Reader, block: &mut [u8], at: usize) -> Option<()> {
    if let Some(bytes) = reader.option(|reader| reader.f32())? {
        block[at] = 1;
        block[at + 4..at + 8].copy_from_slice(bytes);
    }
    Some(())
}

/// Decodes a `Checkpoint` argument into `block`, which must be zero.
#[inline(never)]
pub fn read_checkpoint(reader: &mut Reader, block: &mut CheckpointBlock) -> Option<()> {
    block[0] = reader.variant(6)?;
    if block[0] == EPHEMERAL {
        return Some(());
    }
    // In memory the optional part stands before the name.
    copy::<64>(reader, block, REPO)?;
    if let Some(bytes) = reader.option(|reader| reader.array::<64>())? {
        block[4] = 1;
        block[5..REPO].copy_from_slice(bytes);
    }
    Some(())
}

/// Decodes a `Model` argument into `block`, which must be zero.
#[inline(never)]
pub fn read_model(reader: &mut Reader, block: &mut [u8; MODEL_LEN]) -> Option<()> {
    reader.variant(1)?;
    copy::<4>(reader, block, MAX_SEQ_LEN)?;
    copy::<4>(reader, block, COLD_START_STEPS)?;
    block[ARCHITECTURE] = reader.variant(4)?;
    read_checkpoint(
        reader,
        (&mut block[CHECKPOINT..DATA_TYPE]).try_into().unwrap(),
    )?;
    block[DATA_TYPE] = reader.variant(2)?;
    read_data_location(reader, &mut block[DATA_LOCATION..SCHEDULE])?;
    read_schedule(reader, &mut block[SCHEDULE..OPTIMIZER])?;
    read_optimizer(reader, &mut block[OPTIMIZER..])
}

#[inline(always)]
fn read_data_location(reader: &mut Reader, block: &mut [u8]) -> Option<()> {
    block[0] = reader.variant(6)?;
    match block[0] {
        0 => Some(()),
        1 => copy::<64>(reader, block, 4),
        3 => {
            block[4] = reader.variant(3)?;
            match block[4] {
                0 => copy::<192>(reader, block, 8)?,
                1 => {
                    // Template, start index and padding width are contiguous in both encodings.
                    copy::<69>(reader, block, 8)?;
                    copy::<4>(reader, block, 80)?;
                }
                _ => copy::<256>(reader, block, 8)?,
            }
            block[264] = reader.variant(2)?;
            block[268] = reader.variant(2)?;
            if block[268] == 1 {
                copy::<32>(reader, block, 272)?;
            }
            Some(())
        }
        _ => copy::<192>(reader, block, 4),
    }
}

#[inline(always)]
fn read_schedule(reader: &mut Reader, block: &mut [u8]) -> Option<()> {
    block[0] = reader.variant(4)?;
    let (floats, counts) = match block[0] {
        0 => (2, 1),
        1 | 2 => (3, 2),
        _ => (4, 4),
    };
    doubles(reader, block, 8, floats)?;
    for i in 0..counts {
        copy::<4>(reader, block, 8 + 8 * floats + 4 * i)?;
    }
    Some(())
}

#[inline(always)]
fn read_optimizer(reader: &mut Reader, block: &mut [u8]) -> Option<()> {
    block[0] = reader.variant(3)?;
    match block[0] {
        0 => Some(()),
        1 => {
            for i in 0..4 {
                float(reader, block, 4 + 4 * i)?;
            }
            optional_float(reader, block, 20)
        }
        _ => {
            optional_float(reader, block, 4)?;
            optional_float(reader, block, 12)?;
            float(reader, block, 20)?;
            copy::<4>(reader, block, 24)?;
            block[28] = reader.boolean()? as u8;
            Some(())
        }
    }
}

/// Whether a run can use the model; logs the reason when not.
#[inline(never)]
pub fn is_valid(model: &[u8; MODEL_LEN]) -> bool {
    if max_seq_len(model) == 0 {
        log(b"model check failed: max_seq_len is 0.");
        return false;
    }
    if !has_valid_data_location(&model[DATA_LOCATION..SCHEDULE]) {
        log(b"model check failed: bad LLM training data location.");
        return false;
    }
    let valid_checkpoint = match model[CHECKPOINT] {
        EPHEMERAL => false,
        DUMMY => true,
        _ => model[CHECKPOINT + REPO] != 0,
    };
    if !valid_checkpoint {
        log(b"model check failed: bad checkpoint");
        return false;
    }
    if model[OPTIMIZER] == 0 {
        log(b"model check failed: bad optimizer");
        return false;
    }
    true
}

fn has_valid_data_location(block: &[u8]) -> bool {
    match (block[0], block[4]) {
        (0 | 2, _) => true,
        (3, 1) => block[8] != 0 && word(block, 80) != 0,
        (3, _) => block[8] != 0,
        (_, first_byte) => first_byte != 0,
    }
}

/// Whether the learning rate warmup after a pause fits into an epoch. Panics, as a division by zero
/// and an underflow do, when it is asked for and the config is not set.
#[inline(never)]
pub fn cold_start_fits(model: &[u8; MODEL_LEN], config: &Config) -> bool {
    let steps = word(model, COLD_START_STEPS) as u64;
    if steps == 0 {
        return true;
    }
    let rounds = (config.epoch_time - config.warmup_time) / config.max_round_train_time;
    if steps > rounds {
        let mut line = psyche_common::log::Line::new();
        line.text("cold start check failed: cold_start_warmup_steps ")
            .number(steps);
        line.text(" do not fit: epoch_time ")
            .number(config.epoch_time);
        line.text(", warmup_time ").number(config.warmup_time);
        line.text(", max_round_train_time ")
            .number(config.max_round_train_time);
        line.text(" make ").number(rounds).text(" rounds").log();
    }
    steps <= rounds
}
