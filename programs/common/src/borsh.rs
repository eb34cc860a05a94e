//! Reads the encoding of onchain-common.md section 3. `None` means: does not decode.
//!
//! All is inlined: the compiler's back end cannot return a pair of values from a function.

#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        if len > self.rest.len() {
            return None;
        }
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(head)
    }

    #[inline(always)]
    pub fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    #[inline(always)]
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| *byte)
    }

    #[inline(always)]
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// One byte, 0 or 1.
    #[inline(always)]
    pub fn boolean(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The index of a variant of an enum with `variants` variants.
    #[inline(always)]
    pub fn variant(&mut self, variants: u8) -> Option<u8> {
        self.u8().filter(|index| *index < variants)
    }

    /// The four bytes of an f32 that is not NaN.
    #[inline(always)]
    pub fn f32(&mut self) -> Option<&'a [u8; 4]> {
        let bytes = self.array()?;
        (u32::from_le_bytes(*bytes) & 0x7fff_ffff <= 0x7f80_0000).then_some(bytes)
    }

    /// The eight bytes of an f64 that is not NaN.
    #[inline(always)]
    pub fn f64(&mut self) -> Option<&'a [u8; 8]> {
        let bytes = self.array()?;
        (u64::from_le_bytes(*bytes) & (u64::MAX >> 1) <= 0x7ff << 52).then_some(bytes)
    }

    /// Bytes behind their u32 length.
    #[inline(always)]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    /// UTF-8 text behind its u32 length.
    #[inline(always)]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let bytes = self.bytes()?;
        core::str::from_utf8(bytes).ok()?;
        Some(bytes)
    }

    /// A value behind its presence byte.
    #[inline(always)]
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => Some(Some(read(self)?)),
            _ => None,
        }
    }

    /// The bytes that `read` takes.
    #[inline(always)]
    pub fn span(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a [u8]> {
        let all = self.rest;
        read(self)?;
        all.get(..all.len() - self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn refuses_what_the_encoding_does_not_allow() {
        assert_eq!(Reader::new(&[2]).boolean(), None);
        assert_eq!(Reader::new(&[]).u8(), None);
        assert!(Reader::new(&f32::NAN.to_le_bytes()).f32().is_none());
        assert!(Reader::new(&(-f64::NAN).to_le_bytes()).f64().is_none());
        assert!(Reader::new(&f32::NEG_INFINITY.to_le_bytes())
            .f32()
            .is_some());
        assert!(Reader::new(&f64::INFINITY.to_le_bytes()).f64().is_some());
        assert!(Reader::new(&[255, 255, 255, 255, 1]).bytes().is_none());
        assert!(Reader::new(&[1, 0, 0, 0, 0xff]).text().is_none());
        assert!(Reader::new(&[2]).option(|r| r.u8()).is_none());
        assert_eq!(Reader::new(&[1, 7]).option(|r| r.u8()), Some(Some(7)));
    }

    #[test]
    fn gives_the_bytes_that_were_read() {
        let mut reader = Reader::new(&[1, 7, 8]);
        assert_eq!(reader.span(|r| r.option(|r| r.u8()).map(|_| ())), Some(&[1, 7][..]));
        assert_eq!(reader.span(|_| Some(())), Some(&[][..]));
        assert_eq!(reader.span(|r| r.u16().map(|_| ())), None);
        assert_eq!(reader.u8(), Some(8));
    }
}
