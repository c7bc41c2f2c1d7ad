//! The data folder beside the project: `ARCGATE_DATA`, by default `../shared/data` from the workspace's root.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

/// The data folder, whether or not it is there.
pub fn folder() -> PathBuf {
    std::env::var_os("ARCGATE_DATA").map_or_else(|| workspace().join("../shared/data"), PathBuf::from)
}

/// The int8 ONNX beside the plan that ARCGATE_TEST_PLAN names: MobileFaceNet, imported with a table of thresholds (`tests/run` makes it).
pub fn made_embedder() -> Option<PathBuf> {
    let plan = std::env::var_os("ARCGATE_TEST_PLAN")?;
    Some(Path::new(&plan).with_extension("onnx")).filter(|path| path.exists())
}

/// A file or folder of the data folder, if it is there.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    path.exists().then_some(path)
}
