//! Where the windows of a convolution or a pool lie.

use arcgate_firmware::kernels::{Shape, Window};

/// Taps that lie inside the input, of all windows together.
pub fn inside([input, output]: [Shape; 2], window: Window) -> u64 {
    let along = |axis: usize, inputs: usize, outputs: usize| {
        let (kernel, stride, pad) = (window.kernel[axis], window.stride[axis], window.pad[axis]);
        let of = |at: usize| {
            let is_inside =
                |&tap: &usize| (at * stride + tap).checked_sub(pad).is_some_and(|place| place < inputs);
            (0..kernel).filter(is_inside).count() as u64
        };
        (0..outputs).map(of).sum::<u64>()
    };
    along(0, input.height, output.height) * along(1, input.width, output.width)
}

/// Outputs along `axis` whose windows do not reach beyond the input.
pub fn whole(inputs: usize, outputs: usize, window: Window, axis: usize) -> u64 {
    let (kernel, stride, pad) = (window.kernel[axis], window.stride[axis], window.pad[axis]);
    (0..outputs).filter(|at| at * stride >= pad && at * stride + kernel <= inputs + pad).count() as u64
}
