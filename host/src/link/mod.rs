//! The client of a device: serial port or TCP.
