//! The data folder beside the project: `ARCGATE_DATA`, by default `../shared/data` from the workspace's root.

use std::path::{Path, PathBuf};

use crate::program::arcgate;

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

/// What MobileFaceNet was trained on: `arcgate import`'s options.
pub const NORMALISATION: [&str; 4] = ["--mean", ".485,.456,.406", "--std", ".229,.224,.225"];

/// MobileFaceNet in int8: the one that `tests/run` made, or imported to `folder` now; or what the data folder lacks.
pub fn mobilefacenet(folder: &Path) -> Result<PathBuf, String> {
    let float = find("models/MobileFaceNet.onnx").ok_or("no models/MobileFaceNet.onnx in the data folder")?;
    let lfw = find("lfw").ok_or("no lfw in the data folder")?;
    Ok(made_embedder().unwrap_or_else(|| {
        let made = folder.join("mobilefacenet.onnx");
        let [float, lfw, out] = [&float, &lfw, &made].map(|path| path.to_string_lossy());
        let import = ["import", &float, "--calibrate", &lfw, "-o", &out, "--quiet"];
        arcgate(import.into_iter().chain(NORMALISATION)).done();
        made
    }))
}

/// A file or folder of the data folder, if it is there.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    path.exists().then_some(path)
}
