//! Dot products of windows and rows of weights, the sums of a few of each in registers.

use super::BLOCK;

/// Sums of a window that are kept: those of a block, and of what stands in for rows behind its last.
pub const ROOM: usize = BLOCK + 6;

/// `$name`, `$n` rows at a time. A window's values lie in the vector register `$x`, widened from `$x8`, and those of a row in `$w`; sums
/// are in `$acc`, of the row and the window beside it.
macro_rules! tile {
    ($(#[$doc:meta])* $name:ident: $p:literal x $n:literal, [$($from:ident $at:literal $x:literal $x8:literal),*], $w:literal $w8:literal,
     [$($row:ident $n_at:literal: $($sum:ident $acc:literal $with:literal $p_at:literal),*);*]) => {
        $(#[$doc])*
        #[cfg(riscv_rvv)]
        pub fn $name(windows: [&[i8]; $p], rows: &[i8], sums: &mut [[i32; ROOM]; 3]) {
            let taps = windows[0].len();
            $(let $from = windows[$at][..taps].as_ptr();)*
            let count = rows.len() / taps;
            for first in (0..count.min(BLOCK)).step_by($n) {
                // The last row stands in for those that are not there.
                $(let $row = rows[(first + $n_at).min(count - 1) * taps..].as_ptr();)*
                // SAFETY: as many values as there are taps are read at each pointer, and `$n` sums of each window written, for which
                // there is room behind the block.
                unsafe {
                    super::vector!(
                        [
                            "vsetvli {step}, zero, e32, m4, ta, ma",
                            $($(concat!("vmv.v.i ", $acc, ", 0"),)*)*
                            "2: vsetvli {step}, {left}, e16, m2, tu, ma",
                            $(
                                concat!("vle8.v ", $x8, ", ({", stringify!($from), "})"),
                                concat!("vsext.vf2 ", $x, ", ", $x8),
                                concat!("add {", stringify!($from), "}, {", stringify!($from), "}, {step}"),
                            )*
                            $(
                                concat!("vle8.v ", $w8, ", ({", stringify!($row), "})"),
                                concat!("vsext.vf2 ", $w, ", ", $w8),
                                concat!("add {", stringify!($row), "}, {", stringify!($row), "}, {step}"),
                                $(concat!("vwmacc.vv ", $acc, ", ", $with, ", ", $w),)*
                            )*
                            "sub {left}, {left}, {step}",
                            "bnez {left}, 2b",
                            "vsetvli {step}, zero, e32, m4, ta, ma",
                            "vmv.s.x v0, zero",
                            $($(
                                concat!("vredsum.vs ", $acc, ", ", $acc, ", v0"),
                                concat!("vmv.x.s {step}, ", $acc),
                                concat!("sw {step}, {", stringify!($sum), "}({sums})"),
                            )*)*
                        ]
                        step = out(reg) _,
                        left = inout(reg) taps => _,
                        $($from = inout(reg) $from => _,)*
                        $($row = inout(reg) $row => _,)*
                        $($($sum = const 4 * ($p_at * ROOM + $n_at),)*)*
                        sums = in(reg) sums.as_mut_ptr().cast::<i32>().add(first),
                        options(nostack),
                    );
                }
            }
        }

        $(#[$doc])*
        #[cfg(not(riscv_rvv))]
        pub fn $name(windows: [&[i8]; $p], rows: &[i8], sums: &mut [[i32; ROOM]; 3]) {
            for (x, sums) in windows.iter().zip(sums) {
                for (w, to) in rows.chunks_exact(x.len()).zip(sums) {
                    *to = x.iter().zip(w).fold(0, |sum, (&x, &w)| sum.wrapping_add(x as i32 * w as i32));
                }
            }
        }
    };
}

tile!(
    /// The dot products of three windows and at most [`BLOCK`] rows of as many weights, two rows at a time.
    three_by_two: 3 x 2, [x0 0 "v0" "v1", x1 1 "v2" "v3", x2 2 "v4" "v5"], "v6" "v7",
    [
        w0 0: s0 "v8" "v0" 0, s1 "v12" "v2" 1, s2 "v16" "v4" 2;
        w1 1: s3 "v20" "v0" 0, s4 "v24" "v2" 1, s5 "v28" "v4" 2
    ]
);
tile!(
    /// The dot products of two windows and at most [`BLOCK`] rows of as many weights, three rows at a time.
    two_by_three: 2 x 3, [x0 0 "v0" "v1", x1 1 "v2" "v3"], "v4" "v5",
    [
        w0 0: s0 "v8" "v0" 0, s1 "v12" "v2" 1;
        w1 1: s2 "v16" "v0" 0, s3 "v20" "v2" 1;
        w2 2: s4 "v24" "v0" 0, s5 "v28" "v2" 1
    ]
);
tile!(
    /// The dot products of a window and at most [`BLOCK`] rows of as many weights, six rows at a time.
    one_by_six: 1 x 6, [x0 0 "v0" "v1"], "v2" "v3",
    [
        w0 0: s0 "v8" "v0" 0; w1 1: s1 "v12" "v0" 0; w2 2: s2 "v16" "v0" 0;
        w3 3: s3 "v20" "v0" 0; w4 4: s4 "v24" "v0" 0; w5 5: s5 "v28" "v0" 0
    ]
);

/// Copies `count` runs of `bytes` bytes, `steps` bytes apart in the source and in the target.
pub fn copy_rows(x: &[i8], into: &mut [i8], bytes: usize, count: usize, steps: [usize; 2]) {
    #[cfg(riscv_rvv)]
    if let Some(last) = count.checked_sub(1).filter(|_| bytes > 0) {
        let from = x[..last * steps[0] + bytes].as_ptr();
        let to = into[..last * steps[1] + bytes].as_mut_ptr();
        // SAFETY: all runs lie in what was just cut out.
        unsafe {
            super::vector!(
                [
                    "2: mv {f}, {from}",
                    "mv {t}, {to}",
                    "mv {left}, {bytes}",
                    "3: vsetvli {step}, {left}, e8, m8, ta, ma",
                    "vle8.v v0, ({f})",
                    "vse8.v v0, ({t})",
                    "add {f}, {f}, {step}",
                    "add {t}, {t}, {step}",
                    "sub {left}, {left}, {step}",
                    "bnez {left}, 3b",
                    "add {from}, {from}, {down}",
                    "add {to}, {to}, {on}",
                    "addi {count}, {count}, -1",
                    "bnez {count}, 2b",
                ]
                f = out(reg) _,
                t = out(reg) _,
                left = out(reg) _,
                step = out(reg) _,
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                count = inout(reg) count => _,
                bytes = in(reg) bytes,
                down = in(reg) steps[0],
                on = in(reg) steps[1],
                options(nostack),
            );
        }
    }
    #[cfg(not(riscv_rvv))]
    for row in 0..count {
        into[row * steps[1]..][..bytes].copy_from_slice(&x[row * steps[0]..][..bytes]);
    }
}
