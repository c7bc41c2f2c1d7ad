//! What the operators without weights make of planes.

use super::{Map, Op, Pool};

impl Op {
    /// The output's planes from the inputs', `None` for an operator that has weights. Cut nowhere.
    pub fn apply(&self, inputs: &[&[f32]], shapes: &[&Map], output: &Map) -> Option<Vec<f32>> {
        let x = *inputs.first()?;
        Some(match self {
            Op::Conv(_) => return None,
            Op::Add => x.iter().zip(*inputs.get(1)?).map(|(a, b)| a + b).collect(),
            Op::Product => {
                let (by, area) = (*inputs.get(1)?, output.area());
                let repeated = x.len() / by.len();
                // Either a value each, or one for each plane.
                debug_assert!(repeated == 1 || repeated == area);
                x.iter().enumerate().map(|(at, a)| a * by[at / repeated]).collect()
            }
            Op::Slope(slopes) => {
                let area = output.area();
                let bend = |(at, &v): (usize, &f32)| {
                    if v < 0.0 { v * slopes[(at / area).min(slopes.len() - 1)] } else { v }
                };
                x.iter().enumerate().map(bend).collect()
            }
            Op::Curve(curve) => x.iter().map(|&v| curve.at(v)).collect(),
            Op::Concat => inputs.concat(),
            Op::MaxPool(pool) => {
                let planes = x.chunks_exact(shapes.first()?.area());
                planes.flat_map(|plane| max_pool(pool, plane, shapes[0], output)).collect()
            }
            Op::Upsample([down, right]) => {
                let width = shapes.first()?.width;
                let rows = x.chunks_exact(width).flat_map(|row| std::iter::repeat_n(row, *down));
                rows.flat_map(|row| row.iter().flat_map(|&v| std::iter::repeat_n(v, *right))).collect()
            }
        })
    }
}

fn max_pool(pool: &Pool, plane: &[f32], input: &Map, output: &Map) -> Vec<f32> {
    let span = |at: usize, axis: usize, size: usize| {
        let first = at * pool.strides[axis];
        first.saturating_sub(pool.pads[axis])..(first + pool.kernel[axis] - pool.pads[axis]).min(size)
    };
    let greatest = |y: usize, x: usize| {
        let rows = span(y, 0, input.height);
        let seen =
            rows.flat_map(|row| span(x, 1, input.width).map(move |column| plane[row * input.width + column]));
        seen.fold(f32::NEG_INFINITY, f32::max)
    };
    (0..output.height)
        .flat_map(|y| (0..output.width).map(move |x| (y, x)))
        .map(|(y, x)| greatest(y, x))
        .collect()
}
