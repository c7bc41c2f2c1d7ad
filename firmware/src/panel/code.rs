//! A number of six digits that somebody reads off a light.

/// Digits of a [`Code`].
const DIGITS: usize = 6;

/// Six digits, such as the code that pairs a host with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Code([u8; DIGITS]);

impl Code {
    /// The digits of a number below 1,000,000, with leading zeros; `None` for a larger one.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1_000_000 {
            return None;
        }
        let (mut digits, mut rest, mut at) = ([0; DIGITS], number, DIGITS);
        while at > 0 {
            at -= 1;
            digits[at] = (rest % 10) as u8;
            rest /= 10;
        }
        Some(Code(digits))
    }

    /// The digits, the highest first.
    pub const fn digits(self) -> [u8; DIGITS] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_by_hand() {
        let cases = [
            (0, Some([0; 6])),
            (42, Some([0, 0, 0, 0, 4, 2])),
            (907_165, Some([9, 0, 7, 1, 6, 5])),
            (999_999, Some([9; 6])),
            (1_000_000, None),
            (u32::MAX, None),
        ];
        for (number, digits) in cases {
            assert_eq!(Code::new(number).map(Code::digits), digits, "{number}");
        }
    }
}
