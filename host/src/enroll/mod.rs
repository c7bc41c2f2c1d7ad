//! Photographs to templates, into a gallery file or a device.
