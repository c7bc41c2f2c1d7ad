//! Where a training computes: the processor or a GPU.

use burn::tensor::Device;

/// What `--device` names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// This machine's processor, with the kernels of [`crate::net`].
    #[default]
    Cpu,
    /// A GPU through burn's wgpu backend; on Linux by Vulkan, on macOS by Metal. CUBECL_WGPU_DEFAULT_DEVICE chooses among several.
    Gpu,
}

/// A device that a training can run on.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Without gradients.
    pub device: Device,
    /// The adapter of a GPU, as its driver calls it; none for the processor.
    pub adapter: Option<String>,
    /// The adapter computes on the processor, so that it shows results but no speed.
    pub software: bool,
}

/// Why a device cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlaceError {
    /// The program lacks the feature.
    #[error(
        "--device gpu: this arcgate was built without GPUs\n  accepted: --device cpu, or build with `cargo build --release -p arcgate --features gpu`"
    )]
    NotBuilt,
    /// The driver gives none.
    #[error("--device gpu: {0}\n  accepted: --device cpu, or install a Vulkan driver")]
    NoAdapter(String),
    /// A recipe for the processor.
    #[error("--device gpu: train.replicas = {0}\n  accepted: 1; replicas share the cores of a processor")]
    Replicas(usize),
}

impl Place {
    /// Its device. A GPU is opened once in a process.
    ///
    /// # Errors
    /// When the program was built without GPUs, or the machine has none; then what the driver says.
    pub fn open(self) -> Result<Opened, PlaceError> {
        match self {
            Place::Cpu => Ok(Opened { device: Device::flex(), adapter: None, software: false }),
            Place::Gpu => gpu(),
        }
    }

    /// [`Place::open`] for a training of so many replicas.
    ///
    /// # Errors
    /// Also when there are several of them for a GPU.
    pub(super) fn open_for(self, replicas: usize) -> Result<Opened, PlaceError> {
        let opened = self.open()?;
        if self == Place::Gpu && replicas > 1 { Err(PlaceError::Replicas(replicas)) } else { Ok(opened) }
    }
}

#[cfg(not(feature = "gpu"))]
fn gpu() -> Result<Opened, PlaceError> {
    Err(PlaceError::NotBuilt)
}

#[cfg(feature = "gpu")]
fn gpu() -> Result<Opened, PlaceError> {
    static OPENED: std::sync::OnceLock<Result<Opened, PlaceError>> = std::sync::OnceLock::new();
    let open = || {
        let (device, setup) =
            Device::wgpu_options().init_with_setup().map_err(|why| PlaceError::NoAdapter(why.to_string()))?;
        let info = setup.adapter.get_info();
        let software = info.device_type == burn::tensor::wgpu::wgpu::DeviceType::Cpu;
        Ok(Opened { device, adapter: Some(info.name), software })
    };
    OPENED.get_or_init(open).clone()
}
