//! Five landmarks to a similarity transform and the fixed-point warp into the model's input.

use nalgebra::Point2;

/// Five points in pixels, in the order of the alignment template: the eye at the image's left, the other eye, the nose,
/// the mouth corner at the image's left, the other corner. `x` counts columns, `y` rows; pixel centres are whole numbers.
pub type Landmarks = [Point2<f32>; 5];
