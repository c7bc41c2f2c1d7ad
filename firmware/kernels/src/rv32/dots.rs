//! Sums of products in registers. The compiler adds products to each other before it adds them to a sum, and has no registers for
//! so many: on RV32 these are assembly, elsewhere the loops that they stand for.

/// Dot products of the first `taps` values of some windows and `N` rows of as many weights.
#[cfg(not(target_arch = "riscv32"))]
fn dots<const P: usize, const N: usize>(
    windows: [&[i8]; P],
    rows: &[i8],
    taps: usize,
) -> Option<[[i32; N]; P]> {
    let mut sums = [[0; N]; P];
    for (sums, x) in sums.iter_mut().zip(windows) {
        for (n, sum) in sums.iter_mut().enumerate() {
            let (x, w) = (x.get(..taps)?, rows.get(n * taps..)?.get(..taps)?);
            *sum = x.iter().zip(w).fold(0i32, |acc, (&x, &w)| acc.wrapping_add(x as i32 * w as i32));
        }
    }
    Some(sums)
}

/// A function of the dot products of `$p` windows and `$n` rows: `$x` names registers for a value of each window, with the
/// register of its pointer, `$w` the pointers of the rows, each with the sums of its products with all windows.
macro_rules! tile {
    ($(#[$doc:meta])* $name:ident: $p:literal x $n:literal, [$($x:ident $from:ident $i:literal),*],
     [$($w:ident $j:literal: $($acc:ident $of:ident $k:literal),*);*]) => {
        $(#[$doc])*
        ///
        /// `None` where a slice is shorter than its taps.
        #[inline(always)]
        pub(super) fn $name(windows: [&[i8]; $p], rows: &[i8], taps: usize) -> Option<[[i32; $n]; $p]> {
            #[cfg(not(target_arch = "riscv32"))]
            return dots(windows, rows, taps);
            #[cfg(target_arch = "riscv32")]
            {
                if !windows.iter().all(|x| x.len() >= taps) || rows.len() < $n * taps {
                    return None;
                }
                $(let mut $from = windows[$i].as_ptr();)*
                $(let mut $w = rows.as_ptr().wrapping_add($j * taps);)*
                $($(let mut $acc = 0i32;)*)*
                macro_rules! taps {
                    ($count:literal, $taps:literal, $end:expr) => {
                        // SAFETY: as many values as `taps` are read at each pointer.
                        unsafe {
                            core::arch::asm!(
                                "2:",
                                concat!(".irp t, ", $taps),
                                $(concat!("lb {", stringify!($x), "}, \\t({", stringify!($from), "})"),)*
                                $(
                                    concat!("lb {w}, \\t({", stringify!($w), "})"),
                                    $(
                                        concat!("mul {m}, {", stringify!($of), "}, {w}"),
                                        concat!("add {", stringify!($acc), "}, {", stringify!($acc), "}, {m}"),
                                    )*
                                )*
                                ".endr",
                                $(concat!("addi {", stringify!($from), "}, {", stringify!($from), "}, ", $count),)*
                                $(concat!("addi {", stringify!($w), "}, {", stringify!($w), "}, ", $count),)*
                                concat!("bne {x0}, {end}, 2b"),
                                $($x = out(reg) _,)*
                                w = out(reg) _,
                                m = out(reg) _,
                                $($from = inout(reg) $from,)*
                                $($w = inout(reg) $w,)*
                                $($($acc = inout(reg) $acc,)*)*
                                end = in(reg) $end,
                                options(readonly, nostack),
                            );
                        }
                    };
                }
                let whole = windows[0].as_ptr().wrapping_add(taps / 8 * 8);
                let end = windows[0].as_ptr().wrapping_add(taps);
                if taps >= 8 {
                    taps!(8, "0, 1, 2, 3, 4, 5, 6, 7", whole);
                }
                if whole != end {
                    taps!(1, "0", end);
                }
                let _ = ($($from,)* $($w,)*);
                let mut sums = [[0; $n]; $p];
                $($(sums[$k][$j] = $acc;)*)*
                Some(sums)
            }
        }
    };
}

tile!(
    /// Three windows against four rows.
    three_by_four: 3 x 4, [a x0 0, b x1 1, c x2 2],
    [w0 0: a0 a 0, b0 b 1, c0 c 2; w1 1: a1 a 0, b1 b 1, c1 c 2; w2 2: a2 a 0, b2 b 1, c2 c 2; w3 3: a3 a 0, b3 b 1, c3 c 2]
);
tile!(
    /// Two windows against four rows.
    two_by_four: 2 x 4, [a x0 0, b x1 1],
    [w0 0: a0 a 0, b0 b 1; w1 1: a1 a 0, b1 b 1; w2 2: a2 a 0, b2 b 1; w3 3: a3 a 0, b3 b 1]
);
tile!(
    /// Three windows against a row.
    three_by_one: 3 x 1, [a x0 0, b x1 1, c x2 2], [w0 0: a0 a 0, b0 b 1, c0 c 2]
);
tile!(
    /// Two windows against a row.
    two_by_one: 2 x 1, [a x0 0, b x1 1], [w0 0: a0 a 0, b0 b 1]
);
tile!(
    /// One window against eight rows.
    one_by_eight: 1 x 8, [a x0 0],
    [w0 0: a0 a 0; w1 1: a1 a 0; w2 2: a2 a 0; w3 3: a3 a 0; w4 4: a4 a 0; w5 5: a5 a 0; w6 6: a6 a 0; w7 7: a7 a 0]
);
tile!(
    /// One window against a row.
    one_by_one: 1 x 1, [a x0 0], [w0 0: a0 a 0]
);

/// `acc` plus the products of `w` with the values at three places, each `pitch` after the other.
///
/// # Safety
/// The three values can be read.
#[inline(always)]
pub(super) unsafe fn three(acc: i32, x: *const i8, pitch: usize, w: [i32; 3]) -> i32 {
    #[cfg(target_arch = "riscv32")]
    {
        let mut acc = acc;
        // SAFETY: the caller's.
        unsafe {
            core::arch::asm!(
                "lb {v}, 0({x})",
                "mul {v}, {v}, {w0}",
                "add {acc}, {acc}, {v}",
                "add {x}, {x}, {pitch}",
                "lb {v}, 0({x})",
                "mul {v}, {v}, {w1}",
                "add {acc}, {acc}, {v}",
                "add {x}, {x}, {pitch}",
                "lb {v}, 0({x})",
                "mul {v}, {v}, {w2}",
                "add {acc}, {acc}, {v}",
                v = out(reg) _,
                acc = inout(reg) acc,
                x = inout(reg) x => _,
                pitch = in(reg) pitch,
                w0 = in(reg) w[0],
                w1 = in(reg) w[1],
                w2 = in(reg) w[2],
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        acc
    }
    #[cfg(not(target_arch = "riscv32"))]
    w.into_iter().enumerate().fold(acc, |acc, (k, w)| {
        // SAFETY: the caller's.
        acc.wrapping_add(unsafe { *x.add(k * pitch) } as i32 * w)
    })
}
