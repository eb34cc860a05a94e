//! Log lines put together without formatting machinery.

use crate::memory::copy;

/// A line under construction. What does not fit is dropped.
pub struct Line {
    bytes: [u8; 320],
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Line {
    #[inline(always)]
    pub fn new() -> Self {
        Line {
            bytes: [0; 320],
            len: 0,
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let len = bytes.len().min(self.bytes.len() - self.len);
        copy(&mut self.bytes[self.len..], &bytes[..len]);
        self.len += len;
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes())
    }

    /// Decimal.
    pub fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.raw(&digits[at..])
    }

    /// Lower case hexadecimal.
    pub fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
            self.raw(&[digit(byte >> 4), digit(byte & 15)]);
        }
        self
    }

    pub fn log(&mut self) {
        log(&self.bytes[..self.len]);
    }
}

/// Writes one log line.
pub fn log(_text: &[u8]) {
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: pointer and length belong together.
    unsafe {
        pinocchio::syscalls::sol_log_(_text.as_ptr(), _text.len() as u64)
    }
}
