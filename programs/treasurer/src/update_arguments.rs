//! The arguments of `run_update`, cut into those of the coordinator's instructions.
//!
//! An encoding is the only one of its value, so the bytes that arrived are the bytes to pass on.

use psyche_common::borsh::Reader;

/// Encoded arguments of each call; `None` for a call that is not to be made.
pub struct UpdateArguments<'a> {
    pub update: Option<&'a [u8]>,
    pub rates: Option<&'a [u8]>,
    pub paused: Option<&'a [u8]>,
    pub client_version: Option<&'a [u8]>,
}

impl<'a> UpdateArguments<'a> {
    #[inline(never)]
    pub fn read(arguments: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(arguments);
        let update = reader.span(|r| {
            r.option(|r| r.take(360))?;
            r.option(|r| r.take(64))?;
            r.option(skip_model)?;
            r.option(|r| r.take(14))?;
            Some(())
        })?;
        let rates = reader.span(|r| {
            r.option(|r| r.take(8))?;
            r.option(|r| r.take(8))?;
            Some(())
        })?;
        let paused = reader.option(|r| r.span(|r| r.boolean().map(|_| ())))?;
        let client_version = reader.option(|r| r.span(|r| r.text().map(|_| ())))?;
        Some(UpdateArguments {
            // One byte an absent value.
            update: (update.len() > 4).then_some(update),
            rates: (rates.len() > 2).then_some(rates),
            paused,
            client_version,
        })
    }
}

/// A `Model` (docs/protocol/onchain-coordinator.md section 1.6): it must decode, its rules are the
/// coordinator's.
#[inline(never)]
fn skip_model(r: &mut Reader) -> Option<()> {
    r.variant(1)?;
    r.take(8)?;
    r.variant(4)?;
    if r.variant(6)? != 0 {
        r.take(64)?;
        r.option(|r| r.take(64))?;
    }
    r.variant(2)?;
    skip_data_location(r)?;
    skip_schedule(r)?;
    skip_optimizer(r)
}

#[inline(always)]
fn skip_data_location(r: &mut Reader) -> Option<()> {
    match r.variant(6)? {
        0 => return Some(()),
        1 => r.take(64)?,
        3 => {
            let len = match r.variant(3)? {
                0 => 192,
                1 => 64 + 4 + 1 + 4,
                _ => 64 + 192,
            };
            r.take(len)?;
            r.variant(2)?;
            let seeded = r.variant(2)? == 1;
            r.take(if seeded { 32 } else { 0 })?
        }
        _ => r.take(192)?,
    };
    Some(())
}

#[inline(always)]
fn skip_schedule(r: &mut Reader) -> Option<()> {
    let (doubles, words) = match r.variant(4)? {
        0 => (2, 1),
        1 | 2 => (3, 2),
        _ => (4, 4),
    };
    for _ in 0..doubles {
        r.f64()?;
    }
    r.take(4 * words)?;
    Some(())
}

#[inline(always)]
fn skip_optimizer(r: &mut Reader) -> Option<()> {
    match r.variant(3)? {
        0 => {}
        1 => {
            for _ in 0..4 {
                r.f32()?;
            }
            r.option(|r| r.f32())?;
        }
        _ => {
            r.option(|r| r.f32())?;
            r.option(|r| r.f32())?;
            r.f32()?;
            r.take(4)?;
            r.boolean()?;
        }
    }
    Some(())
}
