//! Words and numbers on QEMU's standard error, one line a call, without `core::fmt`, which takes more flash than all of this crate.

use semihosting::process;
use semihosting::sys::arm_compat::sys_writec;

/// A part of a line.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// As it stands.
    Words(&'a str),
    /// In decimal digits.
    Number(u64),
    /// In six decimal digits.
    #[cfg(not(feature = "defmt"))]
    Code(u32),
    /// An address.
    Hexadecimal(usize),
}
use Part::{Hexadecimal, Number, Words};

/// Says a line.
pub fn say(parts: &[Part<'_>]) {
    for part in parts {
        match *part {
            Words(words) => words.bytes().for_each(sys_writec),
            Number(number) => digits::<10>(number, sys_writec),
            #[cfg(not(feature = "defmt"))]
            Part::Code(mut code) => {
                let mut digits = [0; 6];
                for digit in digits.iter_mut().rev() {
                    (*digit, code) = (b'0' + (code % 10) as u8, code / 10);
                }
                digits.into_iter().for_each(sys_writec);
            }
            Hexadecimal(address) => {
                "0x".bytes().for_each(sys_writec);
                digits::<16>(address as u64, sys_writec);
            }
        }
    }
    sys_writec(b'\n');
}

/// Says why the board cannot run, and ends QEMU.
pub fn fail(why: &str) -> ! {
    say(&[Words(why)]);
    process::exit(1)
}

/// Gives the digits of a number, the highest first.
pub fn digits<const BASE: u64>(mut number: u64, put: impl FnMut(u8)) {
    let (mut digits, mut count) = ([0; 20], 0);
    for place in digits.iter_mut().rev() {
        let digit = (number % BASE) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        (number, count) = (number / BASE, count + 1);
        if number == 0 {
            break;
        }
    }
    digits.iter().skip(digits.len() - count).copied().for_each(put);
}

/// Says a line in all words that there are for it.
#[cfg(feature = "text")]
pub fn say_all(words: core::fmt::Arguments<'_>) {
    struct Console;
    impl core::fmt::Write for Console {
        fn write_str(&mut self, words: &str) -> core::fmt::Result {
            words.bytes().for_each(sys_writec);
            Ok(())
        }
    }
    // The console takes everything.
    let _ = core::fmt::write(&mut Console, words);
    sys_writec(b'\n');
}
